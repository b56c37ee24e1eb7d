//! A run: all stored files of a share, then rows and index.
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use super::orphans::Suspects;
use super::pace::Pace;
use super::{Busy, LOCK, Listener, Options, Progress, Report, access};
use crate::app::App;
use crate::domain::{Digest, DigestRange, Share};
use crate::engine::record::VerifyRun;
use crate::jobs::lock::Guard;
use crate::jobs::{fault, replicas, stop};

/// How long a run waits for another one to end, or for the lock of a process that was killed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// A run that was interrupted longer ago is not continued: what it verified may have changed since.
const RESUMED_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often the position of a run is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Verifies a share of the archive. Continues a run of the same share that was interrupted.
pub async fn run(app: &App, options: Options, listener: &Listener<'_>) -> anyhow::Result<Report> {
    let holder = format!("verify-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::wait(app, LOCK, &holder, LOCK_TIMEOUT).await? else {
        stop::check(app, "stop-before-verify")?;
        bail!(Busy);
    };
    let verified = verify(app, &guard, options, false, listener).await;
    guard.release().await;
    verified
}

/// Verifies a share under the lock.
pub(super) async fn verify(
    app: &App,
    guard: &Guard,
    options: Options,
    scheduled: bool,
    listener: &Listener<'_>,
) -> anyhow::Result<Report> {
    access::require(app, options.accepts_empty).await?;
    let record = app.record.verify();
    let share = options.share;
    let open = if options.restart { None } else { record.open_run(scheduled, Some(share)).await? };
    let open = open.filter(|run| {
        let age = app.clock.now().duration_since(run.updated_at);
        age.unsigned_abs() < RESUMED_WITHIN
    });
    let resumed = open.is_some();
    let mut doubted = None;
    let run = match open {
        Some(run) => {
            record.doubt_findings(&run.id).await?;
            doubted = Doubted::of(&run);
            run
        }
        None => {
            record.give_up_runs(scheduled, Some(share)).await?;
            record.begin_run(share, scheduled, app.clock.now()).await?
        }
    };
    let (files_total, bytes_total) = record.count_files(share.digests()).await?;
    let mut pass = Pass {
        app,
        guard,
        scheduled,
        accepts_empty: options.accepts_empty,
        pace: Pace::new(options.max_rate),
        listener,
        totals: Progress { files_total, bytes_total, ..Progress::default() },
        bytes_now: 0,
        saved_at: Instant::now(),
        suspects: Suspects::default(),
        has_peers: replicas::has_peers(app).await?,
        page_start: Position::of(&run),
        run,
    };
    let began = Instant::now();
    let outcome = pass.work(doubted).await;
    if outcome.is_err() && guard.is_held() {
        // What was verified need not be read again. Without the lock, another process may have continued the run.
        pass.save().await?;
    }
    let index_checked = outcome?;
    let broken = record.count_broken(share).await?;
    let now = app.clock.now();
    record.end_run(&pass.run.id, broken, now).await?;
    fault("verify-after-end");
    if share == Share::ALL {
        record.add_cycle(pass.run.started_at, Some(now)).await?;
    }
    let run = VerifyRun { ended_at: Some(now), updated_at: now, broken: Some(broken), ..pass.run };
    let seconds = began.elapsed().as_secs_f64();
    Ok(Report { run, resumed, bytes_now: pass.bytes_now, seconds, broken, index_checked })
}

/// A run in progress.
pub(super) struct Pass<'a> {
    pub app: &'a App,
    pub guard: &'a Guard,
    pub scheduled: bool,
    pub accepts_empty: bool,
    pub pace: Pace,
    listener: &'a Listener<'a>,
    totals: Progress,
    pub bytes_now: u64,
    saved_at: Instant,
    pub suspects: Suspects,
    /// Whether replicas on other machines may be storing files.
    pub has_peers: bool,
    /// Where the run was when it began with the files at hand.
    pub page_start: Position,
    pub run: VerifyRun,
}

/// A position that a run can be continued at, with what was verified until there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub next: Option<Digest>,
    pub files: u64,
    pub bytes: u64,
}

impl Position {
    pub fn of(run: &VerifyRun) -> Self {
        Self { next: run.next, files: run.files, bytes: run.bytes }
    }
}

/// What a run that is continued has to look at again: the files that it had verified, as far as something is wrong with them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubted {
    pub files: DigestRange,
}

impl Doubted {
    /// None if the run had verified no file yet.
    fn of(run: &VerifyRun) -> Option<Self> {
        let DigestRange { first, last } = run.share.digests();
        let last = match run.next {
            Some(next) => next.predecessor()?,
            None => last,
        };
        (first <= last).then_some(Self { files: DigestRange { first, last } })
    }
}

impl Pass<'_> {
    /// Returns whether the index was checked.
    async fn work(&mut self, doubted: Option<Doubted>) -> anyhow::Result<bool> {
        self.tell();
        self.verify_files().await?;
        if let Some(doubted) = doubted {
            self.verify_again(&doubted).await?;
        }
        self.save().await?;
        fault("verify-after-files");
        let index_checked = self.verify_rows().await?;
        self.discard_aside().await?;
        fault("verify-before-forget");
        self.check()?;
        self.app.record.verify().forget_others(&self.run.id, self.run.share, index_checked).await?;
        fault("verify-before-end");
        Ok(index_checked)
    }

    /// An error if the run must not continue.
    pub fn check(&self) -> anyhow::Result<()> {
        self.guard.check("stop-in-verify")
    }

    /// Reports the progress.
    pub fn tell(&self) {
        (self.listener)(Progress { files: self.run.files, bytes: self.run.bytes, ..self.totals });
    }

    /// Saves the position if it was saved some time ago.
    pub async fn save_sometimes(&mut self) -> anyhow::Result<()> {
        if self.saved_at.elapsed() >= SAVE_EVERY {
            self.save().await?;
        }
        Ok(())
    }

    async fn save(&mut self) -> anyhow::Result<()> {
        // Files that are at hand are read again, and counted then.
        let unfinished = (self.page_start.next == self.run.next).then_some(self.page_start);
        let position = self.suspects.position().or(unfinished).unwrap_or_else(|| Position::of(&self.run));
        let Position { next, files, bytes } = position;
        let run = VerifyRun { next, files, bytes, ..self.run.clone() };
        self.app.record.verify().save_progress(&run, self.app.clock.now()).await?;
        self.saved_at = Instant::now();
        fault("verify-after-save");
        Ok(())
    }

    /// Removes objects that were kept aside, where the file is sound or removed now. They were listed before the file is read.
    async fn discard_aside(&mut self) -> anyhow::Result<()> {
        for (digest, aside) in self.app.store.kept_aside().await? {
            self.check()?;
            let states = self.app.record.verify().file_states(&[digest]).await?;
            let is_settled = match states.get(&digest) {
                Some(state) if state.is_leaving => false,
                Some(state) => state.is_removed || self.read(state.file).await?.is_ok(),
                None => false,
            };
            if is_settled {
                self.app.store.discard_aside(&aside).await?;
            }
        }
        Ok(())
    }
}
