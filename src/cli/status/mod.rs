//! `acervo status`: the state of the service for its operator, and what needs a hand.
//!
//! The exit code is 1 if something needs a hand, in both formats.
mod needs;
mod object;
mod remote;
mod text;

use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use super::ask::Remote;
use super::language::language;
use super::output;
use super::service::Service;
use super::token;
use crate::app::App;
use crate::config::{Receiver, Settings};
use crate::jobs::Job;
use crate::lang::Lang;
use crate::losses::{self, Loss};
use crate::query::{Failure, KeyStatus, Paging, Queries, Status};

pub(super) use text::size_of;

/// Lost publications that are named.
const LOST_NAMED: u64 = 5;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Args {
    pub(super) fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// All that is printed.
struct State {
    service: Service,
    receiver: Receiver,
    status: Status,
    failures: Vec<Failure>,
    /// The last ones that are not acknowledged.
    lost: Vec<Loss>,
    jobs: Vec<JobState>,
    keys: Vec<KeyStatus>,
    now: Timestamp,
}

/// A scheduled job.
struct JobState {
    job: Job,
    /// The outcome of its last run and when that ended; `None` for the outcome of one that runs.
    last: Option<(Option<String>, Timestamp)>,
    next: Option<Timestamp>,
}

impl JobState {
    fn has_failed(&self) -> bool {
        matches!(&self.last, Some((Some(outcome), _)) if outcome == "failed")
    }
}

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    if let Some(remote) = remote {
        return remote::print(&args, remote).await;
    }
    let service = Service::query(&settings).await?;
    if service.is_ready() {
        token::write_uses(&settings).await?;
    }
    let app = super::open(settings).await?;
    let queries = Queries::new(app.clone());
    let mut jobs = Vec::new();
    for job in Job::ALL {
        jobs.push(job_state(&app, &queries, *job).await?);
    }
    let state = State {
        service,
        receiver: app.settings.receiver.clone(),
        status: queries.status().await?,
        failures: queries.failures().await?,
        lost: losses::list(&app, false, LOST_NAMED).await?,
        jobs,
        keys: queries.keys().await?,
        now: app.clock.now(),
    };
    // The fields for programs are the same in every language.
    let lang = if args.is_json() { Lang::English } else { language() };
    let needs = needs::of(&state, lang);
    match args.format {
        Format::Text => output::print(&text::text(&state, &needs)?)?,
        Format::Json => output::print(&serde_json::to_string_pretty(&object::object(&state, &needs))?)?,
    }
    Ok(if needs.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn job_state(app: &App, queries: &Queries, job: Job) -> anyhow::Result<JobState> {
    let last = queries.job_runs(Some(job.name()), &Paging::first(1)).await?.rows.into_iter().next();
    let last = last.map(|(_, run)| (run.outcome, run.ended_at.unwrap_or(run.started_at)));
    let next = job.schedule(app).and_then(|schedule| schedule.after(app.clock.now()));
    Ok(JobState { job, last, next })
}
