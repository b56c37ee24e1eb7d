//! The differences between the rows and the search index.
//!
//! Each walk through the index reads the ids of all its documents, so the entries of many publications are collected in one walk, and what
//! differs is looked at again in one walk for many publications.
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::run::Pass;
use crate::domain::{Breakage, ProductId, PublicationId, Share};
use crate::engine::index::{Deadline, Entry, EntryPage, Index, IndexError};
use crate::engine::record::{Finding, PublicationRefs, RecordError};
use crate::jobs::{Stopped, follow};

/// Entries of the index that one walk collects: about 20 MB.
const COLLECTED: usize = 400_000;

fn collected_max() -> usize {
    fail::fail_point!("index-collected", |count| count.and_then(|count| count.parse().ok()).unwrap_or(COLLECTED));
    COLLECTED
}

/// Publications that differ and are looked at again together.
const CONFIRMED_AT_ONCE: usize = 20_000;

/// Findings in one commit.
const SAVED_AT_ONCE: usize = 500;

/// How long a run waits until the index has all changes.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Walking through the ids of the index normally takes a fraction of a second.
const WALK_TIMEOUT: Duration = Duration::from_secs(60);

/// The finding that the index cannot be compared because it cannot be read.
const UNREADABLE: &str = "index:unreadable";

/// A comparison of the rows with the index, in the order of the ids of publications.
pub(super) struct Comparison {
    /// Whether the index can be compared.
    is_possible: bool,
    /// What the last walk collected, of which the first `compared` entries are done with.
    collected: Option<EntryPage>,
    compared: usize,
    differing: BTreeSet<PublicationId>,
}

impl Comparison {
    pub async fn begin(pass: &Pass<'_>) -> anyhow::Result<Self> {
        let is_possible = pass.prepare_index().await?;
        Ok(Self { is_possible, collected: None, compared: 0, differing: BTreeSet::new() })
    }

    /// Compares the next publications, which are those up to one id, with the entries of the index for the same range of ids.
    pub async fn compare(
        &mut self,
        pass: &Pass<'_>,
        rows: &[PublicationRefs],
        to: Option<PublicationId>,
    ) -> anyhow::Result<()> {
        if !self.is_possible {
            return Ok(());
        }
        let compared = self.try_compare(pass, rows, to).await;
        self.is_possible = pass.unless_unreadable(compared).await?;
        Ok(())
    }

    async fn try_compare(
        &mut self,
        pass: &Pass<'_>,
        rows: &[PublicationRefs],
        to: Option<PublicationId>,
    ) -> anyhow::Result<bool> {
        let entries = self.entries_to(pass, to).await?;
        self.differing.extend(differing(rows, &entries));
        Ok(self.differing.len() < CONFIRMED_AT_ONCE || self.confirm(pass).await?)
    }

    async fn confirm(&mut self, pass: &Pass<'_>) -> anyhow::Result<bool> {
        let ids: Vec<PublicationId> = std::mem::take(&mut self.differing).into_iter().collect();
        Ok(ids.is_empty() || pass.confirm(ids).await?)
    }

    /// The next entries up to a publication; to the end without one.
    async fn entries_to(&mut self, pass: &Pass<'_>, to: Option<PublicationId>) -> anyhow::Result<Vec<Entry>> {
        let mut found = Vec::new();
        loop {
            let after = match &self.collected {
                None => None,
                Some(page) => {
                    let rest = page.entries.get(self.compared..).unwrap_or_default();
                    let count = to.map_or(rest.len(), |to| rest.partition_point(|entry| entry.publication <= to));
                    found.extend_from_slice(rest.get(..count).unwrap_or_default());
                    self.compared += count;
                    let Some(known_to) = page.to else { return Ok(found) };
                    if to.is_some_and(|to| to <= known_to) {
                        return Ok(found);
                    }
                    Some(known_to)
                }
            };
            let share = pass.run.share;
            let is_wanted = move |id: PublicationId| share.contains(Share::point_of_row(id.0));
            // The old ones first: two pages at once are twice the memory.
            self.collected = None;
            let next = pass.walk(move |index, watch| index.entries(after, collected_max(), is_wanted, watch)).await?;
            (self.collected, self.compared) = (Some(next), 0);
        }
    }

    /// Looks again at what differed, and compares products. Returns whether the index was compared.
    pub async fn end(mut self, pass: &Pass<'_>) -> anyhow::Result<bool> {
        if !self.is_possible {
            return Ok(false);
        }
        self.collected = None;
        let confirmed = self.confirm(pass).await;
        let is_compared = pass.unless_unreadable(confirmed).await? && {
            let products = pass.compare_products().await;
            pass.unless_unreadable(products).await?
        };
        if is_compared {
            pass.app.record.verify().forget_finding(UNREADABLE).await?;
        }
        Ok(is_compared)
    }
}

impl Pass<'_> {
    /// Whether the index can be compared. Where no service writes it, this process brings it up to date.
    async fn prepare_index(&self) -> anyhow::Result<bool> {
        match follow::catch_up(self.app).await {
            Ok(_) => {
                let is_current = self.is_index_current().await;
                self.unless_unreadable(is_current).await
            }
            Err(e) if is_of_the_index(&e) => {
                self.find_unreadable(format!("the search index cannot be brought up to date: {e:#}")).await?;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// An index that cannot be read is a finding; any other error ends the run.
    async fn unless_unreadable(&self, compared: anyhow::Result<bool>) -> anyhow::Result<bool> {
        let error = match compared {
            Ok(is_compared) => return Ok(is_compared),
            Err(e) => e.downcast::<IndexError>()?,
        };
        match error {
            IndexError::Busy => tracing::warn!("too many queries run to compare the search index this time"),
            e => self.find_unreadable(format!("the search index cannot be read: {e}")).await?,
        }
        Ok(false)
    }

    async fn find_unreadable(&self, detail: String) -> anyhow::Result<()> {
        let finding = Finding {
            id: UNREADABLE.to_owned(),
            kind: Breakage::NotIndexed,
            point: self.run.share.from,
            digest: None,
            publication: None,
            revision: None,
            detail,
        };
        self.save_findings(&[finding]).await
    }

    async fn walk<T: Send + 'static>(
        &self,
        walk: impl FnOnce(&Index, &Deadline) -> Result<T, IndexError> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.check()?;
        let index = self.app.index.clone();
        let deadline = Deadline::at(std::time::Instant::now() + WALK_TIMEOUT);
        tokio::select! {
            walked = self.app.computing.run(&deadline, move |watch| walk(&index, watch)) => Ok(walked?),
            () = self.app.stop.cancelled() => Err(Stopped.into()),
        }
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
        let entries = self.walk(move |index, watch| index.entries_of(&wanted, watch)).await?;
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
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found.dedup_by(|a, b| a.id == b.id);
        for some in found.chunks(SAVED_AT_ONCE) {
            self.save_findings(some).await?;
        }
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
        for some in missing.chain(extra).collect::<Vec<_>>().chunks(SAVED_AT_ONCE) {
            self.save_findings(some).await?;
        }
        Ok(true)
    }
}

/// Whether an error of updating the index is one of the index, or of a row that it cannot be built from. Others are those of the whole
/// process or of the database.
pub(super) fn is_of_the_index(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<RecordError>() {
        Some(RecordError::Corrupt(_)) => true,
        Some(_) => false,
        None => !error.is::<Stopped>(),
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
