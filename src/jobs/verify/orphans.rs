//! Objects that no row refers to.
//!
//! An object may be seen before its row is: a file is stored first and recorded afterwards. Until then its process has noted it
//! (`Archive::noted`), which only processes of the same machine see. If others share the database, an object without a row is
//! therefore looked at a second time after a while.
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::files::{Objects, of_file};
use super::run::Pass;
use crate::domain::{Breakage, Digest, DigestRange, Locator};
use crate::engine::record::{FileState, Finding};
use crate::engine::store::ObjectEntry;

/// How long another machine may take to record a file that it has stored.
const RECORDED_WITHIN: Duration = Duration::from_secs(15);

/// Objects without a row that are to be looked at again, the oldest first.
#[derive(Default)]
pub(super) struct Suspects(VecDeque<(Instant, ObjectEntry)>);

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
        self.save_findings(&orphans.iter().map(|(_, finding)| finding.clone()).collect::<Vec<_>>()).await?;
        if self.app.record.is_shared() {
            let now = Instant::now();
            self.suspects.0.extend(orphans.into_iter().map(|(entry, _)| (now, entry)));
        }
        self.settle_suspects(false).await
    }

    /// Looks again at suspects after a while; `waits` for all of them.
    pub async fn settle_suspects(&mut self, waits: bool) -> anyhow::Result<()> {
        while let Some((seen, _)) = self.suspects.0.front().copied() {
            let due = seen + RECORDED_WITHIN;
            if due > Instant::now() {
                if !waits {
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = self.app.stop.cancelled() => {}
                }
                self.check()?;
            }
            let is_due = |(seen, _): &&(Instant, ObjectEntry)| *seen + RECORDED_WITHIN <= Instant::now();
            let some: Vec<ObjectEntry> = self.suspects.0.iter().take_while(is_due).map(|(_, entry)| *entry).collect();
            self.suspects.0.drain(..some.len());
            let still: Vec<Locator> =
                self.orphans_among(&some).await?.into_iter().map(|(entry, _)| entry.locator).collect();
            for entry in some.iter().filter(|entry| !still.contains(&entry.locator)) {
                self.app.record.verify().forget_finding(&id_of(entry.locator)).await?;
            }
        }
        Ok(())
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
            if self.app.store.contains(locator).await? {
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
