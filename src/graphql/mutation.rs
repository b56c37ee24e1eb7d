use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};

use super::Asker;
use super::connection::int;
use super::error::{bad, code, coded, internal, shown};
use super::input::{NotificationFilter, uuid};
use super::loaders::must_load;
use super::retention::RetentionRun;
use super::revision::Revision;
use crate::app::App;
use crate::domain::{REASON_CHARS_MAX, RevisionId, clean};
use crate::jobs;
use crate::query::check_notifications;
use crate::record::HoldError;

pub struct MutationRoot;

/// The outcome of `retryNotifications`.
#[derive(SimpleObject)]
pub struct RetryResult {
    /// Notifications that match the filter.
    matched: i32,
    /// Notifications queued again.
    queued: i32,
    /// Notifications whose link has expired. To get these files, press "Enviar" for the product on the portal.
    dead: i32,
}

/// Changes. They need an API key with the role operator or admin.
#[Object(name = "Mutation")]
impl MutationRoot {
    /// Queues the matching notifications again, if their link has not expired and their file is not archived.
    async fn retry_notifications(&self, ctx: &Context<'_>, filter: NotificationFilter) -> Result<RetryResult> {
        operator(ctx)?;
        let which = NotificationFilter::read(Some(filter))?;
        check_notifications(&which).map_err(shown)?;
        let counts = jobs::retry(ctx.data::<App>()?, &which).await.map_err(|e| internal(&e))?;
        Ok(RetryResult { matched: int(counts.matched), queued: int(counts.queued), dead: int(counts.dead) })
    }

    /// Protects a revision from retention.
    async fn hold_revision(&self, ctx: &Context<'_>, id: ID, reason: String) -> Result<Revision> {
        let asker = operator(ctx)?;
        let reason = clean(&reason);
        if reason.is_empty() {
            return Err(bad("`reason` is empty: say why the revision must stay"));
        }
        let chars = reason.chars().count();
        if chars > REASON_CHARS_MAX {
            return Err(bad(format!("`reason` has {chars} characters; at most {REASON_CHARS_MAX} are kept")));
        }
        let app = ctx.data::<App>()?;
        let id = RevisionId(uuid("id", &id)?);
        app.record.holds().hold(id, &reason, &asker.name, app.clock.now()).await.map_err(hold_error)?;
        must_load(ctx, id).await.map(Revision)
    }

    /// Ends the protection of a revision.
    async fn release_revision(&self, ctx: &Context<'_>, id: ID) -> Result<Revision> {
        operator(ctx)?;
        let app = ctx.data::<App>()?;
        let id = RevisionId(uuid("id", &id)?);
        app.record.holds().release(id, app.clock.now()).await.map_err(hold_error)?;
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
        Ok(run.map_err(|e| internal(&format!("{e:#}")))?.into())
    }

    /// Restores what a run removed. Possible until `sweepAfter`. Needs the role admin.
    async fn undo_retention(&self, ctx: &Context<'_>, run_id: ID) -> Result<RetentionRun> {
        admin(ctx)?;
        let id = uuid("runId", &run_id)?.to_string();
        let undone = jobs::retention::start_undo(ctx.data::<App>()?, &id).await;
        undone.map(Into::into).map_err(|e| coded(code::BAD_USER_INPUT, e.to_string()))
    }
}

pub(super) fn operator<'a>(ctx: &Context<'a>) -> Result<&'a Asker> {
    let asker = ctx.data::<Asker>()?;
    if asker.may_operate {
        return Ok(asker);
    }
    Err(coded(code::FORBIDDEN, "this key is a reader's: a key with the role operator or admin is needed"))
}

fn admin<'a>(ctx: &Context<'a>) -> Result<&'a Asker> {
    let asker = ctx.data::<Asker>()?;
    if asker.may_administer {
        return Ok(asker);
    }
    Err(coded(code::FORBIDDEN, "a key with the role admin is needed"))
}

fn hold_error(error: HoldError) -> Error {
    match &error {
        HoldError::Missing(_) => coded(code::NOT_FOUND, error.to_string()),
        HoldError::Purged(..) => bad(error.to_string()),
        HoldError::Record(e) => internal(e),
    }
}
