//! What numbers of lines and cells do not show, or why there are none. Written in English, as the API has it; edges may say it in other words.
use std::fmt;

/// How the lines of a text end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnds {
    None,
    Lf,
    CrLf,
    Mixed,
}

impl LineEnds {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lf => "LF",
            Self::CrLf => "CRLF",
            Self::Mixed => "both LF and CRLF",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Names of encodings.
    Encoding {
        before: &'static str,
        after: &'static str,
    },
    LineEnds {
        before: LineEnds,
        after: LineEnds,
    },
    SheetsAdded(Vec<String>),
    SheetsRemoved(Vec<String>),
    /// The name before, and the one after.
    SheetsRenamed(Vec<(String, String)>),
    TooManyLines {
        lines: u64,
        lines_max: u64,
    },
    /// Why a workbook was not read.
    Unreadable(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Encoding { before, after } => write!(f, "the encoding changed from {before} to {after}"),
            Self::LineEnds { before, after } => {
                write!(f, "the line ends changed from {} to {}", before.name(), after.name())
            }
            Self::SheetsAdded(names) => write!(f, "sheets added: {}", quoted(names)),
            Self::SheetsRemoved(names) => write!(f, "sheets removed: {}", quoted(names)),
            Self::SheetsRenamed(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(before, after)| format!("`{before}` to `{after}`")).collect();
                write!(f, "sheets renamed: {}", pairs.join(", "))
            }
            Self::TooManyLines { lines, lines_max } => {
                write!(f, "it has {lines} lines, and up to {lines_max} are compared")
            }
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}
