//! Plans and runs of retention, and of scheduled jobs.
use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use tokio::sync::OnceCell;

use super::connection::{Connection, forward};
use super::error::{internal, query_error};
use super::rows::resolved_rows;
use crate::app::App;
use crate::contract::{Count, DateTime, Long};
use crate::jobs::Job;
use crate::jobs::retention::{InventoryPlan, Line, SharedPlans};
use crate::query::{self, ListPage};

resolved_rows!(RetentionLine, RetentionRun, JobRun);

/// What a plan does with a revision.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RetentionAction {
    Keep,
    Remove,
}

/// The plan that a request is given, the same for each of its fields.
#[derive(Default)]
pub struct PlanOfRequest(OnceCell<Arc<InventoryPlan>>);

impl PlanOfRequest {
    pub async fn get(&self, plans: &SharedPlans, app: &App) -> Result<Arc<InventoryPlan>> {
        let planned = self.0.get_or_try_init(|| plans.current(app)).await;
        planned.cloned().map_err(|e| internal(&e))
    }
}

/// What the policies would keep and remove now.
pub struct RetentionPlan(pub Arc<InventoryPlan>);

/// What the policies would keep and remove now.
#[Object]
impl RetentionPlan {
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }
    /// Number of revisions kept.
    async fn keep(&self) -> Count {
        Count(self.0.plan.keep as u64)
    }
    /// Number of revisions removed.
    async fn remove(&self) -> Count {
        Count(self.0.plan.remove as u64)
    }
    /// Bytes freed on disk. Bytes shared with a revision that is kept do not count.
    async fn bytes_freed(&self) -> Long {
        self.0.plan.bytes_freed.into()
    }
    /// One line for each revision whose file is still stored.
    async fn lines(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        action: Option<RetentionAction>,
    ) -> Result<Connection<RetentionLine>> {
        let wanted = |line: &Line| action.is_none_or(|action| line.keep == (action == RetentionAction::Keep));
        let total = match action {
            None => self.0.len(),
            Some(RetentionAction::Keep) => self.0.plan.keep,
            Some(RetentionAction::Remove) => self.0.plan.remove,
        };
        let lines = self.0.lines(ctx.data::<App>()?).filter(wanted);
        let listed = ListPage::of_iterator(lines, total as u64, &forward(first, after)).map_err(query_error)?;
        Ok(Connection::new(listed, RetentionLine::from))
    }
}

/// The decision on one revision, with its reason.
#[derive(SimpleObject, Clone)]
pub struct RetentionLine {
    revision_id: ID,
    publication_id: ID,
    name: String,
    reference_date: String,
    number: i32,
    action: RetentionAction,
    policy: Option<String>,
    rule: Option<String>,
    reason: String,
    bytes_freed: Long,
}

impl From<Line> for RetentionLine {
    fn from(line: Line) -> Self {
        Self {
            revision_id: line.revision_id.0.into(),
            publication_id: line.publication_id.0.into(),
            name: line.name,
            reference_date: line.reference_date,
            number: line.number,
            action: if line.keep { RetentionAction::Keep } else { RetentionAction::Remove },
            policy: line.policy,
            rule: Some(line.rule.to_owned()),
            reason: line.reason.to_owned(),
            bytes_freed: line.bytes_freed.into(),
        }
    }
}

/// One application of the policies, or a dry run.
#[derive(SimpleObject, Clone)]
pub struct RetentionRun {
    id: ID,
    dry_run: bool,
    started_at: DateTime,
    ended_at: Option<DateTime>,
    /// Number of revisions removed.
    removed: Count,
    bytes_freed: Long,
    /// When the files are deleted. Until then the run can be undone.
    sweep_after: Option<DateTime>,
    undone_at: Option<DateTime>,
}

impl From<query::RetentionRun> for RetentionRun {
    fn from(run: query::RetentionRun) -> Self {
        Self {
            id: run.id.into(),
            dry_run: run.dry_run,
            started_at: DateTime(run.started_at),
            ended_at: run.ended_at.map(DateTime),
            removed: Count(run.removed),
            bytes_freed: run.bytes_freed.into(),
            sweep_after: run.sweep_after.map(DateTime),
            undone_at: run.undone_at.map(DateTime),
        }
    }
}

/// One run of a scheduled job.
#[derive(SimpleObject, Clone)]
pub struct JobRun {
    id: ID,
    name: String,
    started_at: DateTime,
    ended_at: Option<DateTime>,
    /// `succeeded`, `failed` or `interrupted`; null while it runs.
    outcome: Option<String>,
    detail: Option<serde_json::Value>,
}

impl From<query::JobRun> for JobRun {
    fn from(run: query::JobRun) -> Self {
        Self {
            id: run.id.into(),
            name: run.name,
            started_at: DateTime(run.started_at),
            ended_at: run.ended_at.map(DateTime),
            outcome: run.outcome,
            detail: Some(run.detail),
        }
    }
}

/// A scheduled job.
#[derive(SimpleObject)]
pub struct JobStatus {
    name: String,
    /// Cron expression, São Paulo time; null when the job has no schedule.
    schedule: Option<String>,
    last_started_at: Option<DateTime>,
    last_ended_at: Option<DateTime>,
    last_outcome: Option<String>,
    next_at: Option<DateTime>,
}

impl JobStatus {
    /// The status of a job whose last run is given.
    pub fn new(app: &App, job: Job, last: Option<query::JobRun>) -> Self {
        let schedule = job.schedule(app);
        Self {
            name: job.name().to_owned(),
            next_at: schedule.as_ref().and_then(|schedule| schedule.after(app.clock.now())).map(DateTime),
            schedule: schedule.map(|schedule| schedule.to_string()),
            last_started_at: last.as_ref().map(|run| DateTime(run.started_at)),
            last_ended_at: last.as_ref().and_then(|run| run.ended_at).map(DateTime),
            last_outcome: last.and_then(|run| run.outcome),
        }
    }
}
