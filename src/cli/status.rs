//! `acervo status`: the state of the service for its operator.
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;

use super::output;
use super::service::Service;
use crate::app::App;
use crate::config::Settings;
use crate::domain::NotificationStatus;
use crate::domain::format_instant;
use crate::jobs::Job;
use crate::query::Replay;
use crate::query::{Paging, Queries, SourceStatus, Status, Verification};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let service = Service::query(&settings).await?;
    let app = super::open(settings).await?;
    let queries = Queries::new(app.clone());
    let status = queries.status().await?;
    match args.format {
        Format::Text => {
            output::print(&service.text())?;
            output::print(&text(&status)?)?;
            for job in Job::ALL {
                output::print(&job_text(&app, &queries, *job).await?)?;
            }
        }
        Format::Json => output::print(&serde_json::to_string_pretty(&object(&status, &service))?)?,
    }
    Ok(if service.is_ready() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn text(status: &Status) -> anyhow::Result<String> {
    let counts = &status.counts;
    let of = |status| counts.of(status);
    let instant = |at: Option<jiff::Timestamp>| at.map_or_else(|| "none".to_owned(), format_instant);
    let mut lines = vec![
        format!("products             {}", counts.products),
        format!("publications         {}", counts.publications),
        format!("revisions            {}", counts.revisions),
        format!("files                {} published, {} stored", size_of(counts.size)?, size_of(counts.stored_size)?),
        format!("last notification    {}", instant(counts.last_notification_at)),
        format!(
            "waiting              {} queued, {} fetching, {} retrying",
            of(NotificationStatus::Queued),
            of(NotificationStatus::Fetching),
            of(NotificationStatus::Retrying)
        ),
        format!("next link expires    {}", instant(counts.next_link_expiry)),
        format!(
            "settled              {} archived, {} unchanged",
            of(NotificationStatus::Archived),
            of(NotificationStatus::Unchanged)
        ),
        format!(
            "not settled          {} expired, {} failed, {} rejected",
            of(NotificationStatus::Expired),
            of(NotificationStatus::Failed),
            of(NotificationStatus::Rejected)
        ),
        replay(status.last_replay.as_ref()),
        format!("disk free            {}", status.disk_free.map_or_else(|| "unknown".to_owned(), output::size)),
        format!("index lag            {} changes", status.index_lag),
    ];
    if status.unresolved.count > 0 {
        let (count, since) = (status.unresolved.count, instant(status.unresolved.since));
        lines.push(format!("not processed yet    {count} notifications, received since {since}"));
    }
    if of(NotificationStatus::Expired) > 0 {
        lines.push("expired links: press \"Enviar\" for these products on the portal, or \"Enviar Tudo\"".to_owned());
    }
    if status.expiring.count > 0 {
        let names: Vec<String> = status.expiring.names.iter().map(|name| output::in_cell(name)).collect();
        let (count, names) = (status.expiring.count, names.join(", "));
        lines.push(format!("links expire soon    {count}, files not fetched yet: {names}"));
    }
    if status.damaged.count > 0 {
        let files = status.damaged.first.iter().map(|file| match &file.revision {
            Some((id, name)) => format!("{} (revision {id})", output::in_cell(name)),
            None => format!("{}", file.digest),
        });
        let files = files.collect::<Vec<_>>().join(", ");
        lines.push(format!("damaged files        {}: {files}", status.damaged.count));
        lines.push(
            "damaged files: press \"Enviar\" for these products on the portal, or import the files again".to_owned(),
        );
    }
    lines.push(verification(&status.verification));
    if let Some(last) = &status.warned.last {
        let count = status.warned.count;
        lines.push(format!("with a warning       {count} in the last 7 days, the last: {}", output::in_cell(last)));
    }
    if let Some(why) = &status.fetching_waits {
        lines.push(format!("fetching waits       {why}"));
    }
    lines.extend(status.sources.iter().map(source));
    if status.denied_keys > 0 {
        lines.push(format!(
            "wrong API keys       {}, the last {}",
            status.denied_keys,
            instant(status.last_denied_key_at)
        ));
    }
    Ok(lines.join("\n"))
}

fn verification(state: &Verification) -> String {
    let last = state.last_cycle.as_ref().and_then(|cycle| cycle.ended_at);
    let last = last.map_or_else(|| "not complete yet".to_owned(), |at| format!("complete at {}", format_instant(at)));
    let cycle = state.cycle.as_ref().map(|cycle| format!(", this cycle {:.0} %", 100.0 * cycle.progress()));
    let broken = match state.broken {
        0 => String::new(),
        broken => format!(", {broken} BROKEN: `acervo verify` lists them with the next step"),
    };
    format!("verification         {last}{}{broken}", cycle.unwrap_or_default())
}

fn replay(last: Option<&Replay>) -> String {
    let text = last.map_or_else(
        || "none".to_owned(),
        |replay| {
            let state = if replay.ended_at.is_none() {
                "in progress"
            } else if replay.waiting > 0 {
                "fetching"
            } else {
                "done"
            };
            format!(
                "{state}, began {}: {} announced ({} known before), {} unchanged, {} new, {} failed, {} waiting, {} added",
                format_instant(replay.started_at),
                replay.announced,
                replay.known,
                replay.unchanged,
                replay.new_revisions,
                replay.failed,
                replay.waiting,
                output::size(replay.bytes_added)
            )
        },
    );
    format!("last replay          {text}")
}

fn source(SourceStatus { source, is_silent }: &SourceStatus) -> String {
    let received = source
        .last_notification_at
        .map_or_else(|| "never received".to_owned(), |at| format!("received {}", format_instant(at)));
    let silent = if *is_silent { ", SILENT for longer than its history makes likely" } else { "" };
    let denied = match source.last_denied_at {
        Some(at) => format!(", {} logins refused, the last {}", source.denied, format_instant(at)),
        None => String::new(),
    };
    format!("{:<20} {received}{silent}{denied}", format!("source {}", source.name))
}

/// The last run of a scheduled job, and its next one.
async fn job_text(app: &App, queries: &Queries, job: Job) -> anyhow::Result<String> {
    let last = queries.job_runs(Some(job.name()), &Paging::first(1)).await?.rows.into_iter().next();
    let last = last.map_or_else(
        || match job {
            Job::Retention => "no scheduled run yet; `acervo retention runs` lists those by hand".to_owned(),
            _ => "no scheduled run yet".to_owned(),
        },
        |(_, run)| {
            format!(
                "{} at {}",
                run.outcome.as_deref().unwrap_or("running since"),
                format_instant(run.ended_at.unwrap_or(run.started_at))
            )
        },
    );
    let next = job.schedule(app).and_then(|schedule| schedule.after(app.clock.now()));
    let next = next.map_or_else(|| "no schedule".to_owned(), |at| format!("next {}", format_instant(at)));
    Ok(format!("{:<20} {last}, {next}", format!("job {}", job.name())))
}

fn object(status: &Status, service: &Service) -> serde_json::Value {
    let counts = &status.counts;
    let by_status: serde_json::Map<String, serde_json::Value> = NotificationStatus::ALL
        .iter()
        .map(|status| (status.as_str().to_lowercase(), counts.of(*status).into()))
        .collect();
    json!({
        "version": status.version,
        "service": service.object(),
        "ready": service.is_ready(),
        "products": counts.products,
        "publications": counts.publications,
        "revisions": counts.revisions,
        "size": counts.size,
        "storedSize": counts.stored_size,
        "notifications": by_status,
        "lastNotificationAt": counts.last_notification_at.map(format_instant),
        "nextLinkExpiry": counts.next_link_expiry.map(format_instant),
        "diskFree": status.disk_free,
        "indexLag": status.index_lag,
        "unresolved": status.unresolved.count,
        "unresolvedSince": status.unresolved.since.map(format_instant),
        "dyingLinks": status.expiring.count,
        "damaged": status.damaged.count,
        "damagedFiles": status.damaged.first.iter().map(|file| json!({
            "sha256": file.digest.to_string(),
            "since": format_instant(file.since),
            "revisionId": file.revision.as_ref().map(|(id, _)| id.to_string()),
            "name": file.revision.as_ref().map(|(_, name)| name),
        })).collect::<Vec<_>>(),
        "verification": {
            "lastRun": status.verification.last_run.as_ref().map(|run| json!({
                "id": run.id,
                "scheduled": run.scheduled,
                "startedAt": format_instant(run.started_at),
                "endedAt": run.ended_at.map(format_instant),
                "share": run.share.part(),
                "files": run.files,
                "bytes": run.bytes,
                "broken": run.broken,
            })),
            "cycleStartedAt": status.verification.cycle.as_ref().map(|cycle| format_instant(cycle.started_at)),
            "cycleProgress": status.verification.cycle.as_ref().map(|cycle| cycle.progress()),
            "lastCycleEndedAt":
                status.verification.last_cycle.as_ref().and_then(|cycle| cycle.ended_at).map(format_instant),
            "broken": status.verification.broken,
            "bytesRead": status.verification.bytes_read,
        },
        "warned": status.warned.count,
        "lastWarning": status.warned.last,
        "fetchingWaits": status.fetching_waits,
        "deniedKeys": status.denied_keys,
        "lastDeniedKeyAt": status.last_denied_key_at.map(format_instant),
        "sources": status.sources.iter().map(|SourceStatus { source, is_silent }| json!({
            "name": source.name,
            "lastNotificationAt": source.last_notification_at.map(format_instant),
            "silent": is_silent,
            "denied": source.denied,
            "lastDeniedAt": source.last_denied_at.map(format_instant),
        })).collect::<Vec<_>>(),
        "lastReplay": status.last_replay.as_ref().map(|replay| json!({
            "id": replay.id.to_string(),
            "source": replay.source,
            "startedAt": format_instant(replay.started_at),
            "endedAt": replay.ended_at.map(format_instant),
            "announced": replay.announced,
            "known": replay.known,
            "waiting": replay.waiting,
            "unchanged": replay.unchanged,
            "newRevisions": replay.new_revisions,
            "failed": replay.failed,
            "bytesAdded": replay.bytes_added,
        })),
    })
}

/// The size of files for a person; an error if the database has a negative one.
pub(super) fn size_of(bytes: i64) -> anyhow::Result<String> {
    let bytes = u64::try_from(bytes).with_context(|| format!("the database has {bytes} as the size of files"))?;
    Ok(output::size(bytes))
}
