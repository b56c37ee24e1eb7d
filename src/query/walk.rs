//! Whole lists as streams of pages, for exports. However long a list is, a bounded part of it is in memory.
use std::pin::pin;

use futures_util::stream::{iter, unfold};
use futures_util::{Stream, StreamExt};

use super::filters::{check_filter, check_notifications};
use super::search_text::SearchText;
use super::{PublicationRequest, PublicationRow, Queries, QueryError, RevisionRequest, RevisionRow};
use crate::domain::{NotificationId, NotificationStatus, RevisionId, millis, timestamp};
use crate::engine::index::{Filter, Hit, Order, Query, Target};
use crate::engine::record::{Notification, NotificationQuery, Page};

/// Hits that one search of the index returns: each search counts all that match.
const HITS: usize = 10_000;

/// Rows of a page.
const ROWS: usize = 250;

/// Pages that are read at once.
const PAGES: usize = 2;

impl Queries {
    /// All publications of a request, whose paging is ignored.
    pub fn all_publications(
        &self,
        request: PublicationRequest,
    ) -> Result<impl Stream<Item = Result<Vec<PublicationRow>, QueryError>> + Send + use<>, QueryError> {
        check_filter(&request.filter)?;
        let target = Target::Publications { as_of: request.as_of };
        let hits = self.all_hits(
            target,
            SearchText::new(request.search, request.search_in, request.scored)?,
            request.filter,
            request.order,
        );
        let queries = self.clone();
        let page = move |hits: Result<Vec<Hit>, QueryError>| {
            let queries = queries.clone();
            async move {
                let hits = hits?;
                let rows = queries.rows_of(&hits).await?;
                Ok(rows.into_iter().map(|(_, row)| row).collect())
            }
        };
        Ok(prefetch(hits.map(page).buffered(PAGES)))
    }

    /// All revisions of a request, whose paging is ignored.
    pub fn all_revisions(
        &self,
        request: RevisionRequest,
    ) -> Result<impl Stream<Item = Result<Vec<RevisionRow>, QueryError>> + Send + use<>, QueryError> {
        check_filter(&request.filter)?;
        let search = SearchText::new(request.search, request.search_in, false)?;
        let hits = self.all_hits(Target::Revisions, search, request.filter, request.order);
        let queries = self.clone();
        let page = move |hits: Result<Vec<Hit>, QueryError>| {
            let queries = queries.clone();
            async move {
                let ids: Vec<RevisionId> = hits?.iter().filter_map(Hit::revision).collect();
                let mut rows = queries.revision_rows(&ids).await?;
                Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
            }
        };
        Ok(prefetch(hits.map(page).buffered(PAGES)))
    }

    /// All notifications that are sent for, newest first.
    pub fn all_notifications(
        &self,
        query: NotificationQuery,
    ) -> Result<impl Stream<Item = Result<Vec<Notification>, QueryError>> + Send + use<>, QueryError> {
        check_notifications(&query)?;
        let start: (Queries, Option<(i64, NotificationId)>) = (self.clone(), None);
        Ok(prefetch(unfold((start, query), |((queries, beyond), query)| async move {
            let page = Page {
                beyond: beyond.map(|(at, id)| (timestamp(at), id)),
                backwards: false,
                offset: 0,
                limit: ROWS as u64,
                bodies: false,
            };
            let rows = match queries.record.history().notifications(&query, &page).await {
                Ok(rows) => rows,
                Err(e) => return Some((Err(e.into()), ((queries, beyond), query))),
            };
            let last = rows.last()?;
            let beyond = Some((millis(last.received_at), last.id));
            Some((Ok(rows), ((queries, beyond), query)))
        })))
    }

    /// All hits of the index, in pages.
    fn all_hits(
        &self,
        target: Target,
        search: SearchText,
        filter: Filter,
        order: Order,
    ) -> impl Stream<Item = Result<Vec<Hit>, QueryError>> + Send + use<> {
        let query = Query {
            target,
            search: search.text,
            search_in: search.within,
            scored: search.scored,
            filter,
            order,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: HITS,
        };
        let pages = unfold((self.clone(), Some(query)), |(queries, query)| async move {
            let mut query = query?;
            let sent = query.clone();
            let found = match queries.query_index(move |index, watch| index.search(&sent, watch)).await {
                Ok(found) => found,
                Err(e) => return Some((Err(e), (queries, None))),
            };
            query.beyond = found.hits.last().map(|hit| (hit.value.clone(), hit.tie_breaker(query.target)));
            Some((Ok(found.hits), (queries, found.more.then_some(query))))
        });
        prefetch(pages).flat_map(|found| {
            iter(match found {
                Ok(hits) => hits.chunks(ROWS).map(|page| Ok(page.to_vec())).collect(),
                Err(e) => vec![Err(e)],
            })
        })
    }
}

/// Makes the next item while one is used; ends after an error.
fn prefetch<T: Send + 'static>(
    all: impl Stream<Item = Result<T, QueryError>> + Send + 'static,
) -> impl Stream<Item = Result<T, QueryError>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let mut all = pin!(all);
        loop {
            // The client is gone: nothing more is read.
            let next = tokio::select! {
                () = sender.closed() => break,
                next = all.next() => next,
            };
            let Some(next) = next else { break };
            let failed = next.is_err();
            if sender.send(next).await.is_err() || failed {
                break;
            }
        }
    });
    unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

impl Queries {
    /// The state that a list of publications depends on, and when it changed last: the list is the same as long as this is.
    /// None while the index is behind, since the rows do not belong to the feed's number yet.
    pub async fn state_of_publications(&self) -> Result<(Option<String>, Option<jiff::Timestamp>), QueryError> {
        let head = self.record.feed().head().await?;
        let at = self.app.index.position().map(|position| position.feed).unwrap_or_default();
        if at != head {
            return Ok((None, None));
        }
        let last = self.record.feed().changes_after(head - 1, 1).await?.pop().map(|change| change.at);
        Ok((Some(head.to_string()), last))
    }

    /// The same for revisions. When they were announced last is not in the feed, so renewals count too.
    pub async fn state_of_revisions(&self) -> Result<Option<String>, QueryError> {
        let renewals = self.record.feed().renewals().await?;
        let (publications, _) = self.state_of_publications().await?;
        Ok(publications.map(|publications| format!("{publications} {renewals}")))
    }

    /// The other thing that the scores of hits depend on: the segments of this process's index.
    pub fn state_of_scores(&self) -> String {
        format!("{} {}", self.app.started_at, self.app.index.generation())
    }

    /// The same for the log of notifications; none while any of them is open. A settled one changes only when it is queued
    /// again.
    pub async fn state_of_notifications(&self) -> Result<Option<String>, QueryError> {
        let renewals = self.app.record.feed().renewals().await?;
        let counts = self.counts().await?;
        let open: u64 = NotificationStatus::OPEN.iter().map(|status| counts.of(*status)).sum();
        Ok((open == 0).then(|| format!("{:?} {renewals}", counts.by_status)))
    }
}
