use async_graphql::{Context, ID, Object, Result};

use super::caller::operator;
use super::change::ChangeConnection;
use super::connection::{Connection, paging};
use super::error::{bad, query_error};
use super::loaders::load;
use super::notification::Notification;
use super::product::Product;
use super::publication::Publication;
use super::repeat::ListStates;
use super::replay::Replay;
use super::retention::{JobRun, JobStatus, PlanOfRequest, RetentionPlan, RetentionRun};
use super::revision::Revision;
use super::rows::Rows;
use super::stats::{Coverage, StatsDimension, StatsRow, Suggestion};
use super::status::{PausedHost, ServiceStatus};
use super::verify::{BrokenItem, VerifyRun};
use crate::app::App;
use crate::contract::{
    DateTime, LocalDate, NotificationFilter, ProductFilter, ProductOrder, PublicationFilter, PublicationOrder,
    RevisionOrder, uuid,
};
use crate::domain::{NotificationId, ProductId, PublicationId, RevisionId, Share};
use crate::jobs::retention::SharedPlans;
use crate::jobs::{self, Job};
use crate::query::{
    NotificationRequest, Paging, ProductRequest, PublicationRequest, Queries, RevisionRequest, StatsRequest,
};

pub struct QueryRoot;

/// Everything that can be read.
#[Object(name = "Query")]
#[allow(clippy::too_many_arguments, reason = "the arguments are the contract's")]
impl QueryRoot {
    /// Publications with the file that is, or with `asOf` was, the latest. `search` matches words as people type them;
    /// `filter` matches exactly; with both, both must match. `first` is 100 by default and at most 1000.
    async fn publications(
        &self,
        ctx: &Context<'_>,
        search: Option<String>,
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
            filter: PublicationFilter::read(filter).map_err(bad)?,
            order: order_by.into(),
            paging: paging(first, after, last, before, offset),
        };
        Ok(Connection::new(ctx.data::<Queries>()?.revisions(request).await.map_err(query_error)?, Revision))
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
        filter: Option<PublicationFilter>,
        group_by: Vec<StatsDimension>,
        #[graphql(default = 1000)] limit: i32,
    ) -> Result<Rows<'static, StatsRow>> {
        let request = StatsRequest {
            search,
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

    /// All committed changes in commit order, oldest first. Cursors never expire and no change is skipped: store
    /// `endCursor` and pass it as `after` to continue. On an empty page `endCursor` equals `after`, or the start of the
    /// feed.
    async fn changes(&self, ctx: &Context<'_>, after: Option<String>, first: Option<i32>) -> Result<ChangeConnection> {
        let start = after.clone().unwrap_or_else(Queries::start_of_changes);
        let page = paging(first, after, None, None, None);
        let listed = ctx.data::<Queries>()?.changes(&page).await.map_err(query_error)?;
        Ok(ChangeConnection::new(listed, start))
    }

    /// Replays, newest first.
    async fn replays(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Replay>> {
        let listed =
            ctx.data::<Queries>()?.replays(&paging(first, after, None, None, None)).await.map_err(query_error)?;
        Ok(Connection::new(listed, Replay::from))
    }

    /// What the policies would keep and remove now. Needs the role operator or admin.
    async fn retention_plan(&self, ctx: &Context<'_>) -> Result<RetentionPlan> {
        operator(ctx)?;
        let plan = ctx.data::<PlanOfRequest>()?;
        Ok(RetentionPlan(plan.get(ctx.data::<SharedPlans>()?, ctx.data::<App>()?).await?))
    }

    /// Retention runs, newest first.
    async fn retention_runs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<RetentionRun>> {
        let listed = ctx
            .data::<Queries>()?
            .retention_runs(&paging(first, after, None, None, None))
            .await
            .map_err(query_error)?;
        Ok(Connection::new(listed, RetentionRun::from))
    }

    /// Runs of verification, newest first.
    async fn verify_runs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<VerifyRun>> {
        let page = paging(first, after, None, None, None);
        let listed = ctx.data::<Queries>()?.verify_runs(&page).await.map_err(query_error)?;
        Ok(Connection::new(listed, VerifyRun::from))
    }

    /// Everything that is known to be broken: damaged files, orphans, dangling rows, differences between the database and the search
    /// index.
    async fn broken_items(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<BrokenItem>> {
        let page = paging(first, after, None, None, None);
        let listed = ctx.data::<Queries>()?.broken_items(Share::ALL, &page).await.map_err(query_error)?;
        Ok(Connection::new(listed, BrokenItem::from))
    }

    /// Runs of scheduled jobs, newest first.
    async fn job_runs(
        &self,
        ctx: &Context<'_>,
        name: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<JobRun>> {
        let page = paging(first, after, None, None, None);
        let listed = ctx.data::<Queries>()?.job_runs(name.as_deref(), &page).await.map_err(query_error)?;
        Ok(Connection::new(listed, JobRun::from))
    }

    /// The state of the service.
    async fn status(&self, ctx: &Context<'_>) -> Result<ServiceStatus> {
        let queries = ctx.data::<Queries>()?;
        let mut status: ServiceStatus = queries.status().await.map_err(query_error)?.into();
        status.paused_hosts = jobs::paused_hosts(ctx.data::<App>()?)
            .into_iter()
            .map(|(host, until)| PausedHost { host, until: DateTime(until) })
            .collect();
        for job in Job::ALL {
            let last = queries.job_runs(Some(job.name()), &Paging::first(1)).await.map_err(query_error)?;
            let last = last.rows.into_iter().next().map(|(_, run)| run);
            status.jobs.push(JobStatus::new(ctx.data::<App>()?, *job, last));
        }
        Ok(status)
    }
}

/// Whether a field of a list's rows is selected.
pub(super) fn wants(ctx: &Context<'_>, name: &str) -> bool {
    let list = ctx.look_ahead();
    list.field("nodes").field(name).exists() || list.field("edges").field("node").field(name).exists()
}
