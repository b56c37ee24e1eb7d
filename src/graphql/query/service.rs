//! Queries about the service: its state, its jobs, and what they found.
use async_graphql::{Context, Object, Result};

use super::wants;
use crate::app::App;
use crate::contract::DateTime;
use crate::domain::Share;
use crate::graphql::caller::{Caller, operator};
use crate::graphql::connection::{Connection, forward};
use crate::graphql::error::{internal, query_error};
use crate::graphql::hook::{Hook, HookDeadLetter, HookDelivery};
use crate::graphql::removal::ProductRemoval;
use crate::graphql::replay::Replay;
use crate::graphql::retention::{JobRun, JobStatus, PlanOfRequest, RetentionPlan, RetentionRun};
use crate::graphql::status::{ApiKey, PausedHost, ServiceStatus};
use crate::graphql::verify::{BrokenItem, VerifyRun};
use crate::jobs::retention::SharedPlans;
use crate::jobs::{self, Job};
use crate::losses;
use crate::query::{Paging, Queries, USES_MAX};

/// Lost publications in the status.
const LOST_LISTED_MAX: u64 = 20;

#[derive(Default)]
pub struct ServiceQuery;

#[Object]
impl ServiceQuery {
    /// Replays, newest first.
    async fn replays(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Replay>> {
        let listed = ctx.data::<Queries>()?.replays(&forward(first, after)).await.map_err(query_error)?;
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
        let listed = ctx.data::<Queries>()?.retention_runs(&forward(first, after)).await.map_err(query_error)?;
        Ok(Connection::new(listed, RetentionRun::from))
    }

    /// Products that administrators removed, newest first: who, when and why.
    async fn product_removals(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<ProductRemoval>> {
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.product_removals(&page).await.map_err(query_error)?;
        Ok(Connection::new(listed, ProductRemoval::from))
    }

    /// Runs of verification, newest first.
    async fn verify_runs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<VerifyRun>> {
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.verify_runs(&page).await.map_err(query_error)?;
        Ok(Connection::new(listed, VerifyRun::from))
    }

    /// Everything that is known to be broken: damaged files, orphans, dangling rows, differences between the database and the search
    /// index. Needs the role operator or admin.
    async fn broken_items(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<BrokenItem>> {
        operator(ctx)?;
        let page = forward(first, after);
        let uses_max = if wants(ctx, "revisions") { USES_MAX } else { 1 };
        let listed = ctx.data::<Queries>()?.broken_items(Share::ALL, uses_max, &page).await.map_err(query_error)?;
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
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.job_runs(name.as_deref(), &page).await.map_err(query_error)?;
        Ok(Connection::new(listed, JobRun::from))
    }

    /// The hooks: how far each has come, and what went wrong. Needs the role operator or admin.
    async fn hooks(&self, ctx: &Context<'_>) -> Result<Vec<Hook>> {
        operator(ctx)?;
        let rows = ctx.data::<Queries>()?.hooks().await.map_err(query_error)?;
        Ok(rows.into_iter().map(Hook::from).collect())
    }

    /// The last attempts to deliver events, newest first. Needs the role operator or admin.
    async fn hook_deliveries(
        &self,
        ctx: &Context<'_>,
        hook: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<HookDelivery>> {
        operator(ctx)?;
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.hook_deliveries(hook.as_deref(), &page).await.map_err(query_error)?;
        Ok(Connection::new(listed, HookDelivery::from))
    }

    /// Events that hooks gave up, newest first. Needs the role operator or admin.
    async fn hook_dead_letters(
        &self,
        ctx: &Context<'_>,
        hook: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<HookDeadLetter>> {
        operator(ctx)?;
        let page = forward(first, after);
        let listed = ctx.data::<Queries>()?.hook_letters(hook.as_deref(), &page).await.map_err(query_error)?;
        Ok(Connection::new(listed, HookDeadLetter::from))
    }

    /// The state of the service.
    async fn status(&self, ctx: &Context<'_>) -> Result<ServiceStatus> {
        let queries = ctx.data::<Queries>()?;
        let mut status: ServiceStatus = queries.status().await.map_err(query_error)?.into();
        status.paused_hosts = jobs::paused_hosts(ctx.data::<App>()?)
            .into_iter()
            .map(|(host, until)| PausedHost { host, until: DateTime(until) })
            .collect();
        if ctx.look_ahead().field("lostPublications").exists() {
            let lost = losses::list(ctx.data::<App>()?, true, LOST_LISTED_MAX).await.map_err(|e| internal(&e))?;
            status.lost_publications = lost.into_iter().map(Into::into).collect();
        }
        for job in Job::ALL {
            let last = queries.job_runs(Some(job.name()), &Paging::first(1)).await.map_err(query_error)?;
            let last = last.rows.into_iter().next().map(|(_, run)| run);
            status.jobs.push(JobStatus::new(ctx.data::<App>()?, *job, last));
        }
        if ctx.data::<Caller>()?.may_operate {
            status.keys = Some(queries.keys().await.map_err(query_error)?.into_iter().map(ApiKey::from).collect());
        }
        Ok(status)
    }
}
