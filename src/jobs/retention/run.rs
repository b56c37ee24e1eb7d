//! Runs and undos. Every step can be interrupted and is continued by the next run, or by the service within seconds.
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::product::finish_removals;
use super::refusal::RetentionRefusal;
use super::reserve::{self, Reserve};
use super::sweep::{SweepResult, UNRECORDED_AFTER, failed_before, mark_unrecorded, sweep};
use super::{BATCH, InventoryPlan, LOCK, PAUSE_FACTOR, fault, make_plan, plan};
use crate::app::App;
use crate::domain::RevisionId;
use crate::engine::record::RetentionRun;
use crate::jobs::lock::Guard;
use crate::jobs::stop::{self, Stopped};

/// How long a run waits for another one to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a caller waits for the outcome of a run that continues in the background.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Notifications whose bodies are emptied in one transaction.
const THINNED_AT_ONCE: u64 = 500;

/// Revisions restored in one transaction.
const UNDO_BATCH: u64 = 100;

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub run: RetentionRun,
    pub swept: SweepResult,
}

/// Trusts the clock if it agrees with the time that an operator states.
pub fn confirm_clock(app: &App, now: Timestamp) {
    app.trust.confirm(now, app.clock.now(), &app.clock);
}

/// Makes a plan. Unless it is a dry run, marks what the plan removes, and sweeps what earlier runs marked if the grace is over.
pub async fn run(app: &App, now: Timestamp, dry_run: bool) -> anyhow::Result<Outcome> {
    OpenRun::begin(app, now, dry_run, LOCK_TIMEOUT).await?.finish().await
}

/// Starts a run that continues in the background. Returns its state after a few seconds at most.
pub async fn start(app: &App, now: Timestamp, dry_run: bool) -> anyhow::Result<RetentionRun> {
    let begun = OpenRun::begin(app, now, dry_run, RESPONSE_TIMEOUT).await?;
    let id = begun.id.clone();
    in_background(begun.finish()).await?;
    app.record.retention().run(&id).await?.context("the run was not recorded")
}

/// Runs work in the background, and waits a few seconds for its end.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let logged = async {
        let outcome = work.await;
        match &outcome {
            Ok(_) => {}
            Err(e) if e.is::<Stopped>() => tracing::info!("retention was stopped between two batches"),
            Err(e) => {
                tracing::error!(
                    error = format!("{e:#}"),
                    "retention was interrupted; the next run continues from there"
                )
            }
        }
        outcome
    };
    match tokio::time::timeout(RESPONSE_TIMEOUT, tokio::spawn(logged)).await {
        Ok(ended) => ended.context("a run of retention panicked")?.map(Some),
        Err(_) => Ok(None),
    }
}

/// A run that is recorded and holds the lock.
struct OpenRun {
    app: App,
    id: String,
    now: Timestamp,
    dry_run: bool,
    guard: Guard,
    _space: Reserve,
}

impl OpenRun {
    async fn begin(app: &App, now: Timestamp, dry_run: bool, timeout: Duration) -> anyhow::Result<Self> {
        if !dry_run && let Some(at) = app.trust.suspect_since(&app.clock) {
            bail!(RetentionRefusal::ClockSuspect { at });
        }
        let id = uuid::Uuid::now_v7().to_string();
        let (guard, space) = match Guard::wait(app, LOCK, &id, timeout).await {
            Ok(guard) => (guard, None),
            // On a full disk not even the lock can be written without the reserved space.
            Err(_) => {
                let space = Reserve::release(app);
                (Guard::wait(app, LOCK, &id, timeout).await?, Some(space))
            }
        };
        let Some(guard) = guard else {
            stop::check(app, "stop-before-run")?;
            bail!(RetentionRefusal::Busy);
        };
        let space = space.unwrap_or_else(|| Reserve::release(app));
        app.record.retention().end_killed_runs(app.clock.now()).await?;
        let grace = now.to_zoned_datetime(crate::domain::sao_paulo().clone()).checked_add(app.settings.retention.grace);
        let run = RetentionRun {
            id: id.clone(),
            dry_run,
            started_at: app.clock.now(),
            ended_at: None,
            removed: 0,
            bytes_freed: 0,
            sweep_after: (!dry_run).then(|| grace.map(|at| at.timestamp())).transpose()?,
            undone_at: None,
            swept_at: None,
        };
        app.record.retention().begin_run(&run).await?;
        Ok(Self { app: app.clone(), id, now, dry_run, guard, _space: space })
    }

    async fn finish(self) -> anyhow::Result<Outcome> {
        let outcome = self.work().await;
        if outcome.as_ref().is_err_and(|e| e.is::<Stopped>()) {
            // What it marked so far is its result. No other run is open, since this one has the lock.
            if let Err(e) = self.app.record.retention().end_killed_runs(self.app.clock.now()).await {
                tracing::warn!(error = %e, "a stopped run could not be ended; the next start ends it");
            }
        }
        let run = self.app.record.retention().run(&self.id).await;
        self.guard.release().await;
        let swept = outcome?;
        Ok(Outcome { run: run?.context("the run was not recorded")?, swept })
    }

    async fn work(&self) -> anyhow::Result<SweepResult> {
        let Self { app, id, now, dry_run, guard, .. } = self;
        finish_undos(app, guard).await?;
        if !dry_run {
            finish_removals(app, guard).await?;
        }
        let planned = make_plan(app, *now).await?;
        let mut removed = planned.plan.remove as u64;
        if !dry_run {
            removed = mark(app, guard, &planned, id, *now).await?;
            fault("retention-after-mark");
        }
        app.record.retention().end_run(id, removed, planned.plan.bytes_freed, app.clock.now()).await?;
        drop(planned);
        let mut swept = SweepResult::default();
        if !dry_run {
            swept = sweep(app, guard, *now, app.clock.now()).await?;
            thin(app, guard, *now).await?;
        }
        tracing::info!(run = id, dry_run, removed, "retention ran");
        Ok(swept)
    }
}

async fn mark(app: &App, guard: &Guard, planned: &InventoryPlan, id: &str, now: Timestamp) -> anyhow::Result<u64> {
    let mut marked = 0;
    let mut chosen = Vec::with_capacity(BATCH);
    for publication in &planned.inventory.publications {
        for (i, revision) in planned.inventory.of(publication) {
            let decision = &planned.plan.decisions[i as usize];
            if decision.keep {
                continue;
            }
            let policy = decision.policy.and_then(|p| app.settings.retention.policies.get(usize::from(p)));
            let policy = policy.map_or_else(|| "max_stored".to_owned(), |policy| format!("policy `{}`", policy.name));
            let rule = format!("{policy}: {}", decision.rule.reason());
            chosen.push((RevisionId(revision.id), i == publication.latest, rule));
            if chosen.len() == BATCH {
                let began = tokio::time::Instant::now();
                guard.check("stop-in-marks")?;
                marked += app.record.retention().mark(id, &chosen, now).await?;
                chosen.clear();
                fault("retention-between-marks");
                tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
            }
        }
    }
    guard.check("stop-in-marks")?;
    Ok(marked + app.record.retention().mark(id, &chosen, now).await?)
}

async fn thin(app: &App, guard: &Guard, now: Timestamp) -> anyhow::Result<()> {
    let Some(span) = app.settings.retention.notification_bodies else { return Ok(()) };
    let before = crate::domain::timestamp(plan::cutoff(now, span));
    loop {
        let began = tokio::time::Instant::now();
        guard.check("stop-in-thinning")?;
        if app.record.retention().drop_old_bodies(before, THINNED_AT_ONCE).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(began.elapsed()).await;
    }
}

/// Continues pending work unless another process holds the lock: ends runs that were killed, completes interrupted undos, sweeps
/// marked revisions whose grace is over, and restores the reserve.
pub(in crate::engine::jobs) async fn finish_pending(app: &App) -> anyhow::Result<()> {
    let now = app.trust.now(&app.clock);
    mark_unrecorded(app, UNRECORDED_AFTER).await?;
    let killed = app.record.retention().has_open_run().await?;
    let half_removed = !app.record.product_removals().incomplete().await?.is_empty();
    let half_undone = !app.record.retention().interrupted_undos().await?.is_empty();
    let due = app.record.removals().is_due(now, failed_before(app)).await?;
    if !(killed || half_undone || half_removed || due || reserve::is_lacking(app)) {
        return Ok(());
    }
    let holder = format!("service-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::take(app, LOCK, &holder).await? else { return Ok(()) };
    let outcome = finish_pending_locked(app, &guard, now).await;
    guard.release().await;
    outcome
}

async fn finish_pending_locked(app: &App, guard: &Guard, now: Timestamp) -> anyhow::Result<()> {
    if reserve::is_lacking(app) {
        drop(Reserve::release(app));
    }
    let ended = app.record.retention().end_killed_runs(now).await?;
    if ended > 0 {
        tracing::warn!(ended, "a run of retention was interrupted; what it marked so far is its result");
    }
    finish_undos(app, guard).await?;
    finish_removals(app, guard).await?;
    sweep(app, guard, now, failed_before(app)).await?;
    Ok(())
}

/// Restores everything that a run marked. Returns the run and the number of restored revisions.
pub async fn undo(app: &App, id: &str) -> anyhow::Result<(RetentionRun, u64)> {
    let (guard, back) = begin_undo(app, id, LOCK_TIMEOUT).await?;
    finish_undo(app.clone(), guard).await?;
    Ok((app.record.retention().run(id).await?.context("the run is gone")?, back))
}

/// Like [`undo`], but continues in the background after a few seconds.
pub async fn start_undo(app: &App, id: &str) -> anyhow::Result<RetentionRun> {
    let (guard, _) = begin_undo(app, id, RESPONSE_TIMEOUT).await?;
    in_background(finish_undo(app.clone(), guard)).await?;
    app.record.retention().run(id).await?.context("the run is gone")
}

async fn begin_undo(app: &App, id: &str, timeout: Duration) -> anyhow::Result<(Guard, u64)> {
    let Some(run) = app.record.retention().run(id).await? else {
        bail!(RetentionRefusal::NotFound { id: id.to_owned() });
    };
    if run.dry_run {
        bail!(RetentionRefusal::DryRun { id: id.to_owned() });
    }
    let Some(guard) = Guard::wait(app, LOCK, &format!("undo-{}", uuid::Uuid::now_v7()), timeout).await? else {
        bail!(RetentionRefusal::Busy);
    };
    app.record.retention().end_killed_runs(app.clock.now()).await?;
    let (back, lost) = app.record.retention().begin_undo(id, app.clock.now()).await?;
    if lost > 0 && back == 0 {
        guard.release().await;
        bail!(RetentionRefusal::GraceOver { id: id.to_owned(), lost });
    }
    tracing::info!(run = id, back, lost, "a retention run was undone");
    Ok((guard, back))
}

async fn finish_undo(app: App, guard: Guard) -> anyhow::Result<()> {
    let outcome = finish_undos(&app, &guard).await;
    guard.release().await;
    outcome
}

/// Restores what undone runs had marked, in small transactions with pauses between them.
async fn finish_undos(app: &App, guard: &Guard) -> anyhow::Result<()> {
    for run in app.record.retention().interrupted_undos().await? {
        loop {
            let began = tokio::time::Instant::now();
            guard.check("stop-in-undo")?;
            if app.record.retention().undo_batch(&run, UNDO_BATCH, app.clock.now()).await? == 0 {
                break;
            }
            fault("retention-between-undos");
            tokio::time::sleep(began.elapsed()).await;
        }
    }
    Ok(())
}
