//! The feed as callers see it: every change in commit order, from any cursor on, all of them or those that match a filter.
//!
//! A change matches if its publication does, as it is when the feed is read. Which publications match is what the search index
//! says, once it has reached the changes that are looked at. A request looks at a bounded number of changes, so a filter that
//! matches little costs no more than one that matches much; the position that was reached is the end of an empty page.
use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::filters::check_filter;
use super::paging::{Cursor, Window};
use super::streams::wait;
use super::{ListPage, Paging, Queries, QueryError};
use crate::domain::PublicationId;
use crate::engine::index::{Filter, Hit, Order, Query, SearchIn, SortValue, Target};
use crate::engine::record::Change;

/// The kind of the feed's cursors.
const FEED: char = 'f';

/// Changes that are compared with a filter at once.
const AT_ONCE: usize = 1_000;

/// Changes that one request compares with its filter at most.
const COMPARED_MAX: usize = 50_000;

/// How long a request waits for the index to reach the changes it looks at. A follower takes milliseconds.
const INDEX_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a request that waits compares what is committed with its filter at most: a burst that does not match must not keep
/// the index busy.
const COMPARED_EVERY: Duration = Duration::from_millis(500);

/// A line of the feed.
pub type ChangeRow = Change;

/// A part of the feed, as requested.
#[derive(Clone, Debug, Default)]
pub struct ChangesRequest {
    pub after: Option<String>,
    pub first: Option<i64>,
    pub filter: Filter,
    /// A position after `after` up to which nothing matches, as a wait has found.
    pub passed: Option<FeedPosition>,
}

/// A number of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition(i64);

/// A page of the feed.
#[derive(Debug)]
pub struct ChangesPage {
    pub list: ListPage<ChangeRow>,
    /// The cursor to continue at: of the last row, or where none matched, of the last change that was looked at.
    pub end: String,
}

/// What a look at the feed found.
struct Scan {
    matching: Vec<Change>,
    /// Everything up to here was looked at, and is in `matching` if it matches.
    reached: FeedPosition,
    /// Whether the feed goes on after `reached`.
    more: bool,
}

impl Scan {
    /// The last position up to which nothing matches.
    fn passed(&self) -> FeedPosition {
        self.matching.first().map_or(self.reached, |first| FeedPosition(first.number - 1))
    }
}

impl ChangesRequest {
    fn window(&self) -> Result<Window, QueryError> {
        check_filter(&self.filter)?;
        Paging { first: self.first, after: self.after.clone(), ..Paging::default() }.window(FEED)
    }

    /// The position that the request begins at; an error if anything in it is out of bounds.
    pub(super) fn start(&self) -> Result<FeedPosition, QueryError> {
        let after = FeedPosition(self.window()?.position::<i64>()?.unwrap_or(0));
        Ok(self.passed.map_or(after, |passed| passed.max(after)))
    }
}

fn cursor(number: i64) -> String {
    Cursor { value: SortValue::Number(number), tie: Uuid::nil() }.format(FEED)
}

impl Queries {
    /// The cursor of this moment: what is committed from now on comes after it.
    pub async fn changes_cursor(&self) -> Result<String, QueryError> {
        Ok(cursor(self.record.feed().head().await?))
    }

    /// The changes after a cursor that match, oldest first. The cursor is a number of the feed, so it never expires.
    pub async fn changes(&self, request: &ChangesRequest) -> Result<ChangesPage, QueryError> {
        let window = request.window()?;
        let scan = self.scan_changes(request.start()?, &request.filter, window.limit).await?;
        let end = cursor(scan.matching.last().map_or(scan.reached.0, |last| last.number));
        let rows = scan.matching.into_iter().map(|change| (cursor(change.number), change));
        Ok(ChangesPage { list: ListPage::new(&window, 0, rows.collect(), scan.more), end })
    }

    /// Looks for up to `wanted` matching changes after a position.
    async fn scan_changes(&self, after: FeedPosition, filter: &Filter, wanted: usize) -> Result<Scan, QueryError> {
        let is_filtered = *filter != Filter::default();
        let at_once = if is_filtered { AT_ONCE } else { wanted + 1 };
        let mut scan = Scan { matching: Vec::new(), reached: after, more: false };
        let mut compared = 0;
        loop {
            let mut changes = self.record.feed().changes_after(scan.reached.0, at_once as u64).await?;
            scan.more = changes.len() == at_once;
            if is_filtered && let Some(last) = changes.last() {
                let indexed = self.indexed_up_to(last.number).await?;
                let found = changes.len();
                changes.retain(|change| change.number <= indexed);
                if changes.len() < found {
                    // The index is behind, so this is as far as can be told.
                    scan.more = true;
                    compared = COMPARED_MAX;
                }
            }
            let matching = self.matching_publications(&changes, filter, is_filtered).await?;
            compared += changes.len();
            for change in changes {
                let matches = matching.as_ref().is_none_or(|ids| ids.contains(&change.publication_id));
                if matches && scan.matching.len() == wanted {
                    scan.more = true;
                    return Ok(scan);
                }
                scan.reached = FeedPosition(change.number);
                if matches {
                    scan.matching.push(change);
                }
            }
            if !scan.more || compared >= COMPARED_MAX {
                return Ok(scan);
            }
        }
    }

    /// Which publications of some changes match; `None` if all do.
    async fn matching_publications(
        &self,
        changes: &[Change],
        filter: &Filter,
        is_filtered: bool,
    ) -> Result<Option<HashSet<PublicationId>>, QueryError> {
        if !is_filtered {
            return Ok(None);
        }
        let changed: HashSet<Uuid> = changes.iter().map(|change| change.publication_id.0).collect();
        let ids: Vec<Uuid> = match &filter.ids {
            Some(ids) => ids.iter().filter(|id| changed.contains(id)).copied().collect(),
            None => changed.into_iter().collect(),
        };
        if ids.is_empty() {
            return Ok(Some(HashSet::new()));
        }
        let query = Query {
            target: Target::Publications { as_of: None },
            search: None,
            search_in: SearchIn::Names,
            scored: false,
            limit: ids.len(),
            filter: Filter { ids: Some(ids), ..filter.clone() },
            order: Order::Received { descending: true },
            beyond: None,
            backwards: false,
            offset: 0,
        };
        let found = self.query_index(move |index, watch| index.search(&query, watch)).await?;
        Ok(Some(found.hits.iter().map(Hit::publication).collect()))
    }

    /// How far the index is, once it has had the time to reach a number of the feed.
    async fn indexed_up_to(&self, number: i64) -> Result<i64, QueryError> {
        match tokio::time::timeout(INDEX_TIMEOUT, self.until_indexed(number)).await {
            Ok(reached) => reached.map(|()| number),
            Err(_) => {
                let progress = *self.app.index.progress().borrow();
                match progress.has_writer {
                    true => Ok(progress.position.map_or(0, |position| position.feed)),
                    false => Err(QueryError::IndexStopped),
                }
            }
        }
    }

    /// Waits until a change after the request's cursor matches, or for the given time, or until the service stops. Gives the last
    /// position up to which nothing matches. Meanwhile nothing is held but the request and one of the places of those that wait: each
    /// look at the feed is admitted as a query of `key`.
    pub async fn wait_for_change(
        &self,
        request: &ChangesRequest,
        longest: Duration,
        key: &str,
    ) -> Result<FeedPosition, QueryError> {
        let _place = self.admission().admit_poll(key)?;
        let stopping = &self.app.stopping;
        let until = Instant::now() + longest;
        let mut passed = request.start()?;
        let mut commits = self.record.feed().watch();
        loop {
            commits.borrow_and_update();
            let looked_at = Instant::now();
            let scan = tokio::select! {
                scan = self.look_ahead(passed, &request.filter, key) => scan?,
                () = stopping.cancelled() => return Ok(passed),
            };
            let has_compared = scan.passed() > passed;
            passed = scan.passed();
            if !scan.matching.is_empty() || looked_at >= until {
                return Ok(passed);
            }
            if scan.more {
                continue;
            }
            let pause = async {
                wait(&mut commits, looked_at).await;
                if has_compared {
                    tokio::time::sleep_until(looked_at + COMPARED_EVERY).await;
                }
            };
            tokio::select! {
                () = pause => {}
                () = tokio::time::sleep_until(until) => {}
                () = stopping.cancelled() => return Ok(passed),
            }
        }
    }

    /// Looks for the first matching change, as a query of its own.
    async fn look_ahead(&self, after: FeedPosition, filter: &Filter, key: &str) -> Result<Scan, QueryError> {
        let nothing = Scan { matching: Vec::new(), reached: after, more: false };
        if self.feed_head.get(&self.record).await? <= after.0 {
            return Ok(nothing);
        }
        let _permit = self.admission().admit(key, LOOK_BYTES).await?;
        self.scan_changes(after, filter, 1).await
    }
}

/// What a look at the feed holds: the changes that are compared at once.
const LOOK_BYTES: u64 = 256 << 10;

/// The number of the last change, read once for all that wait for the next one.
#[derive(Clone, Default)]
pub(super) struct FeedHead(std::sync::Arc<tokio::sync::Mutex<Option<KnownHead>>>);

struct KnownHead {
    number: i64,
    /// The commits of this process that it includes.
    commits: u64,
    at: Instant,
}

/// How old a head may be that others have read: changes of other processes are noticed no earlier.
const HEAD_AGE_MAX: Duration = Duration::from_millis(500);

impl FeedHead {
    async fn get(&self, record: &crate::engine::record::Record) -> Result<i64, QueryError> {
        let mut known = self.0.lock().await;
        let commits = *record.feed().watch().borrow();
        if let Some(head) = known.as_ref().filter(|head| head.commits == commits && head.at.elapsed() < HEAD_AGE_MAX) {
            return Ok(head.number);
        }
        let at = Instant::now();
        let number = record.feed().head().await?;
        *known = Some(KnownHead { number, commits, at });
        Ok(number)
    }
}
