//! Objects that no row refers to, and what else another machine may be about to record.
//!
//! An object may be seen before its row is: a file is stored first and recorded afterwards. Until then its process has noted it
//! (`Archive::noted`), which only processes of the same machine see. If others share the database, what seems wrong is therefore looked at a
//! second time after a while, and is not a finding before that. A run that is interrupted in between continues before it. Where other replicas
//! are, an import or an outage of the database may take them longer than that, so an object without a row is no finding on its first day.
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::files::{Objects, of_file};
use super::run::{Pass, Position};
use crate::domain::{Breakage, Digest, DigestRange, Locator};
use crate::engine::record::{FileState, Finding};
use crate::engine::store::ObjectEntry;

/// How long another machine may take to record a file that it has stored.
const RECORDED_WITHIN: Duration = Duration::from_secs(15);

/// How long it may take at most: longer than an import of a tar, or an outage of the database.
const RECORDED_WITHIN_MAX: Duration = Duration::from_secs(24 * 3600);

fn recorded_within() -> Duration {
    fail::fail_point!("verify-second-look", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(RECORDED_WITHIN, Duration::from_millis)
    });
    RECORDED_WITHIN
}

/// What is to be looked at again, the oldest first.
#[derive(Default)]
pub(super) struct Suspects(VecDeque<Suspect>);

#[derive(Clone, Copy)]
struct Suspect {
    due: Instant,
    /// Where the run has to continue to find it again.
    position: Position,
    what: Suspicion,
}

#[derive(Clone, Copy)]
enum Suspicion {
    /// No row refers to the object.
    Orphan(ObjectEntry),
    /// The object of a file has another digest than was recorded.
    Altered(Digest),
}

impl Suspects {
    /// Where a run that is interrupted now has to continue.
    pub fn position(&self) -> Option<Position> {
        self.0.front().map(|suspect| suspect.position)
    }
}

impl Pass<'_> {
    /// Objects of a range that no row refers to.
    pub async fn find_orphans(
        &mut self,
        range: DigestRange,
        files: &[FileState],
        objects: &Objects,
    ) -> anyhow::Result<()> {
        let live: HashMap<Digest, Locator> =
            files.iter().map(|state| (state.file.digest, state.file.locator())).collect();
        let listed = objects.range(range.first..=range.last).flat_map(|(_, entries)| entries);
        let without_row: Vec<ObjectEntry> =
            listed.filter(|entry| live.get(&entry.locator.digest) != Some(&entry.locator)).copied().collect();
        let orphans = self.orphans_among(&without_row).await?;
        if self.app.record.is_shared() {
            self.suspect(orphans.into_iter().map(|(entry, _)| Suspicion::Orphan(entry)));
            return self.settle_suspects(false).await;
        }
        self.save_findings(&orphans.into_iter().map(|(_, finding)| finding).collect::<Vec<_>>()).await
    }

    /// Objects that were altered and still decode to the right bytes.
    pub async fn find_altered(&mut self, digests: &[Digest]) -> anyhow::Result<()> {
        let altered = self.altered_among(digests).await?;
        if self.app.record.is_shared() {
            self.suspect(altered.into_iter().filter_map(|finding| finding.digest).map(Suspicion::Altered));
            return Ok(());
        }
        self.save_findings(&altered).await
    }

    fn suspect(&mut self, some: impl Iterator<Item = Suspicion>) {
        let (due, position) = (Instant::now() + recorded_within(), self.page_start);
        self.suspects.0.extend(some.map(|what| Suspect { due, position, what }));
    }

    /// Looks again at suspects after a while; `waits` for all of them.
    pub async fn settle_suspects(&mut self, waits: bool) -> anyhow::Result<()> {
        while let Some(Suspect { due, .. }) = self.suspects.0.front().copied() {
            if due > Instant::now() {
                if !waits {
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.app.stop.cancelled() => {}
                }
            }
            self.check()?;
            let now = Instant::now();
            let (mut objects, mut altered) = (Vec::new(), Vec::new());
            // They are suspects until what they turn out to be is recorded.
            let some = self.suspects.0.iter().take_while(|suspect| suspect.due <= now);
            let count = some
                .map(|suspect| match suspect.what {
                    Suspicion::Orphan(entry) => objects.push(entry),
                    Suspicion::Altered(digest) => altered.push(digest),
                })
                .count();
            let orphans = self.orphans_among(&objects).await?;
            let mut found: Vec<Finding> = orphans.into_iter().map(|(_, finding)| finding).collect();
            found.extend(self.altered_among(&altered).await?);
            self.save_findings(&found).await?;
            self.suspects.0.drain(..count);
        }
        Ok(())
    }

    /// Those of these files whose objects were altered.
    async fn altered_among(&mut self, digests: &[Digest]) -> anyhow::Result<Vec<Finding>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        // One that is being stored again has another digest until it is recorded.
        let being_stored = self.app.store.being_stored().await?;
        let states = self.app.record.verify().file_states(digests).await?;
        let mut found = Vec::new();
        for state in states.into_values() {
            let digest = state.file.digest;
            if being_stored.contains(&digest) || state.is_removed || state.is_leaving {
                continue;
            }
            if let Ok(Some(stored)) = self.read(state.file).await?
                && state.stored_digest.is_some_and(|known| known != stored)
            {
                let detail = "its object was altered, and still reads back as it was archived".to_owned();
                found.push(of_file(format!("altered:{digest}"), Breakage::Altered, digest, detail));
            }
        }
        Ok(found)
    }

    /// Whether a process of another machine, whose notes are not seen here, may still record an object.
    async fn may_be_recorded(&self, locator: Locator) -> anyhow::Result<bool> {
        if !self.has_peers {
            return Ok(false);
        }
        Ok(self.app.store.age(locator).await?.is_some_and(|age| age < RECORDED_WITHIN_MAX))
    }

    /// Those of these objects that no row refers to, and that nobody is recording or removing.
    async fn orphans_among(&self, objects: &[ObjectEntry]) -> anyhow::Result<Vec<(ObjectEntry, Finding)>> {
        if objects.is_empty() {
            return Ok(Vec::new());
        }
        // The notes before the rows: a note is struck out after its row is committed.
        let noted = self.app.store.noted().await?;
        let digests: Vec<Digest> = objects.iter().map(|entry| entry.locator.digest).collect();
        let states = self.app.record.verify().file_states(&digests).await?;
        let mut orphans = Vec::new();
        for entry in objects {
            let locator = entry.locator;
            let why = match states.get(&locator.digest) {
                _ if noted.contains(&locator.digest) => continue,
                Some(state) if state.is_leaving => continue,
                Some(state) if !state.is_removed && state.file.locator() == locator => continue,
                None => "no row refers to the object".to_owned(),
                Some(state) if state.is_removed => "the file was removed, and its object exists again".to_owned(),
                Some(state) => format!("a second object of a file that is stored as {}", state.file.encoding.as_str()),
            };
            // It may have been removed since it was listed.
            if self.app.store.contains(locator).await? && !self.may_be_recorded(locator).await? {
                let detail = format!("{why} ({} bytes, {})", entry.stored_size, locator.encoding.as_str());
                orphans.push((*entry, of_file(id_of(locator), Breakage::Orphan, locator.digest, detail)));
            }
        }
        Ok(orphans)
    }
}

/// The id of the finding of an orphan.
fn id_of(locator: Locator) -> String {
    format!("orphan:{}:{}", locator.digest, locator.encoding.as_str())
}
