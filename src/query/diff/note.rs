//! What the numbers of a diff do not show, or why there are none. Written in English, as the API has it; edges may say it in other words.
use std::fmt;

use crate::engine::compare;

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    From,
    To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffNote {
    /// Of two contents.
    Content(compare::Note),
    /// A member has another name and nothing else.
    SameContent,
    /// A text has more bytes than are compared by line.
    TooLarge { mebibytes_max: u64 },
    /// A content cannot be unpacked: why, as the reader of zips says it.
    NotUnpacked(String),
    /// The contents differ, and are not text.
    Binary,
    /// Files of more bytes are not opened.
    FilesTooLarge { gibibytes_max: u64 },
    /// A file that should be a zip is none: why, as the reader of zips says it.
    NotAZip { side: Side, why: String },
    /// One file is a zip and the other is not.
    OneZip,
    /// The members of two zips are the same, though the files differ.
    SameMembers,
    /// Not all members of a zip were listed.
    MembersCut,
    /// More members differ than are listed.
    ChangesCut { changes_max: usize },
    /// The comparison reached its bounds of time or bytes.
    Unfinished,
}

impl From<compare::Note> for DiffNote {
    fn from(note: compare::Note) -> Self {
        Self::Content(note)
    }
}

impl DiffNote {
    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.to_string().len()
    }
}

impl fmt::Display for DiffNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(note) => note.fmt(f),
            Self::SameContent => f.write_str("the content is the same"),
            Self::TooLarge { mebibytes_max } => {
                write!(f, "it is larger than {mebibytes_max} MiB, so it is not compared by line")
            }
            Self::NotUnpacked(why) => f.write_str(why),
            Self::Binary => f.write_str("the contents differ, and are not text"),
            Self::FilesTooLarge { gibibytes_max } => {
                write!(f, "files of more than {gibibytes_max} GiB are not compared")
            }
            Self::NotAZip { side, why } => {
                let which = match side {
                    Side::From => "first",
                    Side::To => "second",
                };
                write!(f, "the {which} file does not open as a zip: {why}")
            }
            Self::OneZip => f.write_str("one file is a zip and the other is not, so their contents are not compared"),
            Self::SameMembers => {
                f.write_str("the members are the same, and only timestamps or how the zips are packed differ")
            }
            Self::MembersCut => f.write_str(
                "a zip has more members than are compared: members that only the other file has are not listed",
            ),
            Self::ChangesCut { changes_max } => {
                write!(f, "more than {changes_max} members differ: the rest are counted and not listed")
            }
            Self::Unfinished => f.write_str(
                "the comparison reached its limits of time or bytes: not all members were unpacked and compared",
            ),
        }
    }
}
