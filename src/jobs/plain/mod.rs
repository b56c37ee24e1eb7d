//! plain: the archive as plain folders that need no Acervo to be read, and a manifest from which an instance can be rebuilt.
//!
//! ```text
//! DIR/manifest.ndjson                                 one row of the database a line
//! DIR/SHA256SUMS                                      the manifest and every file, for `sha256sum -c`
//! DIR/Deck NEWAVE/2025-02/1/deck_newave_2025_02.zip   product / period / revision / published name
//! DIR/.acervo/                                        work in progress
//! ```
//!
//! Files are complete once they have their names. The manifest is written after the files that it names, so a folder whose export was
//! interrupted has the manifest of the export before, or none, and the next export completes it.
mod export;
mod folders;
mod manifest;
mod restore;
mod rows;
mod select;
mod sums;

pub use export::{Event, ExportReport, ExportRequest, export};
pub use restore::{RestoreEvent, RestoreReport, restore};
