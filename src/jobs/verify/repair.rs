//! Repairs what verification found, item by item.
//!
//! Good bytes come from another object of the archive, from a source that the operator gave, or from a link that has not expired. They
//! are compared with the digest before they replace anything. The damaged object is kept aside until the good one is stored durably, is
//! recorded, and was read back. Every step can be interrupted: the next repair begins the file anew, and removes what was kept aside.
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use super::sources::{Found, Source, Wanted, pour_peer, pour_reader};
use super::{Busy, LOCK};
use crate::app::App;
use crate::domain::{Breakage, Digest, PublicationId, StoredFile};
use crate::engine::record::{BrokenItem, NotificationQuery, RecordError, Use};
use crate::engine::store::{CopyPath, Put, StoreError};
use crate::jobs::lock::Guard;
use crate::jobs::{fault, follow};

/// How long a repair waits for a run in progress.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Revisions by which another Acervo is asked for a file that it does not find by its digest.
const REVISIONS_MAX: usize = 5;

/// Uses of a file of which links are looked for.
const USES_MAX: u64 = 100;

/// What a repair did about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Good bytes are in place; says where they came from.
    Repaired { from: String },
    /// The link of a notification has not expired: the service fetches the file again.
    Queued { notifications: u64 },
    /// A second object of a file was removed.
    Removed,
    /// A row refers to the object by now.
    InUse,
    /// The index was built again, or the service is building it.
    Reindexed,
    /// Says what was tried.
    NotRepaired { reasons: Vec<String> },
}

impl Outcome {
    /// Whether the item is not broken any more.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Repaired { .. } | Self::Removed | Self::InUse | Self::Reindexed => true,
            Self::Queued { .. } | Self::NotRepaired { .. } => false,
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::Repaired { from } => format!("repaired from {from}"),
            Self::Queued { notifications } => {
                format!(
                    "queued {notifications} notifications whose links have not expired: the service fetches the file again"
                )
            }
            Self::InUse => "a row refers to the object again".to_owned(),
            Self::Removed => "removed: the other object of the file is sound".to_owned(),
            Self::Reindexed => "the search index is built again".to_owned(),
            Self::NotRepaired { reasons } if reasons.is_empty() => {
                "not repaired: there is nothing to repair it from".to_owned()
            }
            Self::NotRepaired { reasons } => format!("not repaired: {}", reasons.join("; ")),
        }
    }
}

/// Repairs items, under the lock of verification.
pub struct Repairer {
    app: App,
    guard: Guard,
    sources: Vec<Source>,
    found: Found,
    is_reindexed: bool,
}

impl Repairer {
    pub async fn begin(app: &App, sources: Vec<Source>) -> anyhow::Result<Self> {
        let holder = format!("repair-{}", uuid::Uuid::now_v7());
        let Some(guard) = Guard::wait(app, LOCK, &holder, LOCK_TIMEOUT).await? else { bail!(Busy) };
        Ok(Self { app: app.clone(), guard, sources, found: Found::default(), is_reindexed: false })
    }

    pub async fn end(self) {
        self.guard.release().await;
    }

    /// Looks for the bytes of some items in the given folders, so that each folder is searched once for all of them.
    pub async fn prepare(&mut self, items: &[&BrokenItem]) -> anyhow::Result<()> {
        let folder = |source: &Source| match source {
            Source::Folder(path) => Some(path.clone()),
            Source::Peer(_) => None,
        };
        let folders: Vec<PathBuf> = self.sources.iter().filter_map(folder).collect();
        let wanted = items
            .iter()
            .filter(|item| needs_bytes(item))
            .filter_map(|item| Some(Wanted { digest: item.digest?, size: item.file.map(|file| file.size) }));
        let wanted: Vec<Wanted> = wanted.collect();
        self.found = tokio::task::spawn_blocking(move || Found::search(&folders, &wanted)).await??;
        Ok(())
    }

    /// Repairs an item as far as possible. An error ends the repair as a whole.
    pub async fn repair(&mut self, item: &BrokenItem) -> anyhow::Result<Outcome> {
        self.guard.check("stop-in-repair")?;
        let outcome = match (item.kind, item.digest) {
            (Breakage::NotIndexed | Breakage::NotRecorded, _) => self.reindex().await?,
            (Breakage::Orphan, Some(digest)) => self.remove_second(digest).await?,
            (Breakage::Altered, Some(digest)) => self.rewrite(digest).await?,
            (_, Some(digest)) if needs_bytes(item) => self.restore(digest, item.file).await?,
            _ => Outcome::NotRepaired {
                reasons: vec!["the row has to be repaired from a backup of the database".to_owned()],
            },
        };
        if outcome.is_done() && item.file.is_none() {
            self.app.record.verify().forget_finding(&item.key).await?;
        }
        Ok(outcome)
    }

    /// Builds the index again, once for all items of it.
    async fn reindex(&mut self) -> anyhow::Result<Outcome> {
        if !std::mem::replace(&mut self.is_reindexed, true) && !follow::rebuild(&self.app, &|_, _| {}).await? {
            self.app.record.feed().request_reindex().await?;
        }
        Ok(Outcome::Reindexed)
    }

    /// Removes further objects of a file whose own object is sound.
    async fn remove_second(&mut self, digest: Digest) -> anyhow::Result<Outcome> {
        let stays = |why: &str| Ok(Outcome::NotRepaired { reasons: vec![why.to_owned()] });
        let states = self.app.record.verify().file_states(&[digest]).await?;
        let Some(state) = states.get(&digest).filter(|state| !state.is_removed && !state.is_leaving) else {
            return stays("no row refers to the file, and what may be the only copy is not deleted");
        };
        if self.app.store.check(state.file).await.is_err() {
            return stays("the other object of the file is not sound");
        }
        if self.app.store.noted().await?.contains(&digest) {
            return stays("the file is being stored at this moment");
        }
        let copies = self.app.store.other_copies(state.file).await?;
        for copy in &copies {
            self.app.store.remove_copy(*copy).await?;
        }
        Ok(if copies.is_empty() { Outcome::InUse } else { Outcome::Removed })
    }

    /// Writes an object again from its own bytes.
    async fn rewrite(&mut self, digest: Digest) -> anyhow::Result<Outcome> {
        let Some(file) = self.app.record.files().stored_file(digest).await? else {
            return Ok(Outcome::NotRepaired { reasons: vec!["the file is not stored any more".to_owned()] });
        };
        let put = pour_reader(&self.app, self.app.store.reader_of(file.locator()).await?, file.size).await;
        Ok(match self.finish(put, file.digest, true).await? {
            Ok(()) => Outcome::Repaired { from: "its own bytes".to_owned() },
            Err(reason) => Outcome::NotRepaired { reasons: vec![reason] },
        })
    }

    /// Restores a file from whatever has its bytes.
    async fn restore(&mut self, digest: Digest, file: Option<StoredFile>) -> anyhow::Result<Outcome> {
        let mut reasons = Vec::new();
        let size_max = file.map_or(self.app.settings.fetch.max_bytes, |file| file.size);
        // Another object of the file; where it has no row, any of its objects.
        for locator in self.app.store.objects_of(digest).await? {
            if file.is_some_and(|file| file.locator() == locator) {
                continue;
            }
            let put = match self.app.store.reader_of(locator).await {
                Ok(reader) => pour_reader(&self.app, reader, size_max).await,
                Err(e) => Err(e.into()),
            };
            match self.finish(put, digest, false).await? {
                Ok(()) => return Ok(Outcome::Repaired { from: "another object of the archive".to_owned() }),
                Err(reason) => reasons.push(format!("the object in {}: {reason}", locator.encoding.as_str())),
            }
        }
        let (uses, _) = self.app.record.verify().uses(digest, None, USES_MAX).await?;
        for source in self.sources.clone() {
            let from = source.name();
            match self.restore_from(&source, digest, size_max, &uses).await? {
                Ok(()) => return Ok(Outcome::Repaired { from }),
                Err(reason) => reasons.push(format!("{from}: {reason}")),
            }
        }
        match self.queue_fetches(&uses).await? {
            0 => Ok(Outcome::NotRepaired { reasons }),
            notifications => Ok(Outcome::Queued { notifications }),
        }
    }

    /// Restores a file from a source; the inner error says why that is not possible.
    async fn restore_from(
        &mut self,
        source: &Source,
        digest: Digest,
        size_max: u64,
        uses: &[Use],
    ) -> anyhow::Result<Result<(), String>> {
        match source {
            Source::Folder(folder) => {
                let mut last = "it does not have the file".to_owned();
                for copy in self.found.copies(folder, digest) {
                    let CopyPath { path, .. } = &copy;
                    let path = path.display().to_string();
                    let opening = copy.clone();
                    let opened = tokio::task::spawn_blocking(move || opening.open(digest)).await?;
                    let put = match opened {
                        Ok(reader) => pour_reader(&self.app, reader, size_max).await,
                        Err(e) => Err(e.into()),
                    };
                    match self.finish(put, digest, false).await? {
                        Ok(()) => return Ok(Ok(())),
                        Err(reason) => last = format!("{path}: {reason}"),
                    }
                }
                Ok(Err(last))
            }
            Source::Peer(peer) => {
                let revisions = uses.iter().take(REVISIONS_MAX).map(|using| using.revision.to_string());
                let mut last = "it does not have the file".to_owned();
                for id in std::iter::once(digest.to_string()).chain(revisions) {
                    let put = match peer.file(&id).await {
                        Ok(None) => continue,
                        Ok(Some(file)) => pour_peer(&self.app, file, size_max).await,
                        Err(e) => return Ok(Err(e.to_string())),
                    };
                    match self.finish(put, digest, false).await? {
                        Ok(()) => return Ok(Ok(())),
                        Err(reason) => last = reason,
                    }
                }
                Ok(Err(last))
            }
        }
    }

    /// Makes bytes that were copied the object of a file, if they are its bytes, and records that. The inner error says why they are not
    /// used.
    async fn finish(
        &mut self,
        copied: anyhow::Result<Put>,
        digest: Digest,
        replaces_sound: bool,
    ) -> anyhow::Result<Result<(), String>> {
        let put = match copied {
            Ok(put) => put,
            Err(e) => return Ok(Err(format!("{e:#}"))),
        };
        fault("repair-before-put");
        // Another process may have taken the lock meanwhile.
        self.guard.check("stop-in-repair")?;
        let stored = match put.finish_repair(digest, replaces_sound).await {
            Ok(stored) => stored,
            Err(e) if e.is_full() || matches!(e, StoreError::DiskFull(_) | StoreError::Interrupted) => {
                return Err(e).context("the file cannot be stored");
            }
            Err(e) => return Ok(Err(e.to_string())),
        };
        if let Err(e) = self.app.store.check(stored.file).await {
            return Ok(Err(format!("what was stored does not read back: {e}")));
        }
        fault("repair-before-record");
        match self.app.record.files().save_repaired(&stored.file, stored.stored_digest, self.app.clock.now()).await {
            Ok(()) => stored.unrecorded.recorded(),
            Err(RecordError::FileGone) => return Ok(Err("the file was removed, or is being removed".to_owned())),
            Err(e) => return Err(e.into()),
        }
        fault("repair-after-record");
        for copy in self.app.store.other_copies(stored.file).await? {
            self.app.store.remove_copy(copy).await?;
        }
        self.app.store.discard_aside(digest).await?;
        fault("repair-after-discard");
        Ok(Ok(()))
    }

    /// Queues the notifications of revisions again whose links have not expired. Returns how many.
    async fn queue_fetches(&self, uses: &[Use]) -> anyhow::Result<u64> {
        let mut publications: HashSet<PublicationId> = HashSet::new();
        let mut queued = 0;
        for publication in uses.iter().map(|using| using.publication) {
            if publications.insert(publication) {
                let of = NotificationQuery { publication_id: Some(publication), ..NotificationQuery::default() };
                queued += self.app.record.queue().retry(&of, self.app.clock.now()).await?.queued;
            }
        }
        Ok(queued)
    }
}

/// Whether an item is repaired with the bytes of a file.
fn needs_bytes(item: &BrokenItem) -> bool {
    item.kind.is_of_a_file() || (item.kind == Breakage::Dangling && item.key.starts_with("dangling:unstored:"))
}
