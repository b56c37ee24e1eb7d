//! Retention: plan, then act. A run marks what its plan removes; a sweep takes the bytes once the grace is over, and until
//! then the run can be undone. Every step can be interrupted anywhere and is taken up by the next run.
mod inventory;
mod plan;

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::app::App;
use crate::domain::RevisionId;
use crate::record::RetentionRun;
use crate::store::Encoding;

pub use inventory::{Inventory, Product, Publication, Revision};
pub use plan::{Decision, Plan, Rule, is_named, plan};

/// Publications read at once.
const PAGE: u64 = 5000;

/// Revisions marked, or swept, in one transaction: few enough that writers in between wait for milliseconds.
const BATCH: usize = 25;

/// Notifications whose bodies are emptied in one transaction.
const THINNED_AT_ONCE: u64 = 500;

/// A run rests so many times as long as it works: readers and the portal come first.
const REST: u32 = 3;

/// How long the lock of a run holds without a sign of life.
const LOCK: Duration = Duration::from_secs(15);

/// A plan with what it is about.
pub struct Planned {
    pub at: Timestamp,
    pub inventory: Inventory,
    pub plan: Plan,
}

/// A line of a plan, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub revision_id: RevisionId,
    pub publication_id: crate::domain::PublicationId,
    pub name: String,
    pub reference_date: String,
    pub number: i32,
    pub keep: bool,
    pub policy: Option<String>,
    pub rule: &'static str,
    pub reason: &'static str,
    pub bytes_freed: u64,
}

/// Reads the archive and plans; changes nothing.
pub async fn make_plan(app: &App, now: Timestamp) -> anyhow::Result<Planned> {
    let inventory = load(app).await?;
    let app = app.clone();
    tokio::task::spawn_blocking(move || {
        let retention = &app.settings.retention;
        let plan = plan(&inventory, &retention.policies, retention.max_stored, now);
        Planned { at: now, inventory, plan }
    })
    .await
    .context("the plan was interrupted")
}

async fn load(app: &App) -> anyhow::Result<Inventory> {
    let record = &app.record;
    let counts = record.counts().await?;
    let room = |n: u64| usize::try_from(n).unwrap_or_default();
    let mut inventory = Inventory::with_room(room(counts.publications), room(counts.revisions), room(counts.files));
    for product in record.inventory_products().await? {
        inventory.add_product(product);
    }
    let mut after = None;
    loop {
        let files = record.inventory_files(after, PAGE).await?;
        let Some(last) = files.last() else { break };
        after = Some(last.digest);
        files.into_iter().for_each(|file| inventory.add_file(file));
    }
    let mut after = None;
    loop {
        let publications = record.inventory_publications(after, PAGE).await?;
        let (Some(first), Some(last)) = (publications.first(), publications.last()) else { break };
        after = Some(last.id);
        let revisions = record.inventory_revisions(first.id, last.id).await?;
        let mut rest = revisions.as_slice();
        for publication in publications {
            // Both are in the order of the publications.
            let own = rest.iter().take_while(|revision| revision.publication == publication.id).count();
            let (own, others) = rest.split_at(own);
            rest = others;
            inventory.add_publication(publication, own);
        }
    }
    inventory.settle();
    Ok(inventory)
}

impl Planned {
    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.plan.decisions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.plan.decisions.is_empty()
    }

    /// The lines, in the order of the archive.
    pub fn lines<'a>(&'a self, app: &'a App) -> impl Iterator<Item = Line> + 'a {
        self.inventory.publications.iter().flat_map(move |publication| {
            self.inventory.of(publication).map(move |(i, revision)| {
                let decision = &self.plan.decisions[i as usize];
                let policy = decision.policy.and_then(|p| app.settings.retention.policies.get(usize::from(p)));
                Line {
                    revision_id: revision.id.into(),
                    publication_id: crate::domain::PublicationId(publication.id),
                    name: self.inventory.products[publication.product as usize].name.clone(),
                    reference_date: publication.reference_date(),
                    number: revision.number,
                    keep: decision.keep,
                    policy: policy.map(|policy| policy.name.clone()),
                    rule: decision.rule.as_str(),
                    reason: decision.rule.reason(),
                    bytes_freed: decision.bytes_freed,
                }
            })
        })
    }
}

/// Plans and, unless it is a dry run, marks what the plan removes and sweeps what an earlier run's grace has ended for.
pub async fn run(app: &App, now: Timestamp, dry_run: bool) -> anyhow::Result<RetentionRun> {
    let id = uuid::Uuid::now_v7().to_string();
    // Given away first: on a full disk not even the lock could be written.
    let room = Reserve::open(app);
    let lock = lock(app, &id).await?;
    let outcome = run_locked(app, now, dry_run, &id).await;
    lock.release().await;
    room.close();
    outcome?;
    app.record.retention_run(&id).await?.context("the run was not recorded")
}

async fn run_locked(app: &App, now: Timestamp, dry_run: bool, id: &str) -> anyhow::Result<()> {
    app.record.end_killed_retention_runs(app.clock.now()).await?;
    let planned = make_plan(app, now).await?;
    let grace = now.to_zoned_datetime(crate::domain::sao_paulo().clone()).checked_add(app.settings.retention.grace);
    let run = RetentionRun {
        id: id.to_owned(),
        dry_run,
        started_at: app.clock.now(),
        ended_at: None,
        removed: 0,
        bytes_freed: 0,
        sweep_after: (!dry_run).then(|| grace.map(|at| at.timestamp())).transpose()?,
        undone_at: None,
        swept_at: None,
    };
    app.record.begin_retention_run(&run).await?;
    let mut removed = planned.plan.remove as u64;
    if !dry_run {
        removed = mark(app, &planned, id, now).await?;
        fault("retention-after-mark");
    }
    app.record.end_retention_run(id, removed, planned.plan.bytes_freed, app.clock.now()).await?;
    if !dry_run {
        drop(planned);
        sweep(app, now, id).await?;
        thin(app, now).await?;
    }
    tracing::info!(run = id, dry_run, removed, "retention ran");
    Ok(())
}

async fn mark(app: &App, planned: &Planned, id: &str, now: Timestamp) -> anyhow::Result<u64> {
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
                marked += app.record.mark(id, &chosen, now).await?;
                chosen.clear();
                fault("retention-between-marks");
                keep_lock(app, id).await?;
                tokio::time::sleep(began.elapsed() * REST).await;
            }
        }
    }
    Ok(marked + app.record.mark(id, &chosen, now).await?)
}

/// Takes the bytes of all marks whose grace is over. The one place where bytes leave the archive.
async fn sweep(app: &App, now: Timestamp, id: &str) -> anyhow::Result<(u64, u64)> {
    let (mut swept, mut freed) = (0, 0);
    loop {
        let store = app.store.clone();
        let delete = |digest, encoding: String| {
            let store = store.clone();
            async move {
                let encoding: Encoding = encoding.parse()?;
                store.remove(digest, encoding).await.map_err(|e| e.to_string())
            }
        };
        let began = tokio::time::Instant::now();
        let (some, bytes) = app.record.sweep(now, BATCH as u64, delete).await?;
        swept += some;
        freed += bytes;
        fault("retention-between-sweeps");
        if some == 0 {
            break;
        }
        keep_lock(app, id).await?;
        tokio::time::sleep(began.elapsed() * REST).await;
    }
    if swept > 0 {
        tracing::info!(swept, freed, "swept what retention had marked");
    }
    Ok((swept, freed))
}

/// Sweeps what a run marked, once its grace is over and nobody else is at it.
pub(super) async fn sweep_due(app: &App) -> anyhow::Result<()> {
    let now = app.clock.now();
    if !app.record.sweep_is_due(now).await? {
        return Ok(());
    }
    let holder = format!("sweep-{}", uuid::Uuid::now_v7());
    if !app.record.lock("retention", &holder, now, LOCK).await? {
        return Ok(());
    }
    let outcome = sweep(app, now, &holder).await;
    Held { app, holder }.release().await;
    outcome.map(drop)
}

async fn thin(app: &App, now: Timestamp) -> anyhow::Result<()> {
    let Some(span) = app.settings.retention.notification_bodies else { return Ok(()) };
    let before = crate::domain::timestamp(plan::cutoff(now, span));
    loop {
        let began = tokio::time::Instant::now();
        if app.record.thin_notifications(before, THINNED_AT_ONCE).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(began.elapsed()).await;
    }
}

/// Brings back what a run marked.
pub async fn undo(app: &App, id: &str) -> anyhow::Result<(RetentionRun, u64)> {
    let Some(run) = app.record.retention_run(id).await? else {
        bail!("there is no run {id}; `acervo retention runs` lists them");
    };
    if run.dry_run {
        bail!("the run {id} was a dry one: there is nothing to bring back");
    }
    let lock = lock(app, &format!("undo-{id}")).await?;
    let outcome = app.record.undo_retention(id, app.clock.now()).await;
    lock.release().await;
    let (back, lost) = outcome?;
    if lost > 0 && back == 0 {
        bail!("the grace of the run {id} is over, and its {lost} revisions are swept: nothing can be brought back");
    }
    tracing::info!(run = id, back, lost, "retention was undone");
    let run = app.record.retention_run(id).await?.context("the run is gone")?;
    Ok((run, back))
}

struct Held<'a> {
    app: &'a App,
    holder: String,
}

/// One run at a time, whoever asks for it.
async fn lock<'a>(app: &'a App, holder: &str) -> anyhow::Result<Held<'a>> {
    let began = tokio::time::Instant::now();
    loop {
        let now = app.clock.now();
        if app.record.lock("retention", holder, now, LOCK).await? {
            return Ok(Held { app, holder: holder.to_owned() });
        }
        if began.elapsed() > LOCK * 2 {
            bail!("another run of retention is under way");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn keep_lock(app: &App, holder: &str) -> anyhow::Result<()> {
    let now = app.clock.now();
    if app.record.lock("retention", holder, now, LOCK).await? {
        return Ok(());
    }
    bail!("another run of retention took over");
}

impl Held<'_> {
    async fn release(self) {
        if let Err(e) = self.app.record.unlock("retention", &self.holder).await {
            tracing::warn!(error = %e, "the lock of retention runs out by itself");
        }
    }
}

/// Room that is kept for the hour when the disk is full: marks have to be written down before anything can be freed.
struct Reserve<'a> {
    app: &'a App,
    path: std::path::PathBuf,
}

const RESERVE_BYTES: u64 = 8 << 20;

/// On a small disk a smaller part is kept: this share of what is free.
const RESERVE_SHARE: u64 = 8;

impl<'a> Reserve<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, path: app.settings.data_dir.join(crate::app::RESERVE) }
    }

    /// Gives the room away for the length of a run.
    fn open(app: &'a App) -> Self {
        let reserve = Self::new(app);
        if let Err(e) = std::fs::remove_file(&reserve.path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %e, "the room kept for a full disk could not be given");
        }
        reserve
    }

    /// Keeps the room again, as much as there is to keep.
    fn close(self) {
        let free = self.app.store.free_bytes().unwrap_or_default();
        if let Err(e) = keep_room(&self.path, RESERVE_BYTES.min(free / RESERVE_SHARE)) {
            tracing::warn!(error = %e, "no room could be kept for a full disk");
        }
    }
}

fn keep_room(path: &std::path::Path, bytes: u64) -> std::io::Result<()> {
    // Written, not only said: a hole in a file is no room.
    std::fs::write(path, vec![0; usize::try_from(bytes).unwrap_or_default()])
}

/// Keeps room for a run on a full disk.
pub(super) fn reserve(app: &App) {
    let reserve = Reserve::new(app);
    if !reserve.path.exists() {
        reserve.close();
    }
}

/// A place where tests end the process, as a power cut would.
fn fault(name: &'static str) {
    let _ = name;
    fail::fail_point!(name, |_| std::process::abort());
}
