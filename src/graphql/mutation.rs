use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};

use super::caller::{admin, operator};
use super::error::{bad, code, coded, internal, query_error};
use super::loaders::must_load;
use super::retention::RetentionRun;
use super::revision::Revision;
use crate::app::App;
use crate::contract::{Count, NotificationFilter, uuid};
use crate::domain::{HoldReason, HoldReasonError, RevisionId};
use crate::holds::{self, HoldError};
use crate::jobs::retention::RetentionRefusal;
use crate::jobs::{self, RetryError};

pub struct MutationRoot;

/// The outcome of `retryNotifications`.
#[derive(SimpleObject)]
pub struct RetryResult {
    /// Notifications that match the filter.
    matched: Count,
    /// Notifications queued again.
    queued: Count,
    /// Notifications whose link has expired. To get these files, press "Enviar" for the product on the portal.
    dead: Count,
}

/// Changes. They need an API key with the role operator or admin.
#[Object(name = "Mutation")]
impl MutationRoot {
    /// Queues the matching notifications again, if their link has not expired and their file is not archived.
    async fn retry_notifications(&self, ctx: &Context<'_>, filter: NotificationFilter) -> Result<RetryResult> {
        operator(ctx)?;
        let which = NotificationFilter::read(Some(filter)).map_err(bad)?;
        let counts = jobs::retry(ctx.data::<App>()?, &which).await.map_err(|e| match e {
            RetryError::Query(e) => query_error(e),
            RetryError::Interrupted(e) => internal(&e),
        })?;
        Ok(RetryResult { matched: Count(counts.matched), queued: Count(counts.queued), dead: Count(counts.expired) })
    }

    /// Protects a revision from retention.
    async fn hold_revision(&self, ctx: &Context<'_>, id: ID, reason: String) -> Result<Revision> {
        let caller = operator(ctx)?;
        let reason: HoldReason = reason.parse().map_err(|e: HoldReasonError| bad(e.to_string()))?;
        let id = RevisionId(uuid("id", &id).map_err(bad)?);
        holds::hold(ctx.data::<App>()?, id, &reason, &caller.name).await.map_err(hold_error)?;
        must_load(ctx, id).await.map(Revision)
    }

    /// Ends the protection of a revision.
    async fn release_revision(&self, ctx: &Context<'_>, id: ID) -> Result<Revision> {
        operator(ctx)?;
        let id = RevisionId(uuid("id", &id).map_err(bad)?);
        holds::release(ctx.data::<App>()?, id).await.map_err(hold_error)?;
        must_load(ctx, id).await.map(Revision)
    }

    /// Applies the retention policies, or with `dryRun` only counts what they would remove. Applying needs the role
    /// admin. A run that takes more than a few seconds continues in the background; its `endedAt` is null until it has
    /// ended.
    async fn run_retention(&self, ctx: &Context<'_>, #[graphql(default = true)] dry_run: bool) -> Result<RetentionRun> {
        if dry_run {
            operator(ctx)?
        } else {
            admin(ctx)?
        };
        let app = ctx.data::<App>()?;
        let run = jobs::retention::start(app, app.clock.now(), dry_run).await;
        run.map(Into::into).map_err(retention_error)
    }

    /// Restores what a run removed. Possible until `sweepAfter`. Needs the role admin.
    async fn undo_retention(&self, ctx: &Context<'_>, run_id: ID) -> Result<RetentionRun> {
        admin(ctx)?;
        let id = uuid("runId", &run_id).map_err(bad)?.to_string();
        let undone = jobs::retention::start_undo(ctx.data::<App>()?, &id).await;
        undone.map(Into::into).map_err(retention_error)
    }
}

fn hold_error(error: HoldError) -> Error {
    match &error {
        HoldError::Missing(_) => coded(code::NOT_FOUND, error.to_string()),
        HoldError::Purged(..) => bad(error.to_string()),
        HoldError::Record(e) => internal(e),
    }
}

/// A refusal is for the caller; any other error is the service's own, and its text goes to the log alone.
fn retention_error(error: anyhow::Error) -> Error {
    match error.downcast_ref::<RetentionRefusal>() {
        Some(refusal @ RetentionRefusal::NotFound { .. }) => coded(code::NOT_FOUND, refusal.to_string()),
        Some(refusal) => bad(refusal.to_string()),
        None => internal(&format!("{error:#}")),
    }
}
