//! `acervo get` and `acervo status` of a remote instance.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::ask::{Archive, Remote, take};
use super::language::say;
use super::search::local_time;
use super::target::Target;
use super::{get, output, status};
use crate::domain::{Digest, Hasher, file_name};

const FILE: &str = "query($id: ID!) {
  revision(id: $id) { id fileName sha256 purgedAt }
  publication(id: $id) { status revisionId fileName sha256 } }";

/// Downloads a file, or a member of one.
pub(super) async fn get(args: get::Args, remote: Remote) -> anyhow::Result<ExitCode> {
    let Some(id) = args.id.filter(|_| !args.list) else {
        return Err(super::Usage(say!("cli-get-remote")).into());
    };
    let address = remote.address().to_owned();
    let archive = Archive::Remote(remote);
    let found = archive.query(FILE, json!({ "id": id.to_string() })).await?;
    let (revision, publication) = (&found["revision"], &found["publication"]);
    if let Some(at) = revision["purgedAt"].as_str() {
        bail!(say!("cli-get-purged", id = id.to_string(), at = local_time(at)?));
    }
    let (revision_id, file) = match (revision["id"].as_str(), publication["revisionId"].as_str()) {
        (Some(id), _) => (id, revision),
        (None, Some(id)) => (id, publication),
        (None, None) if publication.is_null() => {
            bail!(say!("cli-get-remote-no-id", address = address, id = id.to_string()))
        }
        (None, None) => {
            let status = publication["status"].as_str().unwrap_or_default().to_lowercase();
            bail!(say!("cli-get-no-file", id = id.to_string(), status = status))
        }
    };
    let published = file["fileName"].as_str().unwrap_or_default();
    let own_name = file_name(args.member.as_deref().unwrap_or(published));
    // `-` means standard output only if the user gives it, not as the name of a file.
    let own_path = own_name.map(|name| PathBuf::from(if name == "-" { "./-".to_owned() } else { name }));
    let path = args.output.or(own_path).with_context(|| say!("cli-get-no-name"))?;
    let mut target = Target::open(&path, args.force)?;
    let Archive::Remote(remote) = &archive else { bail!("a remote instance is asked") };
    let mut segments = vec!["files", revision_id];
    if let Some(member) = &args.member {
        segments.push("members");
        segments.extend(member.split('/'));
    }
    let response = remote.get(&segments).await?;
    let mut hasher = Hasher::default();
    let mut bytes = response.bytes_stream();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|e| anyhow::Error::new(e.without_url()).context(say!("cli-get-broke-off")))?;
        hasher.update(&piece);
        target.write(&piece)?;
    }
    if args.member.is_none() {
        let expected: Digest = file["sha256"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("{address} does not say the SHA-256 of the file"))?;
        if hasher.finish() != expected {
            bail!(say!("cli-get-other-bytes", address = address, sha256 = expected.to_string()));
        }
    }
    if let Some(path) = target.finish()? {
        output::print_message(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

const STATUS: &str = "{ status {
  version ready startedAt products publications revisions size storedSize lastNotificationAt
  queued fetching retrying expired nextLinkExpiry dyingLinks unresolved diskFree indexLag damaged fetchingWaits deniedKeys
  sources { name lastNotificationAt silent denied }
  pausedHosts { host until }
  jobs { name schedule lastStartedAt lastEndedAt lastOutcome nextAt } } }";

/// Prints the state of the instance; exit code 1 where it cannot accept notifications.
pub(super) async fn status(args: &status::Args, remote: Remote) -> anyhow::Result<ExitCode> {
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
