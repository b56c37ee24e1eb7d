//! Restores files from whatever has their bytes: other objects of the archive, the given sources, links that have not expired.
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::repair::{Outcome, Repairer, needs_bytes};
use super::sources::{Found, Source, Wanted, pour_peer, pour_reader, unless_stopped};
use crate::domain::{Digest, NotificationStatus, PublicationId};
use crate::engine::record::{BrokenItem, NotificationQuery, Use};
use crate::engine::store::{CopyPath, copies_in};

/// Revisions by which another Acervo is asked for a file that it does not find by its digest.
const REVISIONS_MAX: usize = 5;

/// Broken files that are looked for in one search of the folders.
const SEARCHED_MAX: u64 = 50_000;

/// What a source that has no copy of a file is said to be.
const NOT_THERE: &str = "it does not have the file";

/// Uses of a file of which links are looked for.
const USES_MAX: u64 = 100;

impl Repairer {
    /// Restores a file from whatever has its bytes.
    pub(super) async fn restore(&mut self, digest: Digest, item: &BrokenItem) -> anyhow::Result<Outcome> {
        let file = item.file;
        // Its base may have been repaired.
        if let Some(file) = file.filter(|file| file.base.is_some())
            && self.app.store.check(file).await.is_ok()
        {
            // Its own object may have been altered too, in a way that reads back.
            let known =
                self.app.record.verify().file_states(&[digest]).await?.get(&digest).and_then(|row| row.stored_digest);
            if known.is_some() && known != self.app.store.dense_object_digest(digest).await.ok() {
                return self.rewrite(digest).await;
            }
            self.app.record.files().lift_damage(digest).await?;
            return Ok(Outcome::Repaired { from: "its base, which was repaired".to_owned() });
        }
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
        // What an interrupted repair, or another process, took away.
        for aside in self.app.store.aside_of(digest).await? {
            let put = match self.app.store.reader_of_aside(&aside).await {
                Ok(reader) => pour_reader(&self.app, reader, size_max).await,
                Err(e) => Err(e.into()),
            };
            if self.finish(put, digest, false).await?.is_ok() {
                return Ok(Outcome::Repaired { from: "an object that was kept aside".to_owned() });
            }
        }
        let uses = self.app.record.verify().uses(digest, None, USES_MAX).await?;
        for source in self.sources.clone() {
            let from = source.name();
            match self.restore_from(&source, digest, item, size_max, &uses).await? {
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
        item: &BrokenItem,
        size_max: u64,
        uses: &[Use],
    ) -> anyhow::Result<Result<(), String>> {
        match source {
            Source::Folder(folder) => {
                let of_folder = folder.clone();
                let named = tokio::task::spawn_blocking(move || copies_in(&of_folder, digest)).await?;
                let by_name = self.restore_from_copies(named, digest, size_max).await?;
                if by_name.is_ok() {
                    return Ok(by_name);
                }
                self.search_for(item).await?;
                let by_content = self.restore_from_copies(self.found.copies(folder, digest), digest, size_max).await?;
                let is_named = by_name.as_ref().is_err_and(|reason| reason != NOT_THERE);
                Ok(if by_content.is_err() && is_named { by_name } else { by_content })
            }
            Source::Peer(peer) => {
                let revisions = uses.iter().take(REVISIONS_MAX).map(|using| using.revision.to_string());
                let mut last = NOT_THERE.to_owned();
                for id in std::iter::once(digest.to_string()).chain(revisions) {
                    let put = match unless_stopped(&self.app, peer.file(&id)).await? {
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

    async fn restore_from_copies(
        &mut self,
        copies: Vec<CopyPath>,
        digest: Digest,
        size_max: u64,
    ) -> anyhow::Result<Result<(), String>> {
        let mut last = NOT_THERE.to_owned();
        for copy in copies {
            let path = copy.path.display().to_string();
            let opened = tokio::task::spawn_blocking(move || copy.open(digest)).await?;
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

    /// Searches the given folders for the bytes of this item, unless that was done, and of those after it: one search serves many items.
    async fn search_for(&mut self, item: &BrokenItem) -> anyhow::Result<()> {
        if item.digest.is_some_and(|digest| self.found.has_looked_for(digest)) {
            return Ok(());
        }
        let next = self.app.record.verify().broken(self.share, Some(&item.key), SEARCHED_MAX).await?;
        let wanted = std::iter::once(item).chain(&next).filter(|item| needs_bytes(item));
        let wanted: Vec<Wanted> = wanted
            .filter_map(|item| Some(Wanted { digest: item.digest?, size: item.file.map(|file| file.size) }))
            .collect();
        let folder = |source: &Source| match source {
            Source::Folder(path) => Some(path.clone()),
            Source::Peer(_) => None,
        };
        let folders: Vec<PathBuf> = self.sources.iter().filter_map(folder).collect();
        // The old ones first: both at once are twice the memory.
        self.found = Found::default();
        let stop = self.app.stop.clone();
        self.found = tokio::task::spawn_blocking(move || Found::search(&folders, &wanted, &stop)).await??;
        Ok(())
    }

    /// Queues the notifications of these publications again whose links have not expired. Returns how many.
    async fn queue_fetches(&mut self, uses: &[Use]) -> anyhow::Result<u64> {
        let (queue, now) = (self.app.record.queue(), self.app.clock.now());
        let publications: BTreeSet<PublicationId> = uses.iter().map(|using| using.publication).collect();
        let publications: Vec<PublicationId> = publications.into_iter().collect();
        let mut queued = queue.retry_waiting(&publications, now).await?;
        // Read once for all items: there are few.
        let failed = match self.failed.take() {
            Some(failed) => failed,
            None => queue.failed_with_link(now).await?,
        };
        for publication in publications.iter().filter(|publication| failed.contains(publication)) {
            let of = NotificationQuery {
                publication_id: Some(*publication),
                status: Some(vec![NotificationStatus::Failed]),
                ..NotificationQuery::default()
            };
            queued += queue.retry(&of, now).await?.queued;
        }
        self.failed = Some(failed);
        Ok(queued)
    }
}
