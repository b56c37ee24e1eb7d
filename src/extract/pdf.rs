//! The text of PDFs, page by page.
use super::Lines;

pub(super) fn read(bytes: &[u8], lines: &mut Lines) -> Result<(), String> {
    let pages =
        pdf_extract::extract_text_from_mem_by_pages(bytes).map_err(|e| format!("the PDF cannot be read: {e}"))?;
    for (index, page) in pages.iter().enumerate() {
        let place = format!("p. {}", index + 1);
        if !page.lines().all(|line| lines.push(&place, line)) {
            break;
        }
    }
    Ok(())
}
