use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};

use super::caller::{admin, operator};
use super::error::{bad, code, coded, internal, query_error};
use super::hook::{Hook, HookTest};
use super::loaders::must_load;
use super::losses::AcknowledgeResult;
use super::removal::{self, ProductRemovalResult};
use super::retention::RetentionRun;
use super::revision::Revision;
use crate::app::App;
use crate::contract::{Count, NotificationFilter, uuid};
use crate::domain::{HoldReason, HoldReasonError, PublicationId, RevisionId, excerpt};
use crate::holds::{self, HoldError};
use crate::jobs::hooks::{self, HookError};
use crate::jobs::retention::RetentionRefusal;
use crate::jobs::{self, RetryError};
use crate::losses::{self, AcknowledgeError};
use crate::query::Queries;

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

    /// Acknowledges that publications are lost, so that an alert on `status { lost }` ends: those with these ids (at most 1,000), or with
    /// `all` every one that is lost now. A later loss of the same publication is not acknowledged.
    async fn acknowledge_lost(
        &self,
        ctx: &Context<'_>,
        ids: Option<Vec<ID>>,
        #[graphql(default = false)] all: bool,
    ) -> Result<AcknowledgeResult> {
        let caller = operator(ctx)?;
        let app = ctx.data::<App>()?;
        let ids = match ids {
            Some(ids) if !all && ids.len() <= ACKNOWLEDGED_MAX => Some(publication_ids(&ids)?),
            None if all => None,
            Some(ids) if !all => {
                return Err(bad(format!("`ids` has {} ids; at most {ACKNOWLEDGED_MAX} are allowed", ids.len())));
            }
            Some(_) => return Err(bad("`ids` and `all` exclude each other")),
            None => return Err(bad("`ids` is missing; give the ids of publications, or `all: true`")),
        };
        let count = losses::acknowledge(app, ids.as_deref(), &caller.name).await.map_err(acknowledge_error)?;
        let remaining = ctx.data::<Queries>()?.lost().await.map_err(query_error)?.unacknowledged;
        Ok(AcknowledgeResult { acknowledged: Count(count), remaining: Count(remaining) })
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

    /// Removes all files of a product that are archived now: of a test, or of one that must go. `confirmName` repeats its name, and
    /// `reason` is recorded with the caller (`productRemovals`). Nothing is removed while a revision is held. The revisions are PURGED at
    /// once; their files are deleted after the grace of retention, until which `undoRetention` restores them. Notifications, and the
    /// metadata of publications, stay. With `dryRun` only says what would be removed. Needs the role admin.
    async fn remove_product(
        &self,
        ctx: &Context<'_>,
        product_id: ID,
        confirm_name: Option<String>,
        reason: Option<String>,
        #[graphql(default = true)] dry_run: bool,
    ) -> Result<ProductRemovalResult> {
        removal::remove_product(ctx, (product_id, dry_run), confirm_name, reason).await
    }

    /// Lets the service send events again that a hook gave up: those with these ids of `hookDeadLetters`, or all of the hook's.
    /// One attempt is made for each. Returns how many.
    async fn redeliver_hook(&self, ctx: &Context<'_>, name: String, ids: Option<Vec<ID>>) -> Result<Count> {
        operator(ctx)?;
        let read =
            |id: &ID| id.parse().map_err(|_| bad(format!("`{}` is not the id of a dead letter", excerpt(id.as_str()))));
        let ids: Option<Vec<i64>> = ids.map(|ids| ids.iter().map(read).collect::<Result<_>>()).transpose()?;
        let requested = hooks::redeliver(ctx.data::<App>()?, &name, ids.as_deref()).await;
        requested.map(Count).map_err(hook_error)
    }

    /// Lets a hook send again whose endpoint answered 410, or retry at once.
    async fn enable_hook(&self, ctx: &Context<'_>, name: String) -> Result<Hook> {
        operator(ctx)?;
        hooks::enable(ctx.data::<App>()?, &name).await.map_err(hook_error)?;
        let rows = ctx.data::<Queries>()?.hooks().await.map_err(query_error)?;
        let row = rows.into_iter().find(|row| row.name == name);
        row.map(Hook::from).ok_or_else(|| hook_error(HookError::Unknown(name)))
    }

    /// Sends a test message to the endpoint of a hook.
    async fn test_hook(&self, ctx: &Context<'_>, name: String) -> Result<HookTest> {
        operator(ctx)?;
        match hooks::test(ctx.data::<App>()?, &name).await {
            Ok(status) => Ok(HookTest { delivered: true, status: status.map(i32::from), error: None }),
            Err(HookError::Send(e)) => {
                let status = e.status().map(i32::from);
                Ok(HookTest { delivered: false, status, error: Some(e.to_string()) })
            }
            Err(e) => Err(hook_error(e)),
        }
    }
}

fn hook_error(error: HookError) -> Error {
    match &error {
        HookError::Unknown(name) => coded(code::NOT_FOUND, format!("there is no hook `{}`", excerpt(name))),
        HookError::NoLetter { .. } => coded(code::NOT_FOUND, error.to_string()),
        HookError::Send(e) => bad(e.to_string()),
        HookError::Record(e) => internal(e),
    }
}

/// Publications of one `acknowledgeLost`.
const ACKNOWLEDGED_MAX: usize = 1_000;

fn publication_ids(ids: &[ID]) -> Result<Vec<PublicationId>> {
    ids.iter().map(|id| uuid("ids", id).map(PublicationId).map_err(bad)).collect()
}

fn acknowledge_error(error: AcknowledgeError) -> Error {
    match &error {
        AcknowledgeError::Missing(_) => coded(code::NOT_FOUND, error.to_string()),
        AcknowledgeError::NotLost(..) => bad(error.to_string()),
        AcknowledgeError::Record(e) => internal(e),
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
pub(super) fn retention_error(error: anyhow::Error) -> Error {
    match error.downcast_ref::<RetentionRefusal>() {
        Some(refusal @ (RetentionRefusal::NotFound { .. } | RetentionRefusal::NoProduct { .. })) => {
            coded(code::NOT_FOUND, refusal.to_string())
        }
        Some(refusal) => bad(refusal.to_string()),
        None => internal(&format!("{error:#}")),
    }
}
