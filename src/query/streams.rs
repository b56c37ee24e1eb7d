//! Streams of what happens from now on. They follow the commits of this process, and poll for those of others.
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
use crate::engine::index::{Filter, Hit, Order, Progress, Query, SearchIn, Target};
use crate::engine::record::Notification;

/// Rows that are read at once.
const AT_ONCE: u64 = 100;

/// Rows with their bodies that are read at once.
const BODIES_AT_ONCE: u64 = 10;

/// The longest time between two polls, for what other processes commit.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest time between two polls, so that a burst of commits costs a few of them, however many streams there are.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(200);

/// Ids grow with the time at which notifications were received; a commit may bring one that is older than one before.
const OVERLAP_MS: i64 = 5_000;

/// Hits that one search of the index returns.
const HITS: usize = 1_000;

/// How long a stream waits for an index without a writer: a writer that failed is opened again within a second.
const WRITER_TIMEOUT: Duration = Duration::from_secs(10);

impl Queries {
    /// Every revision that is archived from now on and matches the filter. Ends after an error.
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
            feed: self.record.feed().watch(),
        };
        Ok(unfold(Some(state), |state| async move {
            let mut state = state?;
            let next = state.next().await;
            let state = next.is_ok().then_some(state);
            Some((next, state))
        }))
    }

    /// Every notification that is received from now on, with its body if that is requested. Ends after an error.
    pub fn received(&self, bodies: bool) -> impl Stream<Item = Result<Notification, QueryError>> + Send + use<> {
        let state = Received {
            queries: self.clone(),
            // Ids go by the wall clock.
            since: Timestamp::now(),
            newest_ms: 0,
            seen: HashSet::new(),
            ready: VecDeque::new(),
            queue: self.record.queue().watch(),
            bodies,
        };
        unfold(Some(state), |state| async move {
            let mut state = state?;
            let next = state.next().await;
            let state = next.is_ok().then_some(state);
            Some((next, state))
        })
    }
}

impl Queries {
    /// Waits until the index has reached a number of the feed; an error if nothing writes it any more.
    pub(super) async fn until_indexed(&self, number: i64) -> Result<(), QueryError> {
        let mut progress = self.app.index.progress();
        let is_there = |progress: &Progress| progress.position.is_some_and(|position| position.feed >= number);
        let gone = || QueryError::IndexStopped;
        loop {
            let now = *progress.borrow_and_update();
            if is_there(&now) {
                return Ok(());
            }
            if now.has_writer {
                progress.changed().await.map_err(|_| gone())?;
                continue;
            }
            let moved = progress.wait_for(|progress| progress.has_writer || is_there(progress));
            tokio::time::timeout(WRITER_TIMEOUT, moved).await.map_err(|_| gone())?.map_err(|_| gone())?;
        }
    }
}

/// Waits for the next poll after one at `polled_at` that found nothing.
pub(super) async fn wait(commits: &mut watch::Receiver<u64>, polled_at: Instant) {
    let _ = tokio::time::timeout(POLL_INTERVAL, commits.changed()).await;
    tokio::time::sleep_until(polled_at + POLL_INTERVAL_MIN).await;
}

struct Archived {
    queries: Queries,
    filter: Filter,
    /// The last number of the feed that was read.
    after: Option<i64>,
    ready: VecDeque<RevisionRow>,
    feed: watch::Receiver<u64>,
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
            let polled_at = Instant::now();
            let changes = record.feed().changes_after(after, AT_ONCE).await?;
            let Some(last) = changes.last() else {
                wait(&mut self.feed, polled_at).await;
                continue;
            };
            let last = last.number;
            let archived = changes.iter().filter(|change| change.kind == ChangeKind::Archived);
            let ids: Vec<RevisionId> = archived.filter_map(|change| change.revision_id).collect();
            if !ids.is_empty() {
                let matching = self.matching(last, &changes, &ids).await?;
                let mut rows = self.queries.revision_rows(&ids).await?;
                self.ready.extend(ids.iter().filter(|id| matching.contains(id)).filter_map(|id| rows.remove(id)));
            }
            self.after = Some(last);
        }
    }

    /// Which of some revisions match the filter, according to the index once it has reached their last change.
    async fn matching(
        &self,
        last: i64,
        changes: &[crate::engine::record::Change],
        revisions: &[RevisionId],
    ) -> Result<HashSet<RevisionId>, QueryError> {
        self.queries.until_indexed(last).await?;
        let mut filter = self.filter.clone();
        let changed = changes.iter().map(|change| change.publication_id.0);
        let wanted = filter.ids.take();
        filter.ids = Some(changed.filter(|id| wanted.as_ref().is_none_or(|wanted| wanted.contains(id))).collect());
        let mut query = Query {
            target: Target::Revisions,
            search: None,
            search_in: SearchIn::Names,
            scored: false,
            filter,
            order: Order::Archived { descending: true },
            beyond: None,
            backwards: false,
            offset: 0,
            limit: HITS,
        };
        // A publication has other revisions too, so those of interest may be on any page.
        let mut matching = HashSet::new();
        loop {
            let page = query.clone();
            let found = self.queries.query_index(move |index, watch| index.search(&page, watch)).await?;
            matching.extend(found.hits.iter().filter_map(Hit::revision).filter(|id| revisions.contains(id)));
            query.beyond = found.hits.last().map(|hit| (hit.value.clone(), hit.tie_breaker(query.target)));
            if !found.more || matching.len() == revisions.len() {
                return Ok(matching);
            }
        }
    }
}

struct Received {
    queries: Queries,
    since: Timestamp,
    /// When the newest notification sent was received, in milliseconds.
    newest_ms: i64,
    /// Those of the overlap that were sent already.
    seen: HashSet<NotificationId>,
    ready: VecDeque<Notification>,
    queue: watch::Receiver<u64>,
    bodies: bool,
}

impl Received {
    async fn next(&mut self) -> Result<Notification, QueryError> {
        loop {
            if let Some(notification) = self.ready.pop_front() {
                return Ok(notification);
            }
            let polled_at = Instant::now();
            let new = self.poll().await?;
            let Some(last) = new.last() else {
                wait(&mut self.queue, polled_at).await;
                continue;
            };
            self.newest_ms = self.newest_ms.max(last.id.millis());
            let from = NotificationId::first_of(self.newest_ms - OVERLAP_MS);
            self.seen.extend(new.iter().map(|row| row.id));
            self.seen.retain(|id| *id >= from);
            self.ready.extend(new);
        }
    }

    /// The next ones that were not sent yet. The overlap alone may have more rows than are read at once.
    async fn poll(&self) -> Result<Vec<Notification>, QueryError> {
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
