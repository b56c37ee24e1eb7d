//! Whether what came is the published file: a rule over its name, the type it was sent with, its first and last bytes, and
//! what the product's earlier files were. `docs/files.md` says it in words.
mod sniff;

use sniff::Looks;

/// How much of a file's start is looked at: pages may begin with long comments.
const HEAD_BYTES: usize = 64 << 10;

/// How much of its end: the end of a PDF and of a zip's directory stand there.
const TAIL_BYTES: usize = 4 << 10;

/// A text without a tag, sent as a page, is a message where it is shorter than this, and data where it is longer.
const MESSAGE_BYTES_MAX: u64 = 2 << 10;

/// The warning of a workbook or document that is markup.
pub const UNUSUAL_MARKUP: &str =
    "it is a workbook or document written as HTML or XML, not the binary form that its name promises";

/// The first and last bytes of a file, gathered as it passes.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
    size: u64,
}

impl Ends {
    pub fn take(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.size += bytes.len() as u64;
        let newest = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let kept = TAIL_BYTES.saturating_sub(newest.len());
        self.tail.drain(..self.tail.len().saturating_sub(kept));
        self.tail.extend_from_slice(newest);
    }

    pub fn head(&self) -> &[u8] {
        &self.head
    }
}

/// What is known of a file beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// Folded, of the published name.
    pub extension: Option<&'a str>,
    /// Without parameters, in lower case.
    pub content_type: Option<&'a str>,
    /// Whether the product's earlier files of this extension were archived although they looked like this.
    pub is_usual: bool,
}

/// What is to be done with what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    File,
    /// The published file in an unusual form: archived, with a warning.
    Unusual(&'static str),
    /// Perhaps not what was published, or not all of it: archived with a warning, and fetched once more.
    Doubtful(&'static str),
    /// A page in the place of the file: not archived.
    Page,
}

/// What an extension promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Page,
    Markup,
    Json,
    Pdf,
    Zip,
    /// A zip with a document in it.
    OfficeZip,
    /// A workbook or document of before 2007, which programs also write as HTML, XML or text.
    Office,
    /// Bytes that no text has: images, other archives, databases.
    Binary,
    /// Data in lines.
    Text,
    Unknown,
}

impl Expected {
    fn of(extension: Option<&str>) -> Self {
        match extension.unwrap_or_default() {
            "htm" | "html" | "xhtml" | "shtml" | "mht" | "mhtml" => Self::Page,
            "xml" | "xsd" | "xsl" | "kml" | "gml" | "svg" | "rss" | "atom" | "rdf" => Self::Markup,
            "json" | "geojson" | "ndjson" | "jsonl" => Self::Json,
            "pdf" => Self::Pdf,
            "zip" | "kmz" => Self::Zip,
            "xlsx" | "xlsm" | "xlsb" | "xltx" | "docx" | "docm" | "pptx" | "pptm" | "odt" | "ods" | "odp" => {
                Self::OfficeZip
            }
            "xls" | "xlt" | "doc" => Self::Office,
            "png" | "jpg" | "jpeg" | "gif" | "tif" | "tiff" | "bmp" | "gz" | "tgz" | "7z" | "rar" | "bz2" | "xz"
            | "zst" => Self::Binary,
            "nc" | "grb" | "grib" | "grb2" | "grib2" | "shp" | "shx" | "dbf" | "mdb" | "accdb" | "exe" | "mp4" => {
                Self::Binary
            }
            "txt" | "csv" | "tsv" | "dat" | "prn" | "log" | "dad" | "out" | "inp" | "md" => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// Whether no file of this kind is markup, JSON or a message.
    fn is_binary(self) -> bool {
        matches!(self, Self::Pdf | Self::Zip | Self::OfficeZip | Self::Office | Self::Binary)
    }

    /// Whether files of this kind begin with a mark that is known here. A zip may have a program before it: it is opened,
    /// which says more.
    fn has_mark(self) -> bool {
        matches!(self, Self::Pdf | Self::OfficeZip | Self::Office)
    }

    /// Whether what the product's earlier files looked like says anything: no program opens a page as a PDF.
    fn varies(self) -> bool {
        !matches!(self, Self::Pdf | Self::Zip | Self::OfficeZip | Self::Binary)
    }

    fn is_begun_by(self, looks: Looks) -> bool {
        match self {
            Self::Pdf => looks == Looks::Pdf,
            Self::Zip | Self::OfficeZip => looks == Looks::Zip,
            Self::Office => matches!(looks, Looks::Compound | Looks::OldSheet | Looks::Zip),
            _ => false,
        }
    }
}

/// The rule.
pub fn judge(sent: &Sent<'_>, ends: &Ends) -> Verdict {
    let expected = Expected::of(sent.extension);
    let looks = Looks::of(&ends.head);
    if expected == Expected::Page {
        return Verdict::File;
    }
    if expected.is_begun_by(looks) {
        return whole(expected, looks, ends);
    }
    let said_page = sent.content_type.is_some_and(is_page_type);
    match looks {
        Looks::Html(_) | Looks::Fragment(_) | Looks::Xml(_) => of_markup(sent, expected, looks, said_page),
        Looks::Json if expected.is_binary() => {
            Verdict::Doubtful("it is a JSON document, perhaps an error message, in the place of the file")
        }
        Looks::Json if expected == Expected::Text && sent.content_type.is_some_and(is_json_type) => {
            Verdict::Doubtful("it is a JSON document, perhaps an error message, in the place of the file")
        }
        Looks::Text if said_page && !(sent.is_usual && expected.varies()) => {
            if expected.is_binary() || ends.size <= MESSAGE_BYTES_MAX {
                Verdict::Page
            } else {
                Verdict::Doubtful("it was sent as an HTML page, and has no tag at its beginning")
            }
        }
        Looks::Text if expected == Expected::Office => {
            Verdict::Unusual("it is a text, which spreadsheets open, and not the binary form that its name promises")
        }
        Looks::Text if expected == Expected::Binary => {
            Verdict::Doubtful("it is a text, perhaps an error message, in the place of the file")
        }
        _ if expected.has_mark() => Verdict::Doubtful("it does not begin as a file of its kind does"),
        _ => Verdict::File,
    }
}

fn of_markup(sent: &Sent<'_>, expected: Expected, looks: Looks, said_page: bool) -> Verdict {
    let markup = looks.markup().unwrap_or_default();
    let is_xml = matches!(looks, Looks::Xml(_));
    if expected == Expected::Office && !(is_xml && markup.is_error) {
        let said_office = sent.content_type.is_some_and(is_office_type);
        // By its marks, by its name and type with a table in it, or as all before it; never where it asks for something.
        let is_table = said_office && markup.has_table;
        if !markup.has_form && (markup.is_office || is_table || sent.is_usual) {
            return Verdict::Unusual(UNUSUAL_MARKUP);
        }
    }
    let is_page = match looks {
        Looks::Html(_) => true,
        Looks::Fragment(_) => said_page || expected.is_binary(),
        _ => said_page && expected != Expected::Markup,
    };
    match expected {
        Expected::Markup if matches!(looks, Looks::Fragment(_)) => Verdict::File,
        Expected::Markup if is_xml && markup.is_error => {
            Verdict::Doubtful("it is an XML document that reports an error")
        }
        _ if is_page && sent.is_usual && expected.varies() && !markup.has_form => Verdict::File,
        _ if is_page => Verdict::Page,
        _ if is_xml && (expected.is_binary() || expected == Expected::Json || markup.is_error) => {
            Verdict::Doubtful("it is an XML document, perhaps an error message, in the place of the file")
        }
        _ => Verdict::File,
    }
}

/// Whether a file that begins well also ends well. Zips are opened, which says more.
fn whole(expected: Expected, looks: Looks, ends: &Ends) -> Verdict {
    let ends_with = |mark: &[u8]| memchr::memmem::rfind(&ends.tail, mark).is_some();
    match (expected, looks) {
        (Expected::Pdf, _) if !ends_with(b"%%EOF") => Verdict::Doubtful("the PDF has no end (%%EOF): it seems cut off"),
        (Expected::OfficeZip | Expected::Office, Looks::Zip) if !ends_with(b"PK\x05\x06") => {
            Verdict::Doubtful("the workbook or document has no zip directory: it seems cut off")
        }
        (_, Looks::Compound) if !is_whole_compound(ends) => {
            Verdict::Doubtful("the workbook or document is shorter than its own tables say: it seems cut off")
        }
        _ => Verdict::File,
    }
}

/// Whether the sectors that a compound file's header names lie within it.
fn is_whole_compound(ends: &Ends) -> bool {
    let word = |at: usize| ends.head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let shift = ends.head.get(30).copied().unwrap_or_default();
    if ends.head.len() < 512 || !matches!(shift, 9 | 12) {
        return false;
    }
    // Where the directory begins, and the tables of sectors.
    let named = std::iter::once(48).chain((76..512).step_by(4)).filter_map(word).filter(|sector| *sector < 0xffff_fffa);
    named.into_iter().all(|sector| (u64::from(sector) + 1) << shift < ends.size)
}

/// Whether a media type is that of a page.
pub fn is_page_type(content_type: &str) -> bool {
    matches!(content_type, "text/html" | "application/xhtml+xml")
}

fn is_office_type(content_type: &str) -> bool {
    let types =
        ["application/msexcel", "application/x-msexcel", "application/x-excel", "application/excel", "application/xls"];
    content_type.starts_with("application/vnd.ms-")
        || types.contains(&content_type)
        || matches!(content_type, "application/x-xls" | "application/x-dos_ms_excel" | "application/msword")
}

fn is_json_type(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Doubtful, File, Page, Unusual};
    use super::{Ends, Sent, judge};

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
    fn pages_are_no_files_in_any_dress() {
        let long = format!("<!-- {} --><html>", "x".repeat(10_000));
        let endless = format!("<!-- {}", "x".repeat(100_000));
        let dresses = [
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
        for dress in dresses {
            let wide: fn(&str) -> Vec<u8> = |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let marked = format!("\u{feff}{dress}");
            let encodings = [
                dress.as_bytes().to_vec(),
                marked.as_bytes().to_vec(),
                wide(dress),
                wide(&marked),
                marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                marked.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
                marked.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
            ];
            for bytes in encodings {
                for extension in ["pdf", "xlsx", "xls", "zip", "csv", "txt", "dat", "json", "bin", ""] {
                    for content_type in [None, Some(BYTES), Some("text/html"), Some("application/pdf")] {
                        let sent = Sent { extension: Some(extension), content_type, is_usual: false };
                        assert_eq!(judge(&sent, &ends(&bytes)), Page, "{dress:.60} as {extension}, {content_type:?}");
                    }
                }
                let sent = Sent { extension: Some("html"), content_type: None, is_usual: false };
                assert_eq!(judge(&sent, &ends(&bytes)), File, "{dress:.60}");
            }
        }
        let sent = Sent { extension: Some("pdf"), content_type: None, is_usual: false };
        assert_eq!(judge(&sent, &ends(endless.as_bytes())), Page);
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
            (
                "doc",
                "application/msword",
                false,
                b"<html xmlns:w=\"urn:schemas-microsoft-com:office:word\">",
                Unusual(""),
            ),
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
            let sent = Sent { extension: Some(extension), content_type: Some(content_type), is_usual: *is_usual };
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(50)]);
            assert_eq!(kind(judge(&sent, &ends(bytes))), *verdict, "{extension}, {content_type}, {is_usual}: {shown}");
        }
    }

    #[test]
    fn both_ends_are_kept_however_a_file_comes() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
        for piece in [1, 4095, 4096, 4097, 65_537, 200_000] {
            let mut ends = Ends::default();
            bytes.chunks(piece).for_each(|piece| ends.take(piece));
            assert_eq!(ends.head, bytes[..super::HEAD_BYTES]);
            assert_eq!(ends.tail, bytes[bytes.len() - super::TAIL_BYTES..]);
            assert_eq!(ends.size, bytes.len() as u64);
        }
    }
}
