//! What an extension and a media type promise.
use super::sniff::Format;

/// What kind of file an extension promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Page,
    Markup,
    Json,
    Pdf,
    Zip,
    /// A document that is a zip.
    OfficeZip,
    /// A workbook or document of the formats before 2007, which programs also write as HTML, XML or text.
    Office,
    /// Formats that are not text: images, other archives, databases.
    Binary,
    /// Lines of data.
    Text,
    Unknown,
}

impl Expected {
    pub fn of(extension: Option<&str>) -> Self {
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

    /// Whether files of this kind are never text.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Pdf | Self::Zip | Self::OfficeZip | Self::Office | Self::Binary)
    }

    /// Whether files of this kind begin with a known signature. A zip may have a program in front of it, and is opened,
    /// which says more.
    pub fn has_signature(self) -> bool {
        matches!(self, Self::Pdf | Self::OfficeZip | Self::Office)
    }

    /// Whether it counts what earlier files of the product were: no program opens a page as a PDF.
    pub fn varies(self) -> bool {
        !matches!(self, Self::Pdf | Self::Zip | Self::OfficeZip | Self::Binary)
    }

    pub fn begins_as(self, format: Format) -> bool {
        match self {
            Self::Pdf => format == Format::Pdf,
            Self::Zip | Self::OfficeZip => format == Format::Zip,
            Self::Office => matches!(format, Format::Compound | Format::OldSheet | Format::Zip),
            _ => false,
        }
    }
}

/// Whether a media type is HTML.
pub fn is_page_type(content_type: &str) -> bool {
    matches!(content_type, "text/html" | "application/xhtml+xml")
}

pub(super) fn is_office_type(content_type: &str) -> bool {
    let types =
        ["application/msexcel", "application/x-msexcel", "application/x-excel", "application/excel", "application/xls"];
    content_type.starts_with("application/vnd.ms-")
        || types.contains(&content_type)
        || matches!(content_type, "application/x-xls" | "application/x-dos_ms_excel" | "application/msword")
}

pub(super) fn is_json_type(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}
