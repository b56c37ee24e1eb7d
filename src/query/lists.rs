//! The lists, and single things by their ids.
use std::collections::HashMap;
use std::sync::Arc;

use super::cache::PublicationPage;
use super::filters::{check_filter, check_notifications, check_text};
use super::paging::{Cursor, Window, kind_of};
use super::search_text::SearchText;
use super::weight::weigh;
use super::{
    ListPage, NotificationRequest, Paging, ProductRequest, PublicationRequest, PublicationRow, Queries, QueryError,
    RevisionRequest, RevisionRow,
};
use crate::domain::{Digest, MemberPattern, NotificationId, ProductId, PublicationId, RevisionId, millis, timestamp};
use crate::engine::index::{Filter, Hit, Hits, Order, Query, SearchIn, SortValue, Target};
use crate::engine::record::{
    Member, Notification, NotificationQuery, Page, Product, ProductRemoval, RecordError, Revision, VerifyRun,
};

/// The letter of cursors into lists that the record orders.
const RECORD_ORDER: char = 'l';

/// Notifications with their bodies that are read at once.
const BODIES_AT_ONCE: u64 = 20;

/// A member with its address.
#[derive(Clone, Debug)]
pub struct MemberRow {
    pub member: Member,
    pub url: String,
}

impl Queries {
    pub async fn publications(&self, request: PublicationRequest) -> Result<Arc<PublicationPage>, QueryError> {
        let target = Target::Publications { as_of: request.as_of };
        // What is inside files is indexed on its own, so a state does not cover it.
        let is_cached = request.search_in == SearchIn::Names;
        let state = if is_cached && self.cache.is_repeated(&request) { self.state().await } else { None };
        if let Some(page) = state.as_ref().and_then(|state| self.cache.get(state, &request)) {
            return Ok(page);
        }
        let search = SearchText::new(request.search.clone(), request.search_in, request.scored)?;
        let content_search = search.in_content();
        let (window, hits) =
            self.search(target, search, request.filter.clone(), request.order, &request.paging).await?;
        let mut rows = self.rows_of(&hits.hits).await?;
        rows.iter_mut().for_each(|(_, row)| row.content_search = content_search.clone());
        let rows = rows.into_iter().map(|(hit, row)| (cursor(hit, target, request.order), Arc::new(row)));
        let list = ListPage::new(&window, hits.total as u64, rows.collect(), hits.more);
        let page = Arc::new(PublicationPage::new(list, state));
        self.cache.insert(request, &page);
        Ok(page)
    }

    /// The publications of some hits, each with its revision; one that is gone by now is left out.
    pub(super) async fn rows_of<'a>(&self, hits: &'a [Hit]) -> Result<Vec<(&'a Hit, PublicationRow)>, QueryError> {
        let ids: Vec<PublicationId> = hits.iter().map(Hit::publication).collect();
        let revision_ids: Vec<RevisionId> = hits.iter().filter_map(Hit::revision).collect();
        let record = &self.record;
        let (mut publications, mut revisions) = tokio::try_join!(
            record.history().publications_by_id(&ids),
            record.history().revisions_by_id(&revision_ids)
        )?;
        let row = |hit: &'a Hit| {
            let row = PublicationRow {
                publication: publications.remove(&hit.publication())?,
                revision: hit.revision().and_then(|id| revisions.remove(&id)),
                score: hit.score,
                content_search: None,
            };
            Some((hit, row))
        };
        let rows: Vec<_> = hits.iter().filter_map(row).collect();
        self.limits().count_bytes(weigh(rows.iter().map(|(_, row)| row)))?;
        Ok(rows)
    }

    pub async fn revisions(&self, request: RevisionRequest) -> Result<ListPage<RevisionRow>, QueryError> {
        let target = Target::Revisions;
        let search = SearchText::new(request.search, request.search_in, false)?;
        let content_search = search.in_content();
        let (window, hits) = self.search(target, search, request.filter, request.order, &request.paging).await?;
        let ids: Vec<RevisionId> = hits.hits.iter().filter_map(Hit::revision).collect();
        let mut rows = self.revision_rows(&ids).await?;
        rows.values_mut().for_each(|row| row.content_search = content_search.clone());
        let rows = hits
            .hits
            .iter()
            .filter_map(|hit| Some((cursor(hit, target, request.order), rows.remove(&hit.revision()?)?)));
        Ok(ListPage::new(&window, hits.total as u64, rows.collect(), hits.more))
    }

    pub async fn products(&self, request: ProductRequest) -> Result<ListPage<Product>, QueryError> {
        check_filter(&request.filter)?;
        self.products_checked(request).await
    }

    /// The same of some products alone, however many these are.
    pub(super) async fn products_among(
        &self,
        ids: Vec<uuid::Uuid>,
        mut request: ProductRequest,
    ) -> Result<ListPage<Product>, QueryError> {
        check_filter(&request.filter)?;
        request.filter.product_ids = Some(ids);
        self.products_checked(request).await
    }

    async fn products_checked(&self, request: ProductRequest) -> Result<ListPage<Product>, QueryError> {
        let target = Target::Products;
        let search = SearchText::new(request.search, SearchIn::Names, false)?;
        let (window, hits) =
            self.search_checked(target, search, request.filter, request.order, &request.paging).await?;
        let ids: Vec<ProductId> = hits.hits.iter().map(Hit::product).collect();
        let mut products = self.products_by_id(&ids).await?;
        let rows = hits
            .hits
            .iter()
            .filter_map(|hit| Some((cursor(hit, target, request.order), products.remove(&hit.product())?)));
        Ok(ListPage::new(&window, hits.total as u64, rows.collect(), hits.more))
    }

    async fn search(
        &self,
        target: Target,
        search: SearchText,
        filter: Filter,
        order: Order,
        paging: &Paging,
    ) -> Result<(Window, Hits), QueryError> {
        check_filter(&filter)?;
        self.search_checked(target, search, filter, order, paging).await
    }

    async fn search_checked(
        &self,
        target: Target,
        search: SearchText,
        filter: Filter,
        order: Order,
        paging: &Paging,
    ) -> Result<(Window, Hits), QueryError> {
        let window = paging.window(kind_of(order))?;
        let query = Query {
            target,
            search: search.text,
            search_in: search.within,
            scored: search.scored,
            filter,
            order,
            beyond: window.beyond.clone().map(|cursor| (cursor.value, cursor.tie)),
            backwards: window.backwards,
            offset: window.offset,
            limit: window.limit,
        };
        Ok((window, self.query_index(move |index, watch| index.search(&query, watch)).await?))
    }

    pub async fn notifications(&self, request: NotificationRequest) -> Result<ListPage<Notification>, QueryError> {
        check_notifications(&request.query)?;
        let window = request.paging.window(RECORD_ORDER)?;
        let at = window.position::<i64>()?.map(timestamp);
        let beyond = at.zip(window.beyond.as_ref().map(|cursor| NotificationId(cursor.tie)));
        let page = Page {
            beyond,
            backwards: window.backwards,
            offset: window.offset as u64,
            // One more shows whether there is a next page.
            limit: window.limit as u64 + 1,
            bodies: request.bodies,
        };
        let (rows, total) =
            tokio::try_join!(self.notification_rows(&request.query, page), self.count_notifications(&request.query))?;
        let more = rows.len() > window.limit;
        let rows = rows.into_iter().take(window.limit).map(|row| {
            let cursor = Cursor { value: SortValue::Number(millis(row.received_at)), tie: row.id.0 };
            (cursor.format(RECORD_ORDER), row)
        });
        Ok(ListPage::new(&window, total, rows.collect(), more))
    }

    async fn count_notifications(&self, query: &NotificationQuery) -> Result<u64, QueryError> {
        Ok(self.record.history().count_notifications(query).await?)
    }

    /// A page of notifications. Bodies may be large, so rows that have them are read a few at a time.
    async fn notification_rows(
        &self,
        query: &NotificationQuery,
        mut page: Page,
    ) -> Result<Vec<Notification>, QueryError> {
        let step = if page.bodies { BODIES_AT_ONCE } else { page.limit };
        let mut all = Vec::new();
        let mut left = page.limit;
        while left > 0 {
            page.limit = left.min(step);
            let rows = self.record.history().notifications(query, &page).await?;
            self.limits().count_bytes(weigh(&rows))?;
            left -= page.limit;
            let is_last = (rows.len() as u64) < page.limit;
            page.offset = 0;
            page.beyond = rows.last().map(|row| (row.received_at, row.id));
            all.extend(rows);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// The members of a revision's file, in the zip's order; with `matching`, those that the pattern matches.
    pub async fn members(
        &self,
        revision: &Revision,
        matching: Option<&str>,
        paging: &Paging,
    ) -> Result<ListPage<MemberRow>, QueryError> {
        matching.map_or(Ok(()), |text| check_text("match", text))?;
        let window = paging.window(RECORD_ORDER)?;
        let after = window.position::<i32>()?;
        let limit = window.limit as u64;
        let (rows, total) = match matching {
            None => self.record.history().members(revision.file.digest, after, limit + 1).await?,
            Some(text) => {
                let pattern = MemberPattern::parse(text).map_err(QueryError::bad)?;
                self.matching_members(revision, &pattern, after, window.limit + 1).await?
            }
        };
        self.limits().count_bytes(weigh(rows.iter().map(|(_, member)| member)))?;
        let more = rows.len() as u64 > limit;
        let rows = rows.into_iter().take(window.limit).map(|(position, member)| {
            let cursor = Cursor { value: SortValue::Number(position.into()), tie: uuid::Uuid::nil() };
            let url = self.member_url(revision.id, &member.path);
            (cursor.format(RECORD_ORDER), MemberRow { member, url })
        });
        Ok(ListPage::new(&window, total, rows.collect(), more))
    }

    /// Newest first.
    pub async fn retention_runs(
        &self,
        paging: &Paging,
    ) -> Result<ListPage<crate::engine::record::RetentionRun>, QueryError> {
        let window = paging.window(RECORD_ORDER)?;
        let after = window.beyond.as_ref().map(|cursor| cursor.tie.to_string());
        let (rows, total) = self.record.retention().runs(after.as_deref(), window.limit as u64 + 1).await?;
        by_id(&window, rows, total, |run| run_id(&run.id))
    }

    /// Newest first.
    pub async fn product_removals(&self, paging: &Paging) -> Result<ListPage<ProductRemoval>, QueryError> {
        let window = paging.window(RECORD_ORDER)?;
        let after = window.beyond.as_ref().map(|cursor| cursor.tie.to_string());
        let (rows, total) = self.record.product_removals().list(after.as_deref(), window.limit as u64 + 1).await?;
        by_id(&window, rows, total, |removal| run_id(&removal.run.id))
    }

    /// Newest first.
    pub async fn verify_runs(&self, paging: &Paging) -> Result<ListPage<VerifyRun>, QueryError> {
        let window = paging.window(RECORD_ORDER)?;
        let after = window.beyond.as_ref().map(|cursor| cursor.tie.to_string());
        let (rows, total) = self.record.verify().runs(after.as_deref(), window.limit as u64 + 1).await?;
        by_id(&window, rows, total, |run| run_id(&run.id))
    }

    /// Newest first.
    pub async fn replays(&self, paging: &Paging) -> Result<ListPage<crate::engine::record::Replay>, QueryError> {
        let window = paging.window(RECORD_ORDER)?;
        let after = window.beyond.as_ref().map(|cursor| cursor.tie);
        let (rows, total) = self.record.replays().list(after, window.limit as u64 + 1).await?;
        by_id(&window, rows, total, |replay| Ok(replay.id))
    }

    /// Newest first.
    pub async fn job_runs(
        &self,
        name: Option<&str>,
        paging: &Paging,
    ) -> Result<ListPage<crate::engine::record::JobRun>, QueryError> {
        name.map_or(Ok(()), |text| check_text("name", text))?;
        let window = paging.window(RECORD_ORDER)?;
        let after = window.beyond.as_ref().map(|cursor| cursor.tie.to_string());
        let (rows, total) = self.record.jobs().runs(name, after.as_deref(), window.limit as u64 + 1).await?;
        by_id(&window, rows, total, |run| run_id(&run.id))
    }

    pub async fn publication_rows(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, PublicationRow>, QueryError> {
        let publications = self.record.history().publications_by_id(ids).await?;
        let revision_ids: Vec<RevisionId> =
            publications.values().filter_map(|publication| publication.latest_revision).collect();
        let mut revisions = self.record.history().revisions_by_id(&revision_ids).await?;
        let row = |(id, publication): (_, crate::engine::record::Publication)| {
            let revision = publication.latest_revision.and_then(|id| revisions.remove(&id));
            (id, PublicationRow { publication, revision, score: None, content_search: None })
        };
        let rows: HashMap<_, _> = publications.into_iter().map(row).collect();
        self.limits().count_bytes(weigh(rows.values()))?;
        Ok(rows)
    }

    pub async fn revision_rows(&self, ids: &[RevisionId]) -> Result<HashMap<RevisionId, RevisionRow>, QueryError> {
        let revisions = self.record.history().revisions_by_id(ids).await?;
        let publications: Vec<PublicationId> = revisions.values().map(|revision| revision.publication_id).collect();
        let publications = self.record.history().publications_by_id(&publications).await?;
        let row = |(id, revision): (_, Revision)| {
            let publication = publications.get(&revision.publication_id)?.clone();
            Some((id, RevisionRow { revision, publication, content_search: None }))
        };
        let rows: HashMap<_, _> = revisions.into_iter().filter_map(row).collect();
        self.limits().count_bytes(weigh(rows.values()))?;
        Ok(rows)
    }

    /// All revisions of some publications, by number.
    pub async fn revisions_of(
        &self,
        ids: &[PublicationId],
    ) -> Result<HashMap<PublicationId, Vec<RevisionRow>>, QueryError> {
        let publications = self.record.history().publications_by_id(ids).await?;
        let mut found = HashMap::with_capacity(ids.len());
        for (id, revisions) in self.record.history().revisions_of(ids).await? {
            if let Some(publication) = publications.get(&id) {
                let rows = revisions.into_iter().map(|revision| RevisionRow {
                    revision,
                    publication: publication.clone(),
                    content_search: None,
                });
                let rows: Vec<RevisionRow> = rows.collect();
                self.limits().count_bytes(weigh(&rows))?;
                found.insert(id, rows);
            }
        }
        Ok(found)
    }

    pub async fn products_by_id(&self, ids: &[ProductId]) -> Result<HashMap<ProductId, Product>, QueryError> {
        let products = self.record.history().products_by_id(ids).await?;
        self.limits().count_bytes(weigh(products.values()))?;
        Ok(products)
    }

    /// The newest notification of some products.
    pub async fn last_notifications(&self, of: &[ProductId]) -> Result<HashMap<ProductId, Notification>, QueryError> {
        let found = self.record.history().last_notifications(of).await?;
        self.limits().count_bytes(weigh(found.values()))?;
        Ok(found)
    }

    pub async fn notifications_by_id(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Notification>, QueryError> {
        let found = self.record.history().notifications_by_id(ids).await?;
        self.limits().count_bytes(weigh(found.values()))?;
        Ok(found)
    }

    /// A revision that has the file of a digest, the newest one.
    pub async fn revision_with(&self, digest: Digest) -> Result<Revision, QueryError> {
        let no_file = || QueryError::NotFound { what: "file", id: digest.to_string() };
        let id = self.record.verify().newest_with(digest).await?.ok_or_else(no_file)?;
        Ok(self.revision(id).await?.revision)
    }

    /// A revision, for its file; an error names the id.
    pub async fn revision(&self, id: RevisionId) -> Result<RevisionRow, QueryError> {
        let found = self.revision_rows(&[id]).await?.remove(&id);
        found.ok_or_else(|| QueryError::NotFound { what: "revision", id: id.to_string() })
    }
}

/// A page of rows whose id alone is their position; one row more than the page shows whether there is a next one.
fn by_id<Row>(
    window: &Window,
    rows: Vec<Row>,
    total: u64,
    id: impl Fn(&Row) -> Result<uuid::Uuid, RecordError>,
) -> Result<ListPage<Row>, QueryError> {
    let more = rows.len() > window.limit;
    let with_cursor = |row| Ok((Cursor { value: SortValue::Number(0), tie: id(&row)? }.format(RECORD_ORDER), row));
    let rows = rows.into_iter().take(window.limit).map(with_cursor).collect::<Result<_, RecordError>>()?;
    Ok(ListPage::new(window, total, rows, more))
}

fn run_id(text: &str) -> Result<uuid::Uuid, RecordError> {
    text.parse().map_err(|_| RecordError::Corrupt(format!("`{text}` is not the id of a run")))
}

fn cursor(hit: &Hit, target: Target, order: Order) -> String {
    Cursor { value: hit.value.clone(), tie: hit.tie_breaker(target) }.format(kind_of(order))
}

/// A member's path in an address: everything but letters, digits and a few signs is escaped.
pub(super) fn path_in_url(path: &str) -> String {
    const UNESCAPED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(path, UNESCAPED).to_string()
}
