//! What can be wrong with a part of the archive, as an audit finds it.
use std::fmt;

use super::state::states;

states! {
    /// What is wrong with a stored file, a row or an entry of the index.
    Breakage {
        /// The object of a stored file does not exist.
        Missing = "MISSING",
        /// The object cannot be read: the system or the medium refuses.
        Unreadable = "UNREADABLE",
        /// The object does not decode to the bytes that were archived.
        Wrong = "WRONG",
        /// There is something else in the place of the object, such as a folder.
        NotAFile = "NOT_A_FILE",
        /// The object has other bytes than were stored, and still decodes to the bytes that were archived.
        Altered = "ALTERED",
        /// An object that no row refers to.
        Orphan = "ORPHAN",
        /// A row refers to another row that does not exist, or nothing refers to the row of a stored file.
        Dangling = "DANGLING",
        /// A row that the search index does not have.
        NotIndexed = "NOT_INDEXED",
        /// An entry of the search index without a row.
        NotRecorded = "NOT_RECORDED",
    }
}

impl Breakage {
    /// Whether it is the state of a stored file, as recorded with the file.
    pub fn is_of_a_file(self) -> bool {
        match self {
            Self::Missing | Self::Unreadable | Self::Wrong | Self::NotAFile => true,
            Self::Altered | Self::Orphan | Self::Dangling | Self::NotIndexed | Self::NotRecorded => false,
        }
    }

    /// Whether only the search index is concerned, which can be rebuilt at any time.
    pub fn is_of_the_index(self) -> bool {
        matches!(self, Self::NotIndexed | Self::NotRecorded)
    }
}
