//! Sources, scheduled jobs and hooks.
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{action, section};
use crate::app::App;
use crate::domain::{HookEvent, printable};
use crate::jobs::{self, Job};
use crate::lang::{Lang, text};
use crate::query::{HookLetter, HookRow, JobRun, Paging, Queries, SourceStatus, Status};
use crate::web::{ViewError, Visit, parts, units};

/// Refused logins are worth a look for so long.
const DENIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Runs and dead letters that are shown.
const RUNS: i64 = 10;
const LETTERS: i64 = 20;

pub struct Service {
    jobs: Vec<JobState>,
    runs: Vec<JobRun>,
    hooks: Vec<HookRow>,
    letters: Vec<HookLetter>,
    paused: Vec<(String, Timestamp)>,
}

struct JobState {
    job: Job,
    last: Option<JobRun>,
    schedule: Option<String>,
    next: Option<Timestamp>,
}

impl Service {
    pub async fn read(app: &App, queries: &Queries) -> Result<Self, ViewError> {
        let mut jobs = Vec::new();
        for job in Job::ALL {
            let last = queries.job_runs(Some(job.name()), &Paging::first(1)).await?.rows.pop().map(|(_, run)| run);
            let schedule = job.schedule(app);
            let next = schedule.as_ref().and_then(|schedule| schedule.after(app.clock.now()));
            jobs.push(JobState { job: *job, last, schedule: schedule.map(|schedule| schedule.to_string()), next });
        }
        let runs = queries.job_runs(None, &Paging::first(RUNS)).await?.rows.into_iter().map(|(_, run)| run);
        let hooks = queries.hooks().await?;
        let letters = match hooks.iter().any(|hook| hook.dead > 0) {
            true => queries.hook_letters(None, &Paging::first(LETTERS)).await?.rows,
            false => Vec::new(),
        };
        Ok(Self {
            jobs,
            runs: runs.collect(),
            hooks,
            letters: letters.into_iter().map(|(_, letter)| letter).collect(),
            paused: jobs::paused_hosts(app),
        })
    }

    pub fn needs(&self, lang: Lang, status: &Status) -> Vec<(String, String)> {
        let mut needs = Vec::new();
        for SourceStatus { source, is_silent } in &status.sources {
            let name = printable(&source.name).into_owned();
            // Refused logins after the last notification: the portal may not get through.
            let is_recent = source.last_denied_at.is_some_and(|at| status.at.duration_since(at) < DENIED_FOR);
            if is_recent && source.last_denied_at > source.last_notification_at {
                needs.push((text!(lang, "need-denied", source = name), text!(lang, "need-denied-helps")));
            } else if *is_silent {
                needs.push((text!(lang, "need-silent", source = name), text!(lang, "need-silent-helps")));
            }
        }
        for hook in self.hooks.iter().filter(|hook| hook.dead > 0) {
            let what = text!(lang, "need-hook", hook = hook.name.clone(), count = hook.dead);
            needs.push((what, text!(lang, "need-hook-helps")));
        }
        let failed = self
            .jobs
            .iter()
            .filter(|job| job.last.as_ref().is_some_and(|run| run.outcome.as_deref() == Some("failed")));
        for JobState { job, .. } in failed {
            needs.push((text!(lang, "need-job", job = job_name(lang, job.name())), text!(lang, "need-job-helps")));
        }
        needs
    }

    pub fn sources(&self, visit: &Visit, status: &Status) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if status.sources.is_empty() { p.soft { (text!(lang, "sources-none")) } }
            @else {
                div.scroll tabindex="0" role="region" aria-labelledby="sources-title" { table {
                    thead { tr {
                        th scope="col" { (text!(lang, "column-source")) }
                        th scope="col" { (text!(lang, "column-last")) }
                        th scope="col" { (text!(lang, "status")) }
                        th scope="col" { (text!(lang, "column-denied")) }
                    } }
                    tbody { @for one in &status.sources { (source_row(visit, one)) } }
                } }
            }
            @for (host, until) in &self.paused {
                p.note { (text!(lang, "paused-host", host = printable(host).into_owned(), until = units::minute(lang, *until))) }
            }
        };
        section("sources", &text!(lang, "sources-title"), &body)
    }

    pub fn jobs(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            div.scroll tabindex="0" role="region" aria-labelledby="jobs-title" { table {
                thead { tr {
                    th scope="col" { (text!(lang, "column-job")) }
                    th scope="col" { (text!(lang, "column-schedule")) }
                    th scope="col" { (text!(lang, "column-last-run")) }
                    th scope="col" { (text!(lang, "column-next-run")) }
                } }
                tbody { @for state in &self.jobs { tr {
                    th scope="row" { (job_name(lang, state.job.name())) }
                    td { @match &state.schedule { Some(schedule) => { code { (schedule) } } None => { (text!(lang, "by-hand")) } } }
                    td { @match &state.last { Some(run) => { (outcome(visit, run)) } None => { "–" } } }
                    td { @match state.next { Some(at) => { (units::minute(lang, at)) } None => { "–" } } }
                } } }
            } }
            @if !self.runs.is_empty() {
                details {
                    summary { (text!(lang, "runs-last")) }
                    ul.plain { @for run in &self.runs { li {
                        strong { (job_name(lang, &run.name)) } " · " (units::minute(lang, run.started_at)) " · " (outcome(visit, run))
                    } } }
                }
            }
        };
        section("jobs", &text!(lang, "jobs-title"), &body)
    }

    pub fn hooks(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.hooks.is_empty() { p.soft { (text!(lang, "hooks-none")) } }
            @else {
                div.scroll tabindex="0" role="region" aria-labelledby="hooks-title" { table {
                    thead { tr {
                        th scope="col" { (text!(lang, "column-hook")) }
                        th scope="col" { (text!(lang, "column-endpoint")) }
                        th.right scope="col" { (text!(lang, "column-lag")) }
                        th.right scope="col" { (text!(lang, "column-dead")) }
                        th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                    } }
                    tbody { @for hook in &self.hooks { tr {
                        th scope="row" { (parts::name(&hook.name)) }
                        td { @match &hook.settings {
                            Some(settings) => { (printable(&settings.endpoint)) }
                            None => { (text!(lang, "hook-removed")) }
                        } }
                        td.right { (units::number(lang, hook.lag)) }
                        td.right { (units::number(lang, hook.dead)) }
                        td { @if hook.dead > 0 && hook.settings.is_some() {
                            (action(visit, "/operation/redeliver", &[("hook", &hook.name)], &text!(lang, "redeliver-all"), &hook.name))
                        } }
                    } } }
                } }
            }
            @if !self.letters.is_empty() {
                h3 { (text!(lang, "letters-title")) }
                div.scroll tabindex="0" role="region" aria-label=(text!(lang, "letters-title")) { table {
                    thead { tr {
                        th scope="col" { (text!(lang, "column-at")) }
                        th scope="col" { (text!(lang, "column-hook")) }
                        th scope="col" { (text!(lang, "column-event")) }
                        th scope="col" { (text!(lang, "column-error")) }
                        th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                    } }
                    tbody { @for letter in &self.letters { (letter_row(visit, letter)) } }
                } }
            }
        };
        section("hooks", &text!(lang, "hooks-title"), &body)
    }
}

fn source_row(visit: &Visit, SourceStatus { source, is_silent }: &SourceStatus) -> Markup {
    let (lang, now) = (visit.lang, visit.now);
    html! {
        tr {
            th scope="row" { (parts::name(&source.name)) }
            td { @match source.last_notification_at { Some(at) => { (units::instant(lang, now, at)) } None => { "–" } } }
            td {
                @if *is_silent { span.badge data-status="lost" { (text!(lang, "source-silent")) } }
                @else { span.badge data-status="archived" { (text!(lang, "source-ok")) } }
            }
            td { @match source.last_denied_at {
                Some(at) => { (units::number(lang, source.denied)) " · " (units::minute(lang, at)) }
                None => { (units::number(lang, source.denied)) }
            } }
        }
    }
}

fn job_name(lang: Lang, name: &str) -> String {
    match name {
        "retention" => text!(lang, "job-retention"),
        "index" => text!(lang, "job-index"),
        "verify" => text!(lang, "job-verify"),
        "compact" => text!(lang, "job-compact"),
        other => printable(other).into_owned(),
    }
}

fn outcome(visit: &Visit, run: &JobRun) -> Markup {
    let lang = visit.lang;
    let (status, text) = match run.outcome.as_deref() {
        Some("succeeded") => ("archived", text!(lang, "outcome-succeeded")),
        Some("failed") => ("lost", text!(lang, "outcome-failed")),
        Some(_) => ("purged", text!(lang, "outcome-interrupted")),
        None => ("awaited", text!(lang, "outcome-running")),
    };
    html! {
        span.badge data-status=(status) { (text) } " "
        (units::minute(lang, run.ended_at.unwrap_or(run.started_at)))
    }
}

fn event(lang: Lang, event: HookEvent) -> String {
    match event {
        HookEvent::Archived => text!(lang, "event-archived"),
        HookEvent::Lost => text!(lang, "event-lost"),
        HookEvent::Late => text!(lang, "event-late"),
        HookEvent::Silent => text!(lang, "event-silent"),
        HookEvent::BurstEnded => text!(lang, "event-burst-ended"),
    }
}

fn letter_row(visit: &Visit, letter: &HookLetter) -> Markup {
    let (lang, id) = (visit.lang, letter.id.to_string());
    html! {
        tr {
            td { (units::minute(lang, letter.dead_at)) }
            th scope="row" { (parts::name(&letter.hook)) }
            td { (event(lang, letter.kind)) }
            td.wrap { span.soft { (parts::reason(lang, &letter.error)) } }
            td { @match letter.redeliver_at {
                Some(_) => { (text!(lang, "redeliver-requested")) }
                None => { (action(visit, "/operation/redeliver", &[("hook", &letter.hook), ("id", &id)], &text!(lang, "redeliver"), &letter.hook)) }
            } }
        }
    }
}
