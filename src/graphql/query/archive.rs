//! Queries about what is archived.
use async_graphql::{Context, ID, Object, Result};

use super::wants;
use crate::contract::{
    DateTime, LocalDate, NotificationFilter, ProductFilter, ProductOrder, PublicationFilter, PublicationOrder,
    RevisionOrder, member_pattern, uuid,
};
use crate::domain::{NotificationId, ProductId, PublicationId, RevisionId};
use crate::graphql::change::ChangeConnection;
use crate::graphql::connection::{Connection, forward, paging};
use crate::graphql::contents::SearchIn;
use crate::graphql::coverage::{Coverage, CoverageState, ProductCoverage};
use crate::graphql::diff::{RevisionDiff, RevisionPair};
use crate::graphql::error::{bad, query_error};
use crate::graphql::loaders::load;
use crate::graphql::member::FileMemberConnection;
use crate::graphql::notification::Notification;
use crate::graphql::product::Product;
use crate::graphql::publication::Publication;
use crate::graphql::repeat::ListStates;
use crate::graphql::revision::Revision;
use crate::graphql::rows::Rows;
use crate::graphql::stats::{StatsDimension, StatsRow, Suggestion};
use crate::graphql::wait::{self, Waited};
use crate::query::{
    ChangesRequest, CoverageRequest, CoverageStates, NotificationRequest, ProductRequest, PublicationRequest, Queries,
    RevisionRequest, StatsRequest,
};

#[derive(Default)]
pub struct ArchiveQuery;

#[Object]
#[allow(clippy::too_many_arguments, reason = "the arguments are the contract's")]
impl ArchiveQuery {
    /// Publications with the file that is, or with `asOf` was, the latest. `search` matches words as people type them;
    /// `filter` matches exactly; with both, both must match. `asOf` also takes a day (2025-02-20), which means its end in São Paulo.
    /// `first` is 100 by default and at most 1000. `in: CONTENT` searches inside files; see `contentMatches`.
    async fn publications(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        #[graphql(name = "in", default)] search_in: SearchIn,
        filter: Option<PublicationFilter>,
        as_of: Option<DateTime>,
        #[graphql(default_with = "PublicationOrder::PeriodDesc")] order_by: PublicationOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Publication>> {
        let request = PublicationRequest {
            search,
            search_in: search_in.into(),
            // A score costs more than the search itself.
            scored: wants(ctx, "score"),
            filter: PublicationFilter::read(filter).map_err(bad)?,
            as_of: as_of.map(|at| at.0),
            order: order_by.into(),
            paging: paging(first, after, last, before, offset),
        };
        let page = ctx.data::<Queries>()?.publications(request).await.map_err(query_error)?;
        ctx.data_opt::<ListStates>().inspect(|states| states.note(page.state.as_ref()));
        Ok(Connection::shared(page, Publication))
    }

    async fn publication(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Publication>> {
        Ok(load(ctx, PublicationId(uuid("id", &id).map_err(bad)?)).await?.map(Publication::from))
    }

    /// All revisions of all publications, including superseded ones. The filter applies to their publications.
    async fn revisions(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        #[graphql(name = "in", default)] search_in: SearchIn,
        filter: Option<PublicationFilter>,
        #[graphql(default_with = "RevisionOrder::ArchivedDesc")] order_by: RevisionOrder,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Revision>> {
        let request = RevisionRequest {
            search,
            search_in: search_in.into(),
            filter: PublicationFilter::read(filter).map_err(bad)?,
            order: order_by.into(),
            paging: paging(first, after, last, before, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.revisions(request).await.map_err(query_error)?, Revision))
    }

    /// Members of zips across files: those of the file of each publication that is, or with `asOf` was, the latest. `match` keeps
    /// paths that contain the text; with `*` or `?`, paths or names that match it as a whole.
    async fn members(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "match")] matching: Option<String>,
        search: Option<String>,
        #[graphql(name = "in", default)] search_in: SearchIn,
        filter: Option<PublicationFilter>,
        as_of: Option<DateTime>,
        #[graphql(default_with = "PublicationOrder::PeriodDesc")] order_by: PublicationOrder,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<FileMemberConnection> {
        let mut filter = PublicationFilter::read(filter).map_err(bad)?;
        match matching.map(|text| member_pattern("match", &text)).transpose().map_err(bad)? {
            Some(_) if filter.member.is_some() => {
                return Err(bad("`match` and `filter.member` are both given: give one of them".to_owned()));
            }
            Some(pattern) => filter.member = Some(pattern),
            None => {}
        }
        let request = PublicationRequest {
            search,
            search_in: search_in.into(),
            scored: false,
            filter,
            as_of: as_of.map(|at| at.0),
            order: order_by.into(),
            paging: forward(first, after),
        };
        let listed = ctx.data::<Queries>()?.members_of_files(request).await.map_err(query_error)?;
        Ok(FileMemberConnection::new(listed))
    }

    async fn revision(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Revision>> {
        Ok(load(ctx, RevisionId(uuid("id", &id).map_err(bad)?)).await?.map(Revision))
    }

    async fn products(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        filter: Option<ProductFilter>,
        #[graphql(default_with = "ProductOrder::NameAsc")] order_by: ProductOrder,
        first: Option<i32>,
        after: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Product>> {
        let request = ProductRequest {
            search,
            filter: ProductFilter::read(filter).map_err(bad)?,
            order: order_by.into(),
            paging: paging(first, after, None, None, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.products(request).await.map_err(query_error)?, Product))
    }

    async fn product(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Product>> {
        Ok(load(ctx, ProductId(uuid("id", &id).map_err(bad)?)).await?.map(Product))
    }

    /// Notifications, newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        filter: Option<NotificationFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offset: Option<i32>,
    ) -> Result<Connection<Notification>> {
        let query = NotificationFilter::read(filter).map_err(bad)?;
        let bodies = wants(ctx, "body");
        let request = NotificationRequest { query, paging: paging(first, after, last, before, offset), bodies };
        Ok(Connection::new(ctx.data::<Queries>()?.notifications(request).await.map_err(query_error)?, Notification))
    }

    async fn notification(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Notification>> {
        Ok(load(ctx, NotificationId(uuid("id", &id).map_err(bad)?)).await?.map(Notification))
    }

    /// Counts of current publications per group, in the order of `groupBy`.
    async fn publication_stats(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
        #[graphql(name = "in", default)] search_in: SearchIn,
        filter: Option<PublicationFilter>,
        group_by: Vec<StatsDimension>,
        #[graphql(default = 1000)] limit: i32,
    ) -> Result<Rows<'static, StatsRow>> {
        let request = StatsRequest {
            search,
            search_in: search_in.into(),
            filter: PublicationFilter::read(filter).map_err(bad)?,
            group_by: group_by.into_iter().map(Into::into).collect(),
            limit: limit.into(),
        };
        let rows = ctx.data::<Queries>()?.publication_stats(request).await.map_err(query_error)?;
        Ok(rows.into_iter().map(StatsRow).collect::<Vec<_>>().into())
    }

    /// Completions for a prefix: current and former product names, processes, file names.
    async fn suggest(
        &self,
        ctx: &Context<'_>,
        prefix: String,
        #[graphql(default = 10)] limit: i32,
    ) -> Result<Vec<Suggestion>> {
        let found = ctx.data::<Queries>()?.suggest(&prefix, limit.into()).await.map_err(query_error)?;
        Ok(found.into_iter().map(Suggestion::from).collect())
    }

    /// Which periods are expected from the product's own history, and which of them are archived, late or missing.
    async fn coverage(&self, ctx: &Context<'_>, product_id: ID, from: LocalDate, to: LocalDate) -> Result<Coverage> {
        let id = ProductId(uuid("productId", &product_id).map_err(bad)?);
        let coverage = ctx.data::<Queries>()?.coverage(id, from.0, to.0).await.map_err(query_error)?;
        Ok(coverage.into())
    }

    /// The coverage of many products, by name: how many periods that start from `from` to `to` (both included, at most 366 days) are
    /// archived, late or missing, and which ones need a look. `state` chooses which periods are listed; by default those that are late,
    /// missing or lost, or whose file arrived late.
    async fn coverage_overview(
        &self,
        ctx: &Context<'_>,
        filter: Option<ProductFilter>,
        from: LocalDate,
        to: LocalDate,
        state: Option<Vec<CoverageState>>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ProductCoverage>> {
        let states = state.map_or_else(CoverageStates::noted, |states| CoverageStates {
            states: states.into_iter().map(Into::into).collect(),
            arrived_late: false,
        });
        let filter = ProductFilter::read(filter).map_err(bad)?;
        let request = CoverageRequest { filter, from: from.0, to: to.0, states: Some(states) };
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.coverage_overview(&request, page).await.map_err(query_error)?;
        Ok(Connection::new(listed, ProductCoverage::from))
    }

    /// All committed changes in commit order, oldest first. Cursors never expire and no change is skipped: store
    /// `endCursor` and pass it as `after` to continue, at once if `hasNextPage`.
    ///
    /// With `filter`, only changes whose publication matches now, as in `publications`. A request compares at most 50,000
    /// changes, so a page may be empty although `hasNextPage`.
    ///
    /// With `wait`, a request that finds nothing is answered when something matches, or after that many seconds (at most 60).
    ///
    /// On an empty page `endCursor` is the last change that was compared: without a filter `after`, or the start of the feed.
    async fn changes(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        first: Option<i32>,
        filter: Option<PublicationFilter>,
        wait: Option<i32>,
    ) -> Result<ChangeConnection> {
        let waits = wait::seconds(wait)? > 0;
        let request = ChangesRequest {
            after,
            first: first.map(i64::from),
            filter: PublicationFilter::read(filter).map_err(bad)?,
            passed: ctx.data_opt::<Waited>().filter(|_| waits).map(|waited| waited.0),
        };
        let page = ctx.data::<Queries>()?.changes(&request).await.map_err(query_error)?;
        Ok(ChangeConnection::new(page))
    }

    /// The cursor of this moment: `changes(after: it)` returns what is committed from now on.
    async fn changes_cursor(&self, ctx: &Context<'_>) -> Result<String> {
        ctx.data::<Queries>()?.changes_cursor().await.map_err(query_error)
    }

    /// What changed from one revision's file to another's: members by path where both are zips, text by line. Bounded in time and
    /// size; `notes` says what was not compared.
    async fn revision_diff(&self, ctx: &Context<'_>, from: ID, to: ID) -> Result<RevisionDiff> {
        let from = RevisionId(uuid("from", &from).map_err(bad)?);
        let to = RevisionId(uuid("to", &to).map_err(bad)?);
        Ok(RevisionDiff(ctx.data::<Queries>()?.revision_diff(from, to).await.map_err(query_error)?))
    }

    /// Two revisions to compare: with `from` alone it and the one before it; with `search` the last two of the product that the words
    /// find best, with `asOf` as the archive was then. An id may also be that of a publication, for its latest revision.
    async fn revision_pair(
        &self,
        ctx: &Context<'_>,
        from: Option<ID>,
        to: Option<ID>,
        search: Option<String>,
        as_of: Option<DateTime>,
    ) -> Result<RevisionPair> {
        let id = |name, id: Option<ID>| id.map(|id| uuid(name, &id)).transpose().map_err(bad);
        let (from, to) = (id("from", from)?, id("to", to)?);
        RevisionPair::find(ctx.data()?, from, to, search.as_deref(), as_of.map(|at| at.0)).await.map_err(query_error)
    }
}
