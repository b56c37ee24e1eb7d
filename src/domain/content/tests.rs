use super::Verdict::{self, Doubtful, File, Page, Unusual};
use super::ends::{HEAD_BYTES, TAIL_BYTES};
use super::{Ends, FileInfo, judge};

fn ends(bytes: &[u8]) -> Ends {
    let mut ends = Ends::default();
    bytes.chunks(700).for_each(|piece| ends.take(piece));
    ends
}

fn kind(verdict: Verdict) -> Verdict {
    match verdict {
        Unusual(_) => Unusual(""),
        Doubtful(_) => Doubtful(""),
        other => other,
    }
}

const EXCEL: &str = "application/vnd.ms-excel";
const BYTES: &str = "application/octet-stream";

#[test]
fn pages_are_not_files_in_any_form() {
    let long = format!("<!-- {} --><html>", "x".repeat(10_000));
    let endless = format!("<!-- {}", "x".repeat(100_000));
    let forms = [
        "<html></html>",
        "<HTML lang=pt>",
        "<!DOCTYPE html><p>",
        "<!doctype HTML PUBLIC \"-//W3C//DTD XHTML 1.0\">",
        "\r\n\t  <!DocType html>",
        "<!-- erro --><html><body>Erro</body></html>",
        "<!-- a --> <!-- b -->\n<head>",
        "<?xml version=\"1.0\"?><!DOCTYPE html><html></html>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">",
        "<body>Erro</body>",
        "<script>location='/login'</script>",
        "<meta http-equiv=refresh content=0>",
        "<title>Entrar</title>",
        "<style>a{}</style>",
        &long,
    ];
    for form in forms {
        let wide: fn(&str) -> Vec<u8> = |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = format!("\u{feff}{form}");
        let encodings = [
            form.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            wide(form),
            wide(&marked),
            marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            marked.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            marked.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        ];
        for bytes in encodings {
            for extension in ["pdf", "xlsx", "xls", "zip", "csv", "txt", "dat", "json", "bin", ""] {
                for content_type in [None, Some(BYTES), Some("text/html"), Some("application/pdf")] {
                    let file = FileInfo { extension: Some(extension), content_type, is_usual: false };
                    assert_eq!(judge(&file, &ends(&bytes)), Page, "{form:.60} as {extension}, {content_type:?}");
                }
            }
            let file = FileInfo { extension: Some("html"), content_type: None, is_usual: false };
            assert_eq!(judge(&file, &ends(&bytes)), File, "{form:.60}");
        }
    }
    let file = FileInfo { extension: Some("pdf"), content_type: None, is_usual: false };
    assert_eq!(judge(&file, &ends(endless.as_bytes())), Page);
}

#[test]
fn the_table_of_cases() {
    let pdf = [b"%PDF-1.7\n", "x".repeat(3000).as_bytes(), b"\n%%EOF\r\n"].concat();
    let zip = b"PK\x03\x04dados e mais dadosPK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let mut sheet = [&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1][..], &[0; 504]].concat();
    sheet[30] = 9;
    sheet[48] = 2;
    sheet[76..512].fill(0xff);
    sheet[76..80].fill(0);
    sheet.resize(4 * 512, 0);
    let office = "<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table>";
    let xml_sheet = "<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook>";
    let table = "<table><tr><td>Usina</td></tr></table>";
    let login = "<html><body><form action=/login><table><input type=password>";
    let sharepoint = "<html xmlns:mso=\"urn:schemas-microsoft-com:office:office\"><body>";
    let error = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
    let message = "Token expirado";
    let long = "20/02/2025;123,4\r\n".repeat(500);
    let json = "{\"error\": \"expired\"}";
    // The extension, the type, whether it is usual, the bytes, the verdict.
    let cases: &[(&str, &str, bool, &[u8], Verdict)] = &[
        ("xls", EXCEL, false, office.as_bytes(), Unusual("")),
        ("xls", BYTES, false, office.as_bytes(), Unusual("")),
        ("xls", "text/html", false, office.as_bytes(), Unusual("")),
        ("xls", EXCEL, false, xml_sheet.as_bytes(), Unusual("")),
        ("xls", EXCEL, false, table.as_bytes(), Unusual("")),
        ("xls", "application/x-msexcel", false, table.as_bytes(), Unusual("")),
        ("xls", "text/html", false, table.as_bytes(), Page),
        ("xls", "text/html", true, table.as_bytes(), Unusual("")),
        ("xls", EXCEL, false, login.as_bytes(), Page),
        ("xls", EXCEL, false, sharepoint.as_bytes(), Page),
        ("xls", EXCEL, false, error.as_bytes(), Doubtful("")),
        ("xls", EXCEL, false, long.as_bytes(), Unusual("")),
        ("xls", EXCEL, false, json.as_bytes(), Doubtful("")),
        ("xls", EXCEL, false, &sheet, File),
        ("xls", "text/html", false, &sheet, File),
        ("xls", EXCEL, false, &sheet[..1100], Doubtful("")),
        ("xls", EXCEL, false, &sheet[..300], Doubtful("")),
        ("xls", EXCEL, false, &[9, 8, 8, 0, 0, 5, 5, 0], File),
        ("xls", EXCEL, false, &zip, File),
        ("doc", "application/msword", false, b"<html xmlns:w=\"urn:schemas-microsoft-com:office:word\">", Unusual("")),
        // No program opens a page as a workbook of this kind.
        ("xlsx", EXCEL, false, office.as_bytes(), Page),
        ("xlsx", EXCEL, true, office.as_bytes(), Page),
        ("xlsx", BYTES, false, &zip, File),
        ("xlsx", BYTES, false, &zip[..20], Doubtful("")),
        ("xlsx", "application/json", false, json.as_bytes(), Doubtful("")),
        ("xlsx", BYTES, false, error.as_bytes(), Doubtful("")),
        ("xlsx", BYTES, false, b"\x1f\x8bcoisa", Doubtful("")),
        ("pdf", "application/pdf", false, &pdf, File),
        ("pdf", "text/html", false, &pdf, File),
        ("pdf", "application/pdf", false, &[b"\n\n", &pdf[..]].concat(), File),
        ("pdf", "application/pdf", false, &pdf[..2000], Doubtful("")),
        ("pdf", "application/pdf", false, json.as_bytes(), Doubtful("")),
        ("pdf", "application/pdf", false, error.as_bytes(), Doubtful("")),
        ("pdf", "application/pdf", false, message.as_bytes(), Doubtful("")),
        ("pdf", "text/html", false, message.as_bytes(), Page),
        ("pdf", "text/html", true, message.as_bytes(), Page),
        ("pdf", "text/html", false, long.as_bytes(), Page),
        ("pdf", BYTES, false, b"<p>Erro</p>", Page),
        ("zip", "application/zip", false, &zip, File),
        ("zip", "application/zip", false, error.as_bytes(), Doubtful("")),
        ("zip", "application/zip", false, json.as_bytes(), Doubtful("")),
        ("zip", "text/html", false, message.as_bytes(), Page),
        ("csv", "text/csv", false, long.as_bytes(), File),
        ("csv", "text/html", false, message.as_bytes(), Page),
        ("csv", "text/html", false, long.as_bytes(), Doubtful("")),
        ("csv", "text/html", true, message.as_bytes(), File),
        ("csv", "application/json", false, json.as_bytes(), Doubtful("")),
        ("csv", "text/csv", false, error.as_bytes(), Doubtful("")),
        ("txt", "text/plain", false, b"<p>5 MW</p>", File),
        ("txt", "text/plain", false, b"<5 MW; >3 MW", File),
        ("txt", "text/html", false, b"<p>Erro</p>", Page),
        ("dat", BYTES, false, b"{ 1 2 3 }", File),
        ("dat", BYTES, false, b"<?xml version=\"1.0\"?><dados/>", File),
        ("json", "application/json", false, json.as_bytes(), File),
        ("json", "text/html", false, json.as_bytes(), File),
        ("json", "application/xml", false, error.as_bytes(), Doubtful("")),
        ("xml", "text/xml", false, b"<?xml version=\"1.0\"?><dados/>", File),
        ("xml", "text/html", false, b"<dados><a/></dados>", File),
        ("xml", "text/xml", false, error.as_bytes(), Doubtful("")),
        ("xml", "text/xml", false, xml_sheet.as_bytes(), File),
        ("xml", "text/xml", false, b"<html></html>", Page),
        ("htm", "text/html", false, login.as_bytes(), File),
        ("", "text/html", false, message.as_bytes(), Page),
        ("", "text/html", false, &pdf, File),
        ("", BYTES, false, message.as_bytes(), File),
        ("bin", BYTES, false, &[0, 1, 2, 3], File),
        ("png", "image/png", false, b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", File),
        ("png", "text/html", false, message.as_bytes(), Page),
        ("gz", BYTES, false, json.as_bytes(), Doubtful("")),
        ("7z", BYTES, false, b"<p>Erro</p>", Page),
        ("nc", BYTES, false, b"CDF\x01\0\0\0\0", File),
        ("gz", BYTES, false, b"\x1f\x8b\x08\0\0\0\0\0", File),
        ("gz", BYTES, false, b"erro interno", Doubtful("")),
        ("7z", BYTES, false, b"erro interno", Doubtful("")),
        ("rar", BYTES, false, b"Rar!\x1a\x07\0", File),
        ("rar", BYTES, false, b"erro interno", Doubtful("")),
        ("png", BYTES, false, b"erro interno", Doubtful("")),
        ("jpg", BYTES, false, b"\xff\xd8\xff\xe0\0\x10JFIF\0", File),
        ("jpg", BYTES, false, "erro de conexão".as_bytes(), Doubtful("")),
        ("gif", BYTES, false, b"GIF89a\x01\0\x01\0", File),
        ("bin", "text/html", false, &[0x7f, b'E', b'L', b'F', 2], File),
    ];
    for (extension, content_type, is_usual, bytes, verdict) in cases {
        let file = FileInfo { extension: Some(extension), content_type: Some(content_type), is_usual: *is_usual };
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(50)]);
        assert_eq!(kind(judge(&file, &ends(bytes))), *verdict, "{extension}, {content_type}, {is_usual}: {start}");
    }
}

#[test]
fn both_ends_are_kept_however_a_file_comes() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
    for piece in [1, 4095, 4096, 4097, 65_537, 200_000] {
        let mut ends = Ends::default();
        bytes.chunks(piece).for_each(|piece| ends.take(piece));
        assert_eq!(ends.head(), &bytes[..HEAD_BYTES]);
        assert_eq!(ends.tail(), &bytes[bytes.len() - TAIL_BYTES..]);
        assert_eq!(ends.size(), bytes.len() as u64);
    }
}
