//! Repairs what verification found, item by item.
//!
//! Good bytes come from another object of the archive, from a source that the operator gave, or from a link that has not expired. They
//! are compared with the digest before they replace anything. The damaged object is kept aside until the good one is stored durably, is
//! recorded, and was read back. Every step can be interrupted: the next repair begins the file anew, and removes what was kept aside.
//!
//! Other processes store the same files meanwhile, and see no lock of this one. That loses no bytes: an object of a file is replaced by
//! another with the same digest, or moved aside, and never deleted but by [`Repairer::discard_aside`], the same step of a run, and the sweep.
use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};

use super::index::is_of_the_index;
use super::sources::{Found, Source, pour_reader};
use super::{Busy, LOCK};
use crate::app::App;
use crate::domain::{Breakage, Digest, PublicationId, Share};
use crate::engine::record::{BrokenItem, RecordError};
use crate::engine::store::{Put, StoreError};
use crate::jobs::lock::Guard;
use crate::jobs::{Stopped, compact, fault, follow};

/// How long a repair waits for a run in progress.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

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
    pub(super) app: App,
    guard: Guard,
    /// No compaction replaces objects meanwhile.
    compaction: Guard,
    pub(super) sources: Vec<Source>,
    pub(super) share: Share,
    pub(super) found: Found,
    /// Publications of failed notifications whose link has not expired, once they were read.
    pub(super) failed: Option<HashSet<PublicationId>>,
    /// What building the index again did, once that was tried.
    reindexed: Option<Outcome>,
}

impl Repairer {
    /// For the items of a share, in their order.
    pub async fn begin(app: &App, sources: Vec<Source>, share: Share) -> anyhow::Result<Self> {
        let holder = format!("repair-{}", uuid::Uuid::now_v7());
        let Some(guard) = Guard::wait(app, LOCK, &holder, LOCK_TIMEOUT).await? else { bail!(Busy) };
        let Some(compaction) = Guard::wait(app, compact::LOCK, &holder, LOCK_TIMEOUT).await? else {
            guard.release().await;
            bail!(compact::Busy);
        };
        Ok(Self {
            app: app.clone(),
            guard,
            compaction,
            sources,
            share,
            found: Found::default(),
            failed: None,
            reindexed: None,
        })
    }

    pub async fn end(self) {
        self.compaction.release().await;
        self.guard.release().await;
    }

    /// An error if the repair must not go on.
    fn check(&self) -> anyhow::Result<()> {
        self.compaction.check("stop-in-repair")?;
        self.guard.check("stop-in-repair")
    }

    /// Repairs an item as far as possible. An error ends the repair as a whole.
    pub async fn repair(&mut self, item: &BrokenItem) -> anyhow::Result<Outcome> {
        self.check()?;
        let outcome = match (item.kind, item.digest) {
            (Breakage::NotIndexed | Breakage::NotRecorded, _) => self.reindex().await?,
            (Breakage::Orphan, Some(digest)) => self.remove_second(digest).await?,
            (Breakage::Altered, Some(digest)) => self.rewrite(digest).await?,
            (_, Some(digest)) if needs_bytes(item) => self.restore(digest, item).await?,
            (Breakage::Unreadable, None) => Outcome::NotRepaired {
                reasons: vec!["the permissions of the folder or the medium have to be put right".to_owned()],
            },
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
        if let Some(outcome) = &self.reindexed {
            return Ok(outcome.clone());
        }
        let outcome = match follow::rebuild(&self.app, &|_, _| {}).await {
            Ok(true) => Outcome::Reindexed,
            Ok(false) => {
                self.app.record.feed().request_reindex().await?;
                Outcome::Reindexed
            }
            Err(e) if is_of_the_index(&e) => {
                Outcome::NotRepaired { reasons: vec![format!("the search index cannot be built: {e:#}")] }
            }
            Err(e) => return Err(e),
        };
        self.reindexed = Some(outcome.clone());
        Ok(outcome)
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
        if self.app.store.being_stored().await?.contains(&digest) {
            return stays("the file is being stored at this moment");
        }
        let copies = self.app.store.other_copies(state.file).await?;
        for copy in &copies {
            self.app.store.take_copy_away(*copy).await?;
            fault("repair-after-take-away");
        }
        if !self.discard_aside(digest).await? {
            return stays("the file was stored again at this moment; run the repair again");
        }
        Ok(if copies.is_empty() { Outcome::InUse } else { Outcome::Removed })
    }

    /// Removes what is kept aside of a file if the object that its row names reads back well. Another process may store the file at any
    /// time, rely on an object that was just taken away, or take away one that it found damaged before. So nothing is deleted before
    /// another object of the file was read to its end: what is taken away after that has another id. Whether everything was removed.
    async fn discard_aside(&self, digest: Digest) -> anyhow::Result<bool> {
        let aside = self.app.store.aside_of(digest).await?;
        let states = self.app.record.verify().file_states(&[digest]).await?;
        let Some(state) = states.get(&digest).filter(|state| !state.is_removed && !state.is_leaving) else {
            return Ok(false);
        };
        if self.app.store.check(state.file).await.is_err() {
            return Ok(false);
        }
        self.app.store.discard_aside(&aside).await?;
        Ok(true)
    }

    /// Writes an object again from its own bytes.
    pub(super) async fn rewrite(&mut self, digest: Digest) -> anyhow::Result<Outcome> {
        let Some(file) = self.app.record.files().stored_file(digest).await? else {
            return Ok(Outcome::NotRepaired { reasons: vec!["the file is not stored any more".to_owned()] });
        };
        let put = pour_reader(&self.app, self.app.store.reader_of(file.locator()).await?, file.size).await;
        Ok(match self.finish(put, file.digest, true).await? {
            Ok(()) => Outcome::Repaired { from: "its own bytes".to_owned() },
            Err(reason) => Outcome::NotRepaired { reasons: vec![reason] },
        })
    }

    /// Makes bytes that were copied the object of a file, if they are its bytes, and records that. The inner error says why they are not
    /// used.
    pub(super) async fn finish(
        &mut self,
        copied: anyhow::Result<Put>,
        digest: Digest,
        replaces_sound: bool,
    ) -> anyhow::Result<Result<(), String>> {
        let put = match copied {
            Ok(put) => put,
            Err(e) if e.is::<Stopped>() => return Err(e),
            Err(e) => return Ok(Err(format!("{e:#}"))),
        };
        fault("repair-before-put");
        // Another process may have taken the lock meanwhile.
        self.check()?;
        let stored = match put.finish_repair(digest, replaces_sound).await {
            Ok(stored) => stored,
            Err(e) if e.is_full() || e.is_away() || matches!(e, StoreError::DiskFull(_) | StoreError::Interrupted) => {
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
            self.app.store.take_copy_away(copy).await?;
            fault("repair-after-take-away");
        }
        let is_sound = self.discard_aside(digest).await?;
        fault("repair-after-discard");
        Ok(if is_sound { Ok(()) } else { Err("it was stored again at this moment; run the repair again".to_owned()) })
    }
}

/// Whether an item is repaired with the bytes of a file.
pub(super) fn needs_bytes(item: &BrokenItem) -> bool {
    item.kind.is_of_a_file() || (item.kind == Breakage::Dangling && item.key.starts_with("dangling:unstored:"))
}
