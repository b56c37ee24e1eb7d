//! What happens from now on, as streams: they follow the record's commits, and look every second for those of others.
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::filters::check_filter;
use super::{Queries, QueryError, RevisionRow};
use crate::domain::{ChangeKind, NotificationId, RevisionId, millis};
use crate::index::{Filter, Order, Query, Target};
use crate::record::Notification;

/// Rows that are read at once.
const AT_ONCE: u64 = 100;

/// Rows with their bodies that are read at once.
const BODIES_AT_ONCE: u64 = 10;

/// The longest time between two looks, for what other processes commit.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The shortest time between two looks: a burst of commits is looked at in a few, however many listen.
const LOOK_AT_MOST: Duration = Duration::from_millis(200);

/// Ids grow with the time at which notifications were received; a commit may bring one that is older than one before.
const OVERLAP_MS: i64 = 5_000;

impl Queries {
    /// Every revision that is archived from now on and fits the filter.
    pub fn archived(
        &self,
        filter: Filter,
    ) -> Result<impl Stream<Item = Result<RevisionRow, QueryError>> + Send + use<>, QueryError> {
        check_filter(&filter)?;
        let state = Archived {
            queries: self.clone(),
            filter,
            after: None,
            ready: VecDeque::new(),
            fed: self.record.feed().watch(),
        };
        Ok(unfold(state, |mut state| async move {
            let next = state.next().await;
            Some((next, state))
        }))
    }

    /// Every notification that is received from now on, with its body where that is asked for.
    pub fn received(&self, bodies: bool) -> impl Stream<Item = Result<Notification, QueryError>> + Send + use<> {
        let state = Received {
            queries: self.clone(),
            // Ids go by the wall clock.
            since: Timestamp::now(),
            newest_ms: 0,
            seen: HashSet::new(),
            ready: VecDeque::new(),
            committed: self.record.queue().watch(),
            bodies,
        };
        unfold(state, |mut state| async move {
            let next = state.next().await;
            Some((next, state))
        })
    }
}

/// Waits for the next look, which found nothing at `looked_at`.
async fn wait(commits: &mut watch::Receiver<u64>, looked_at: Instant) {
    let _ = tokio::time::timeout(LOOK_EVERY, commits.changed()).await;
    tokio::time::sleep_until(looked_at + LOOK_AT_MOST).await;
}

struct Archived {
    queries: Queries,
    filter: Filter,
    /// The last number of the feed that was looked at.
    after: Option<i64>,
    ready: VecDeque<RevisionRow>,
    fed: watch::Receiver<u64>,
}

impl Archived {
    async fn next(&mut self) -> Result<RevisionRow, QueryError> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(row);
            }
            let record = &self.queries.record;
            let after = match self.after {
                Some(after) => after,
                None => *self.after.insert(record.feed().head().await?),
            };
            let looked_at = Instant::now();
            let changes = record.feed().changes_after(after, AT_ONCE).await?;
            let Some(last) = changes.last() else {
                wait(&mut self.fed, looked_at).await;
                continue;
            };
            let last = last.number;
            let archived = changes.iter().filter(|change| change.kind == ChangeKind::Archived);
            let ids: Vec<RevisionId> = archived.filter_map(|change| change.revision_id).collect();
            if !ids.is_empty() {
                let fitting = self.fitting(last, &changes).await?;
                let mut rows = self.queries.revision_rows(&ids).await?;
                self.ready.extend(ids.iter().filter(|id| fitting.contains(id)).filter_map(|id| rows.remove(id)));
            }
            self.after = Some(last);
        }
    }

    /// Which revisions of some changes fit the filter, by the index, once it has come so far.
    async fn fitting(&self, last: i64, changes: &[crate::record::Change]) -> Result<HashSet<RevisionId>, QueryError> {
        let index = &self.queries.app.index;
        while index.position().is_none_or(|position| position.feed < last) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut filter = self.filter.clone();
        let changed = changes.iter().map(|change| change.publication_id.0);
        let wanted = filter.ids.take();
        filter.ids = Some(changed.filter(|id| wanted.as_ref().is_none_or(|wanted| wanted.contains(id))).collect());
        let query = Query {
            target: Target::Revisions,
            search: None,
            scored: false,
            filter,
            order: Order::Archived { descending: true },
            beyond: None,
            backwards: false,
            offset: 0,
            limit: 100_000,
        };
        let hits = self.queries.ask_index(move |index, watch| index.search(&query, watch)).await?;
        Ok(hits.hits.iter().filter_map(crate::index::Hit::revision).collect())
    }
}

struct Received {
    queries: Queries,
    since: Timestamp,
    /// When the newest one given was received, in milliseconds.
    newest_ms: i64,
    /// Those of the overlap that were given already.
    seen: HashSet<NotificationId>,
    ready: VecDeque<Notification>,
    committed: watch::Receiver<u64>,
    bodies: bool,
}

impl Received {
    async fn next(&mut self) -> Result<Notification, QueryError> {
        loop {
            if let Some(notification) = self.ready.pop_front() {
                return Ok(notification);
            }
            let looked_at = Instant::now();
            let new = self.look().await?;
            let Some(last) = new.last() else {
                wait(&mut self.committed, looked_at).await;
                continue;
            };
            self.newest_ms = self.newest_ms.max(last.id.millis());
            let from = NotificationId::first_of(self.newest_ms - OVERLAP_MS);
            self.seen.extend(new.iter().map(|row| row.id));
            self.seen.retain(|id| *id >= from);
            self.ready.extend(new);
        }
    }

    /// The next that were not given yet. The overlap alone may have more rows than are read at once.
    async fn look(&self) -> Result<Vec<Notification>, QueryError> {
        let mut from = NotificationId::first_of(millis(self.since).max(self.newest_ms - OVERLAP_MS));
        let limit = if self.bodies { BODIES_AT_ONCE } else { AT_ONCE };
        loop {
            let rows = self.queries.record.history().notifications_after(from, limit, self.bodies).await?;
            let last = rows.last().map(|row| row.id).filter(|_| rows.len() as u64 == limit);
            let new: Vec<Notification> = rows.into_iter().filter(|row| !self.seen.contains(&row.id)).collect();
            match last {
                Some(last) if new.is_empty() => from = last,
                _ => return Ok(new),
            }
        }
    }
}
