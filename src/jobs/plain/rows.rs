//! The rows of a manifest, completed with the paths of their files.
use std::collections::HashSet;

use serde_json::json;

use super::folders::Folders;
use super::manifest::{digest, is_null, text};
use crate::domain::Digest;
use crate::engine::record::{Columns, RowKind};

/// Completes rows for the manifest.
pub(super) struct Rows {
    pub folders: Folders,
    /// The files that revisions have.
    pub live: HashSet<Digest>,
    /// Files that the manifest names.
    pub files: u64,
    pub links: bool,
}

impl Rows {
    /// Returns the path of a revision whose file is not in the archive any more, and why.
    pub fn prepare(&mut self, kind: RowKind, row: &mut Columns) -> anyhow::Result<Option<(String, &'static str)>> {
        match kind {
            RowKind::Product => {
                let folder = self.folders.product(row)?;
                row.insert("folder".to_owned(), folder.into());
            }
            RowKind::Publication => self.folders.publication(row)?,
            RowKind::Revision => return self.prepare_revision(row),
            RowKind::File => {
                // Bytes that no revision has are not exported.
                if is_null(row, "removed_at") && !self.live.contains(&digest(row)?) {
                    let at = ["tombstone_at", "stored_at"].into_iter().find(|name| !is_null(row, name));
                    let at = at.and_then(|name| row.get(name).cloned()).unwrap_or_default();
                    row.insert("removed_at".to_owned(), at);
                }
            }
            RowKind::Notification if !self.links => _ = row.insert("link".to_owned(), json!(null)),
            RowKind::Notification
            | RowKind::Source
            | RowKind::SourceHour
            | RowKind::Alias
            | RowKind::Member
            | RowKind::ProductRemoval
            | RowKind::Replay
            | RowKind::Validator
            | RowKind::Change
            | RowKind::RetentionRun
            | RowKind::JobRun => {}
        }
        Ok(None)
    }

    fn prepare_revision(&mut self, row: &mut Columns) -> anyhow::Result<Option<(String, &'static str)>> {
        let Some(path) = self.folders.revision(row)? else {
            let id = text(row, "id")?.to_owned();
            return Ok(Some((format!("revision {id}"), "its publication does not exist; see `acervo verify`")));
        };
        if !is_null(row, "swept_at") {
            return Ok(Some((path, "retention removed it")));
        }
        self.live.insert(digest(row)?);
        self.files += 1;
        row.insert("path".to_owned(), path.into());
        Ok(None)
    }
}
