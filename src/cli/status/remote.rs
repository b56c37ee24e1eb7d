//! `acervo status --url`: the state of a remote instance.
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::Args;
use crate::cli::ask::{Archive, Remote, take};
use crate::cli::language::say;
use crate::cli::output;
use crate::cli::search::local_time;

const STATUS: &str = "{ status {
  version ready startedAt products publications revisions size storedSize lastNotificationAt
  queued fetching retrying expired nextLinkExpiry dyingLinks unresolved diskFree indexLag content { lag read partly unreadable } damaged fetchingWaits deniedKeys
  sources { name lastNotificationAt silent denied }
  pausedHosts { host until }
  jobs { name schedule lastStartedAt lastEndedAt lastOutcome nextAt } } }";

/// Prints the state of the instance; exit code 1 where it cannot accept notifications.
pub(super) async fn print(args: &Args, remote: Remote) -> anyhow::Result<ExitCode> {
    let (address, readiness) = (remote.address().to_owned(), remote.readiness().await?);
    let mut found = take(&mut Archive::Remote(remote).query(STATUS, json!({})).await?, "status");
    if args.is_json() {
        let object = found.as_object_mut().with_context(|| format!("{address} does not say its status"))?;
        let service = json!({ "running": true, "address": address, "notReady": readiness.as_ref().err() });
        object.insert("service".to_owned(), service);
        object.insert("ready".to_owned(), readiness.is_ok().into());
        output::print(&serde_json::to_string_pretty(&found)?)?;
    } else {
        output::print(&status_text(&address, &readiness, &found)?)?;
    }
    Ok(if readiness.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn status_text(address: &str, readiness: &Result<(), String>, found: &Value) -> anyhow::Result<String> {
    let count = |name: &str| found[name].as_u64().unwrap_or_default();
    let time = |value: &Value| value.as_str().map_or_else(|| Ok(say!("cli-status-no-expiry")), local_time);
    let version = found["version"].as_str().unwrap_or_default();
    let ready = readiness
        .as_ref()
        .err()
        .map_or_else(|| say!("cli-status-yes"), |why| say!("cli-status-not-ready", why = why.as_str()));
    let (published, stored) = (output::size(count("size")), output::size(count("storedSize")));
    let waiting = say!(
        "cli-status-waiting-counts",
        queued = count("queued"),
        fetching = count("fetching"),
        retrying = count("retrying")
    );
    let last = found["lastNotificationAt"].as_str().map(local_time).transpose()?;
    let mut lines = vec![
        (say!("cli-status-service"), say!("cli-status-version", address = address, version = version)),
        (say!("cli-status-ready"), ready),
        (say!("cli-status-products"), output::count(count("products"))),
        (say!("cli-status-publications"), output::count(count("publications"))),
        (say!("cli-status-revisions"), output::count(count("revisions"))),
        (say!("cli-status-files"), say!("cli-status-sizes", published = published, stored = stored)),
        (say!("cli-status-last-notification"), last.unwrap_or_else(|| say!("cli-status-no-notification"))),
        (say!("cli-status-waiting"), waiting),
        (say!("cli-status-next-expiry"), time(&found["nextLinkExpiry"])?),
        (say!("cli-status-dying"), output::count(count("dyingLinks"))),
        (say!("cli-status-damaged"), output::count(count("damaged"))),
        (say!("cli-status-index-lag"), say!("cli-status-changes", count = count("indexLag"))),
    ];
    if let Some(lag) = found["content"]["lag"].as_u64() {
        lines.push((say!("cli-status-content-lag"), say!("cli-status-changes", count = lag)));
    }
    if let Some(free) = found["diskFree"].as_u64() {
        lines.push((say!("cli-status-disk"), output::size(free)));
    }
    if let Some(why) = found["fetchingWaits"].as_str() {
        lines.push((say!("cli-status-fetching-waits"), why.to_owned()));
    }
    for source in found["sources"].as_array().into_iter().flatten() {
        let silent = if source["silent"] == true { say!("cli-status-silent") } else { String::new() };
        let received = match source["lastNotificationAt"].as_str() {
            Some(at) => say!("cli-status-received-from", when = local_time(at)?),
            None => say!("cli-status-never-received"),
        };
        let name = source["name"].as_str().unwrap_or_default();
        lines.push((say!("cli-status-source", name = name), received + &silent));
    }
    for host in found["pausedHosts"].as_array().into_iter().flatten() {
        let name = host["host"].as_str().unwrap_or_default();
        let until = say!("cli-status-paused-until", when = time(&host["until"])?);
        lines.push((say!("cli-status-host", name = name), until));
    }
    for job in found["jobs"].as_array().into_iter().flatten() {
        let outcome = job["lastOutcome"].as_str().map_or_else(|| say!("cli-status-no-run"), str::to_owned);
        let name = job["name"].as_str().unwrap_or_default();
        let outcome = say!("cli-status-outcome-next", outcome = outcome, when = time(&job["nextAt"])?);
        lines.push((say!("cli-status-job", name = name), outcome));
    }
    Ok(lines.into_iter().map(|(label, value)| output::line(&label, &value) + "\n").collect())
}
