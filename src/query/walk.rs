//! Whole lists, as streams of pages: for exports. However long the list is, a bounded part of it is held.
use std::collections::VecDeque;

use futures_util::Stream;
use futures_util::stream::unfold;

use super::{PublicationAsk, PublicationRow, Queries, QueryError, RevisionAsk, RevisionRow};
use crate::domain::{NotificationId, NotificationStatus, RevisionId, millis, timestamp};
use crate::index::{Hit, Hits, Query, Target};
use crate::record::{Notification, NotificationQuery, Page};

/// Hits that one look into the index brings: each look counts all that match.
const HITS: usize = 20_000;

/// Rows of a page.
const ROWS: usize = 1_000;

impl Queries {
    /// All publications that are asked for; paging is not looked at.
    pub fn all_publications(
        &self,
        ask: PublicationAsk,
    ) -> impl Stream<Item = Result<Vec<PublicationRow>, QueryError>> + Send + use<> {
        let target = Target::Publications { as_of: ask.as_of };
        let mut walk = Walk::new(self, target, ask.search, ask.filter, ask.order);
        walk.query.scored = ask.scored;
        unfold(walk, |mut walk| async move {
            let page = walk.publications().await.transpose()?;
            Some((page, walk))
        })
    }

    /// All revisions that are asked for; paging is not looked at.
    pub fn all_revisions(
        &self,
        ask: RevisionAsk,
    ) -> impl Stream<Item = Result<Vec<RevisionRow>, QueryError>> + Send + use<> {
        let walk = Walk::new(self, Target::Revisions, ask.search, ask.filter, ask.order);
        unfold(walk, |mut walk| async move {
            let page = walk.revisions().await.transpose()?;
            Some((page, walk))
        })
    }

    /// All notifications that are asked for, newest first.
    pub fn all_notifications(
        &self,
        query: NotificationQuery,
    ) -> impl Stream<Item = Result<Vec<Notification>, QueryError>> + Send + use<> {
        let start: (Queries, Option<(i64, NotificationId)>) = (self.clone(), None);
        unfold((start, query), |((queries, beyond), query)| async move {
            let page = Page {
                beyond: beyond.map(|(at, id)| (timestamp(at), id)),
                backwards: false,
                offset: 0,
                limit: ROWS as u64,
            };
            let rows = match queries.app.record.notifications(&query, &page).await {
                Ok(rows) => rows,
                Err(e) => return Some((Err(e.into()), ((queries, beyond), query))),
            };
            let last = rows.last()?;
            let beyond = Some((millis(last.received_at), last.id));
            Some((Ok(rows), ((queries, beyond), query)))
        })
    }
}

struct Walk {
    queries: Queries,
    query: Query,
    hits: VecDeque<Hit>,
    /// The index has no more.
    ended: bool,
}

impl Walk {
    fn new(
        queries: &Queries,
        target: Target,
        search: Option<String>,
        filter: crate::index::Filter,
        order: crate::index::Order,
    ) -> Self {
        let search = search.filter(|text| !text.trim().is_empty());
        let query = Query {
            target,
            search,
            scored: false,
            filter,
            order,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: HITS,
        };
        Self { queries: queries.clone(), query, hits: VecDeque::new(), ended: false }
    }

    /// The next hits; none after the last.
    async fn hits(&mut self) -> Result<Vec<Hit>, QueryError> {
        if self.hits.is_empty() && !self.ended {
            let query = self.query.clone();
            let Hits { hits, more, .. } = self.queries.ask_index(move |index| index.search(&query)).await?;
            self.ended = !more;
            self.query.beyond = hits.last().map(|hit| (hit.value.clone(), hit.tie(self.query.target)));
            self.hits = hits.into();
        }
        let some = self.hits.len().min(ROWS);
        Ok(self.hits.drain(..some).collect())
    }

    async fn publications(&mut self) -> Result<Option<Vec<PublicationRow>>, QueryError> {
        let hits = self.hits().await?;
        if hits.is_empty() {
            return Ok(None);
        }
        let rows = self.queries.rows_of(&hits).await?;
        Ok(Some(rows.into_iter().map(|(_, row)| row).collect()))
    }

    async fn revisions(&mut self) -> Result<Option<Vec<RevisionRow>>, QueryError> {
        let hits = self.hits().await?;
        if hits.is_empty() {
            return Ok(None);
        }
        let ids: Vec<RevisionId> = hits.iter().filter_map(Hit::revision).collect();
        let mut rows = self.queries.revision_rows(&ids).await?;
        Ok(Some(ids.iter().filter_map(|id| rows.remove(id)).collect()))
    }
}

impl Queries {
    /// What a whole list of publications or revisions depends on: it is the same as long as this is.
    pub async fn state_of_lists(&self) -> Result<(i64, Option<jiff::Timestamp>), QueryError> {
        let head = self.app.record.feed_head().await?;
        let at = self.app.index.position().map(|position| position.feed).unwrap_or_default();
        let last = self.app.record.changes_after(head - 1, 1).await?.pop().map(|change| change.at);
        // While the index is behind, what is given is not yet what belongs to this number.
        Ok((if at == head { head } else { -1 }, last))
    }

    /// The same for the log of notifications; none while any of them is worked on.
    pub async fn state_of_notifications(&self) -> Result<(Option<String>, Option<jiff::Timestamp>), QueryError> {
        let counts = self.app.record.counts().await?;
        let open: u64 = NotificationStatus::OPEN.iter().map(|status| counts.of(*status)).sum();
        let mark = (open == 0).then(|| format!("{:?}", counts.by_status));
        Ok((mark, None))
    }
}
