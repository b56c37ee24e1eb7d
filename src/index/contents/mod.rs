//! The text inside files: an index of its own, beside that of names, so that neither its size nor its writes touch searches by name.
//!
//! It has one document per text (a file, or a member of a zip) under the digest of its file, and knows neither publications nor revisions: these
//! are found by the digests in the other index. It is derived data like that one, but takes long to derive, so it outlives a rebuild of
//! the other.
mod mark;
mod open;
mod schema;
mod search;
mod write;

pub use mark::{Fragment, MarkedLine};
pub use open::Contents;
pub(super) use schema::high_of;
pub use search::{ContentMatch, Matching};
pub use write::{ContentWriter, FileText, Outcome, TextDocument};
