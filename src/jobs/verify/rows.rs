//! Rows that refer to rows that do not exist, and the differences between the rows and the search index.
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::run::Pass;
use crate::domain::{Breakage, ProductId, PublicationId, RevisionId, Share};
use crate::engine::index::{Deadline, Entry, Index, IndexError};
use crate::engine::record::{Finding, PublicationRefs};
use crate::jobs::{Stopped, follow};

/// Publications compared with the index at once. Each time all ids of the index are walked through.
const PAGE: u64 = 5000;

/// Publications read in one statement.
const AT_ONCE: usize = 500;

/// How long a run waits until the index has all changes.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Walking through the ids of the index normally takes a fraction of a second.
const WALK_TIMEOUT: Duration = Duration::from_secs(60);

impl Pass<'_> {
    /// Compares rows with each other and with the index. Returns whether the index could be compared.
    pub async fn verify_rows(&mut self) -> anyhow::Result<bool> {
        let mut is_index_checked = self.prepare_index().await?;
        let mut after = None;
        loop {
            self.check()?;
            let ids = self.app.record.history().publication_ids_after(after, PAGE).await?;
            let is_last = (ids.len() as u64) < PAGE;
            let to = ids.last().copied().filter(|_| !is_last);
            let own: Vec<PublicationId> = ids.into_iter().filter(|id| self.has(id.0)).collect();
            let rows = self.rows_of(&own).await?;
            self.find_dangling(&rows).await?;
            if is_index_checked {
                is_index_checked = self.compare(&rows, after, to).await.or_else(unless_unreadable)?;
            }
            after = to;
            if is_last {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.find_lost_revisions().await?;
        Ok(is_index_checked && self.compare_products().await.or_else(unless_unreadable)?)
    }

    /// Whether the index can be compared. Where no service writes it, this process brings it up to date.
    async fn prepare_index(&self) -> anyhow::Result<bool> {
        if let Err(e) = follow::catch_up(self.app).await {
            if e.is::<Stopped>() {
                return Err(e);
            }
            tracing::warn!(error = format!("{e:#}"), "the search index cannot be brought up to date");
            return Ok(false);
        }
        self.is_index_current().await.or_else(unless_unreadable)
    }

    /// Compares publications with the entries of the index for the same range of ids. Returns whether that was possible.
    async fn compare(
        &self,
        rows: &[PublicationRefs],
        after: Option<PublicationId>,
        to: Option<PublicationId>,
    ) -> anyhow::Result<bool> {
        let entries = self.entries(move |index, watch| index.entries(after, to, watch)).await?;
        let differing = differing(rows, &entries);
        Ok(differing.is_empty() || self.confirm(differing.into_iter().collect()).await?)
    }

    /// Whether a row is in the share.
    fn has(&self, id: uuid::Uuid) -> bool {
        self.run.share.contains(Share::point_of_row(id))
    }

    async fn rows_of(&self, ids: &[PublicationId]) -> anyhow::Result<Vec<PublicationRefs>> {
        let mut rows = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            self.check()?;
            rows.extend(self.app.record.verify().publications(some).await?);
        }
        Ok(rows)
    }

    /// The entries of the index for publications of the share.
    async fn entries(
        &self,
        walk: impl FnOnce(&Index, &Deadline) -> Result<Vec<Entry>, IndexError> + Send + 'static,
    ) -> anyhow::Result<Vec<Entry>> {
        let mut entries = self.walk(walk).await?;
        entries.retain(|entry| self.has(entry.publication.0));
        Ok(entries)
    }

    async fn walk<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Index, &Deadline) -> Result<T, IndexError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let index = self.app.index.clone();
        let deadline = Deadline::at(std::time::Instant::now() + WALK_TIMEOUT);
        Ok(self.app.computing.run(&deadline, move |watch| walk(&index, watch)).await?)
    }

    /// Waits until the index has everything that is committed now; `false` if that takes too long, as while it is built.
    async fn is_index_current(&self) -> anyhow::Result<bool> {
        let feed = self.app.record.feed();
        let (head, epoch) = (feed.head().await?, feed.index_epoch().await?);
        let began = Instant::now();
        loop {
            self.check()?;
            let index = self.app.index.clone();
            tokio::task::spawn_blocking(move || index.refresh()).await??;
            let position = self.app.index.position();
            if position.is_some_and(|position| position.epoch == epoch && position.feed >= head) {
                return Ok(true);
            }
            // An archive without any change has no commit.
            if position.is_none() && head == 0 {
                return Ok(true);
            }
            if began.elapsed() > CATCH_UP_TIMEOUT {
                tracing::warn!("the search index does not have all changes in time, and is not verified this time");
                return Ok(false);
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }

    /// Compares publications again that differ from the index, now that nothing is on its way, and records what differs still.
    async fn confirm(&self, ids: Vec<PublicationId>) -> anyhow::Result<bool> {
        let before = self.rows_of(&ids).await?;
        if !self.is_index_current().await? {
            return Ok(false);
        }
        let wanted: HashSet<PublicationId> = ids.iter().copied().collect();
        let entries = self.entries(move |index, watch| index.entries_of(&wanted, watch)).await?;
        let after = self.rows_of(&ids).await?;
        let indexed: BTreeSet<Entry> = entries.iter().copied().collect();
        let (before, after) = (expected(&before), expected(&after));
        let mut found = Vec::new();
        // A row that was there all the time, and an entry whose row is not there at the end.
        for entry in before.intersection(&after).filter(|entry| !indexed.contains(entry)) {
            found.push(of_entry(Breakage::NotIndexed, *entry, "is not in the search index"));
        }
        for entry in indexed.difference(&after) {
            found.push(of_entry(Breakage::NotRecorded, *entry, "is in the search index and not in the database"));
        }
        for pair in entries.windows(2).filter(|pair| pair[0] == pair[1]) {
            found.push(of_entry(Breakage::NotRecorded, pair[0], "is in the search index more than once"));
        }
        found.dedup_by(|a, b| a.id == b.id);
        self.save_findings(&found).await?;
        Ok(true)
    }

    async fn compare_products(&self) -> anyhow::Result<bool> {
        let record = self.app.record.verify();
        let sorted =
            |ids: Vec<ProductId>| -> BTreeSet<ProductId> { ids.into_iter().filter(|id| self.has(id.0)).collect() };
        let before = sorted(record.product_ids().await?);
        if !self.is_index_current().await? {
            return Ok(false);
        }
        let indexed = sorted(self.walk(|index, watch| index.product_ids(watch)).await?);
        let after = sorted(record.product_ids().await?);
        let finding = |id: &ProductId, kind: Breakage, detail: &str| Finding {
            id: format!("index:product:{id}"),
            kind,
            point: Share::point_of_row(id.0),
            digest: None,
            publication: None,
            revision: None,
            detail: format!("the product {id} {detail}"),
        };
        let missing =
            before.difference(&indexed).map(|id| finding(id, Breakage::NotIndexed, "is not in the search index"));
        let extra = indexed
            .difference(&after)
            .map(|id| finding(id, Breakage::NotRecorded, "is in the search index and not in the database"));
        self.save_findings(&missing.chain(extra).collect::<Vec<_>>()).await?;
        Ok(true)
    }

    /// Publications that refer to a product or a revision that does not exist.
    async fn find_dangling(&self, rows: &[PublicationRefs]) -> anyhow::Result<()> {
        let mut found = Vec::new();
        for row in rows {
            let mut add = |what: &str, detail: String| {
                found.push(Finding {
                    id: format!("dangling:publication:{}:{what}", row.id),
                    kind: Breakage::Dangling,
                    point: Share::point_of_row(row.id.0),
                    digest: None,
                    publication: Some(row.id),
                    revision: None,
                    detail,
                });
            };
            if !row.has_product {
                add(
                    "product",
                    format!("the publication {} has the product {}, which does not exist", row.id, row.product),
                );
            }
            if let Some(latest) = row.latest.filter(|latest| !row.revisions.contains(latest)) {
                add(
                    "latest",
                    format!("the latest revision of the publication {} is {latest}, which it does not have", row.id),
                );
            }
        }
        self.save_findings(&found).await
    }

    /// Revisions whose publication does not exist.
    async fn find_lost_revisions(&self) -> anyhow::Result<()> {
        let mut after: Option<RevisionId> = None;
        loop {
            self.check()?;
            let lost = self.app.record.verify().without_publication(after, AT_ONCE as u64).await?;
            let own = lost.iter().filter(|row| self.has(row.publication.0));
            let finding = |row: &crate::engine::record::OrphanRevision| Finding {
                id: format!("dangling:revision:{}", row.revision),
                kind: Breakage::Dangling,
                point: Share::point_of_row(row.publication.0),
                digest: None,
                publication: None,
                revision: Some(row.revision),
                detail: format!(
                    "the revision {} has the publication {}, which does not exist",
                    row.revision, row.publication
                ),
            };
            self.save_findings(&own.map(finding).collect::<Vec<_>>()).await?;
            match lost.last() {
                Some(last) if lost.len() == AT_ONCE => after = Some(last.revision),
                Some(_) | None => return Ok(()),
            }
        }
    }
}

/// An index that cannot be read is not verified; any other error ends the run.
fn unless_unreadable(error: anyhow::Error) -> anyhow::Result<bool> {
    match error.downcast::<IndexError>() {
        Ok(e) => {
            tracing::error!(error = %e, "the search index cannot be read, and is not verified; `acervo reindex` builds it again");
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// What the index should have: each revision, or the publication alone where it has none.
fn expected(rows: &[PublicationRefs]) -> BTreeSet<Entry> {
    let entries = rows.iter().flat_map(|row| {
        let alone = row.revisions.is_empty().then_some(Entry { publication: row.id, revision: None });
        let own = row.revisions.iter().map(|id| Entry { publication: row.id, revision: Some(*id) });
        own.chain(alone)
    });
    entries.collect()
}

/// Publications of which rows and index differ.
fn differing(rows: &[PublicationRefs], entries: &[Entry]) -> BTreeSet<PublicationId> {
    let indexed: BTreeSet<Entry> = entries.iter().copied().collect();
    let mut ids: BTreeSet<PublicationId> =
        expected(rows).symmetric_difference(&indexed).map(|entry| entry.publication).collect();
    ids.extend(entries.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].publication));
    ids
}

fn of_entry(kind: Breakage, entry: Entry, detail: &str) -> Finding {
    let Entry { publication, revision } = entry;
    let (what, id) = match revision {
        Some(revision) => {
            (format!("the revision {revision} of the publication {publication}"), format!("{publication}:{revision}"))
        }
        None => (format!("the publication {publication}"), publication.to_string()),
    };
    Finding {
        id: format!("index:{id}"),
        kind,
        point: Share::point_of_row(publication.0),
        digest: None,
        publication: Some(publication),
        revision,
        detail: format!("{what} {detail}"),
    }
}
