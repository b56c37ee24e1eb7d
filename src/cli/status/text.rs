//! The state for people: one block per concern, times of São Paulo.
use anyhow::Context;
use jiff::Timestamp;

use super::needs::Need;
use super::{JobState, State};
use crate::cli::language::say;
use crate::cli::output::{self, line, when};
use crate::cli::{hook, token};
use crate::domain::NotificationStatus;
use crate::jobs::Job;
use crate::query::{ContentStatus, HookRow, Replay, SourceStatus, Verification};

pub(super) fn text(state: &State, needs: &[Need]) -> anyhow::Result<String> {
    let times = say!("cli-status-times-of", now = output::local(state.now));
    let blocks = [
        vec![state.service.text(), line(&say!("cli-status-times"), &times)],
        hands(needs),
        notifications(state),
        files(state)?,
        failures(state),
        hooks(state),
        jobs(state),
        replicas(state),
        Some(token::uses(&state.keys, state.now)).filter(|keys| !keys.is_empty()).into_iter().collect(),
    ];
    let blocks = blocks.into_iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n"));
    Ok(blocks.collect::<Vec<_>>().join("\n\n"))
}

pub(super) fn hands(needs: &[Need]) -> Vec<String> {
    let label = say!("cli-status-needs");
    if needs.is_empty() {
        return vec![line(&label, &say!("cli-status-needs-nothing"))];
    }
    let lines = needs.iter().enumerate().flat_map(|(n, need)| {
        let label = if n == 0 { label.as_str() } else { "" };
        [line(label, &need.what), line("", &format!("→ {}", need.helps))]
    });
    lines.collect()
}

fn notifications(state: &State) -> Vec<String> {
    let (status, now) = (&state.status, state.now);
    let counts = &status.counts;
    let of = |status| counts.of(status);
    let instant = |at: Option<Timestamp>, none: String| at.map_or(none, |at| when(at, now));
    let waiting = say!(
        "cli-status-waiting-counts",
        queued = of(NotificationStatus::Queued),
        fetching = of(NotificationStatus::Fetching),
        retrying = of(NotificationStatus::Retrying)
    );
    let last = instant(counts.last_notification_at, say!("cli-status-no-notification"));
    let mut lines =
        vec![line(&say!("cli-status-last-notification"), &last), line(&say!("cli-status-waiting"), &waiting)];
    if let Some(since) = status.waiting_since() {
        lines.push(line(&say!("cli-status-oldest"), &say!("cli-status-received", when = when(since, now))));
    }
    let expiry = instant(counts.next_link_expiry, say!("cli-status-no-expiry"));
    lines.push(line(&say!("cli-status-next-expiry"), &expiry));
    let settled = say!(
        "cli-status-settled-counts",
        archived = of(NotificationStatus::Archived),
        unchanged = of(NotificationStatus::Unchanged)
    );
    lines.push(line(&say!("cli-status-settled"), &settled));
    let not_settled = say!(
        "cli-status-not-settled-counts",
        expired = of(NotificationStatus::Expired),
        failed = of(NotificationStatus::Failed),
        rejected = of(NotificationStatus::Rejected)
    );
    lines.push(line(&say!("cli-status-not-settled"), &not_settled));
    lines.push(line(&say!("cli-status-replay"), &replay(status.last_replay.as_ref(), now)));
    lines.extend(lost(state));
    lines.extend(problems(state));
    lines
}

/// What is not as it should be with notifications, and their sources.
fn problems(state: &State) -> Vec<String> {
    let (status, now) = (&state.status, state.now);
    let instant = |at: Option<Timestamp>| at.map_or_else(|| say!("cli-status-no-notification"), |at| when(at, now));
    let mut lines = Vec::new();
    if status.unresolved.count > 0 {
        let (count, since) = (status.unresolved.count, instant(status.unresolved.since));
        lines.push(line(
            &say!("cli-status-unresolved"),
            &say!("cli-status-unresolved-counts", count = count, since = since),
        ));
    }
    if let Some(last) = &status.warned.last {
        let counts = say!("cli-status-warned-counts", count = status.warned.count, last = output::in_cell(last));
        lines.push(line(&say!("cli-status-warned"), &counts));
    }
    lines.extend(status.sources.iter().map(|status| source(status, now)));
    for (host, until) in state.service.paused_hosts() {
        let until = say!("cli-status-until", host = output::in_cell(host), when = when(*until, now));
        lines.push(line(&say!("cli-status-paused-host"), &until));
    }
    if status.denied_keys > 0 {
        let last = instant(status.last_denied_key_at);
        let counts = say!("cli-status-wrong-keys-counts", count = status.denied_keys, last = last);
        lines.push(line(&say!("cli-status-wrong-keys"), &counts));
    }
    lines
}

fn lost(state: &State) -> Option<String> {
    let counts = state.status.lost;
    let acknowledged = match counts.acknowledged {
        0 => String::new(),
        count => say!("cli-status-lost-acknowledged", count = count),
    };
    let is_any = counts.unacknowledged + counts.acknowledged > 0;
    is_any.then(|| line(&say!("cli-status-lost"), &format!("{}{acknowledged}", counts.unacknowledged)))
}

fn files(state: &State) -> anyhow::Result<Vec<String>> {
    let (status, now) = (&state.status, state.now);
    let counts = &status.counts;
    let disk = match (status.disk_free, status.disk_size) {
        (Some(free), Some(size)) => say!("cli-status-disk-of", free = output::size(free), size = output::size(size)),
        _ => say!("cli-status-unknown"),
    };
    let (published, stored) = (size_of(counts.size)?, size_of(counts.stored_size)?);
    let mut lines = vec![
        line(&say!("cli-status-products"), &output::count(counts.products)),
        line(&say!("cli-status-publications"), &output::count(counts.publications)),
        line(&say!("cli-status-revisions"), &output::count(counts.revisions)),
        line(&say!("cli-status-files"), &say!("cli-status-sizes", published = published, stored = stored)),
        line(&say!("cli-status-disk"), &disk),
        line(&say!("cli-status-index-lag"), &say!("cli-status-changes", count = status.index_lag)),
    ];
    if let Some(content) = &status.content {
        lines.push(line(&say!("cli-status-content-lag"), &content_lag(content)));
    }
    if status.damaged.count > 0 {
        let files = status.damaged.first.iter().map(|file| match &file.revision {
            Some((id, name)) => say!("cli-status-revision", name = output::in_cell(name), id = id.to_string()),
            None => format!("{}", file.digest),
        });
        let files = files.collect::<Vec<_>>().join(", ");
        lines.push(line(&say!("cli-status-damaged"), &format!("{}: {files}", status.damaged.count)));
    }
    lines.push(line(&say!("cli-status-verification"), &verification(&status.verification, now)));
    Ok(lines)
}

fn content_lag(content: &ContentStatus) -> String {
    let read = content.read + content.partly;
    let counts = say!("cli-status-content-read", read = read, partly = content.partly, unreadable = content.unreadable);
    format!("{}; {counts}", say!("cli-status-changes", count = content.lag))
}

fn hooks(state: &State) -> Vec<String> {
    let shown = state.status.hooks.iter().filter(|row| row.settings.is_some() || row.dead > 0);
    let of = |row: &HookRow| {
        let dead = match row.dead {
            0 => String::new(),
            dead => say!("cli-status-hook-dead", count = dead, name = row.name.as_str()),
        };
        line(&say!("cli-status-hook", name = row.name.as_str()), &(hook::state_of(row, state.now) + &dead))
    };
    shown.map(of).collect()
}

/// Why notifications have no file, the most frequent reasons first.
fn failures(state: &State) -> Vec<String> {
    let lines = state.failures.iter().flat_map(|failure| {
        let helps = match failure.status {
            NotificationStatus::Retrying => say!("cli-status-helps-retrying"),
            NotificationStatus::Failed => say!("cli-status-helps-failed"),
            _ => say!("cli-status-helps-expired"),
        };
        let name = failure.name.as_deref().map(|name| say!("cli-status-such-as", name = output::in_cell(name)));
        let label = format!("{} {}", failure.count, failure.status.as_str().to_lowercase());
        let reason = output::in_cell(&output::reason(&failure.reason)) + &name.unwrap_or_default();
        [line(&label, &reason), line("", &format!("→ {helps}"))]
    });
    lines.collect()
}

fn verification(state: &Verification, now: Timestamp) -> String {
    let last = state.last_cycle.as_ref().and_then(|cycle| cycle.ended_at);
    let last = last
        .map_or_else(|| say!("cli-status-cycle-none"), |at| say!("cli-status-cycle-complete", when = when(at, now)));
    let percent = |progress: f64| format!("{:.0}", 100.0 * progress);
    let cycle =
        state.cycle.as_ref().map(|cycle| say!("cli-status-cycle-progress", percent = percent(cycle.progress())));
    let broken = match state.broken {
        0 => String::new(),
        broken => say!("cli-status-cycle-broken", count = broken),
    };
    format!("{last}{}{broken}", cycle.unwrap_or_default())
}

fn replay(last: Option<&Replay>, now: Timestamp) -> String {
    let Some(replay) = last else { return say!("cli-status-no-replay") };
    let state = if replay.ended_at.is_none() {
        "begun"
    } else if replay.waiting > 0 {
        "waiting"
    } else {
        "ended"
    };
    say!(
        "cli-status-replay-counts",
        state = state,
        when = when(replay.started_at, now),
        announced = replay.announced,
        known = replay.known,
        unchanged = replay.unchanged,
        new = replay.new_revisions,
        failed = replay.failed,
        waiting = replay.waiting,
        added = output::size(replay.bytes_added)
    )
}

fn source(SourceStatus { source, is_silent }: &SourceStatus, now: Timestamp) -> String {
    let received = source
        .last_notification_at
        .map_or_else(|| say!("cli-status-never-received"), |at| say!("cli-status-received-from", when = when(at, now)));
    let silent = if *is_silent { say!("cli-status-silent") } else { String::new() };
    let denied = match source.last_denied_at {
        Some(at) => say!("cli-status-denied", count = source.denied, when = when(at, now)),
        None => String::new(),
    };
    line(&say!("cli-status-source", name = source.name.as_str()), &format!("{received}{silent}{denied}"))
}

/// The services that share the database. One that has it to itself is the one of the first line.
fn replicas(state: &State) -> Vec<String> {
    let lines = state.status.replicas.iter().map(|replica| {
        let seen = when(replica.seen_at, state.now);
        let what = match replica.is_gone {
            true => say!("cli-status-replica-gone", when = seen),
            false => say!("cli-status-replica-lag", count = replica.lag, version = replica.version.as_str()),
        };
        let leads = if replica.leads { say!("cli-status-replica-leads") } else { String::new() };
        line(&say!("cli-status-replica", name = output::in_cell(&replica.name)), &(what + &leads))
    });
    lines.collect()
}

/// The last run of each scheduled job, and its next one.
fn jobs(state: &State) -> Vec<String> {
    let lines = state.jobs.iter().map(|JobState { job, last, next }| {
        let last = match last {
            Some((Some(outcome), at)) => {
                say!("cli-status-job-outcome", outcome = outcome.as_str(), when = when(*at, state.now))
            }
            Some((None, at)) => say!("cli-status-job-running", when = when(*at, state.now)),
            None if *job == Job::Retention => say!("cli-status-job-by-hand"),
            None => say!("cli-status-job-never"),
        };
        let next = next.map_or_else(
            || say!("cli-status-job-unscheduled"),
            |at| say!("cli-status-job-next", when = when(at, state.now)),
        );
        line(&say!("cli-status-job", name = job.name()), &format!("{last}, {next}"))
    });
    lines.collect()
}

/// The size of files for a person; an error if the database has a negative one.
pub(in crate::cli) fn size_of(bytes: i64) -> anyhow::Result<String> {
    let bytes = u64::try_from(bytes).with_context(|| format!("the database has {bytes} as the size of files"))?;
    Ok(output::size(bytes))
}
