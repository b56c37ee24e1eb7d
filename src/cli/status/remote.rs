//! `acervo status --url`: the state of a remote instance.
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::needs::Need;
use super::{Args, text};
use crate::cli::ask::{Archive, Remote, take};
use crate::cli::language::{language, say};
use crate::cli::output;
use crate::cli::search::instant_of;
use crate::lang::{Lang, text};

const STATUS: &str = "{ status {
  version ready startedAt products publications revisions size storedSize lastNotificationAt
  queued fetching retrying expired nextLinkExpiry dyingLinks unresolved diskFree indexLag content { lag read partly unreadable } damaged fetchingWaits deniedKeys
  lost lostPublications { name acknowledgedAt }
  sources { name lastNotificationAt silent denied }
  pausedHosts { host until }
  jobs { name schedule lastStartedAt lastEndedAt lastOutcome nextAt } } }";

/// Prints the state of the instance; exit code 1 if something needs a hand.
pub(super) async fn print(args: &Args, remote: Remote) -> anyhow::Result<ExitCode> {
    let (address, readiness) = (remote.address().to_owned(), remote.readiness().await?);
    let mut found = take(&mut Archive::Remote(remote).query(STATUS, json!({})).await?, "status");
    let needs = needs(&readiness, &found, if args.is_json() { Lang::English } else { language() });
    if args.is_json() {
        let object = found.as_object_mut().with_context(|| format!("{address} does not say its status"))?;
        let service = json!({ "running": true, "address": address, "notReady": readiness.as_ref().err() });
        object.insert("service".to_owned(), service);
        object.insert("ready".to_owned(), readiness.is_ok().into());
        object.insert("needs".to_owned(), needs.iter().map(Need::object).collect());
        output::print(&serde_json::to_string_pretty(&found)?)?;
    } else {
        output::print(&status_text(&address, &readiness, &needs, &found)?)?;
    }
    Ok(if needs.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What needs a hand, as far as any key may know.
fn needs(readiness: &Result<(), String>, found: &Value, lang: Lang) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut add = |what: String, helps: String| needs.push(Need { what, helps });
    let count = |name: &str| found[name].as_u64().unwrap_or_default();
    if let Err(why) = readiness {
        let why = lang.error(why).into_owned();
        add(text!(lang, "cli-need-not-ready", why = why), text!(lang, "cli-need-not-ready-helps"));
    }
    if let Some(why) = found["fetchingWaits"].as_str() {
        let why = lang.error(why).into_owned();
        add(text!(lang, "cli-need-space", why = why), text!(lang, "cli-need-space-helps"));
    }
    if count("dyingLinks") > 0 {
        let expiring = text!(lang, "cli-need-expiring-there", count = count("dyingLinks"));
        add(expiring, text!(lang, "cli-need-expiring-there-helps"));
    }
    if count("lost") > 0 {
        let lost = found["lostPublications"].as_array().into_iter().flatten();
        let lost = lost.filter(|loss| loss["acknowledgedAt"].is_null()).filter_map(|loss| loss["name"].as_str());
        let names: Vec<String> = lost.take(5).map(output::in_cell).collect();
        add(
            text!(lang, "cli-need-lost", count = count("lost"), names = names.join(", ")),
            text!(lang, "cli-need-lost-helps"),
        );
    }
    if count("damaged") > 0 {
        add(text!(lang, "cli-need-damaged", count = count("damaged")), text!(lang, "cli-need-damaged-helps"));
    }
    for source in found["sources"].as_array().into_iter().flatten().filter(|source| source["silent"] == true) {
        let name = source["name"].as_str().unwrap_or_default();
        add(text!(lang, "cli-need-silent", name = name), text!(lang, "cli-need-silent-helps"));
    }
    needs
}

fn status_text(address: &str, readiness: &Result<(), String>, needs: &[Need], found: &Value) -> anyhow::Result<String> {
    let now = Timestamp::now();
    let when = |at: &str| instant_of(at).map(|at| output::when(at, now));
    let count = |name: &str| found[name].as_u64().unwrap_or_default();
    let time = |value: &Value| value.as_str().map_or_else(|| Ok(say!("cli-status-no-expiry")), when);
    let version = found["version"].as_str().unwrap_or_default();
    let ready = readiness
        .as_ref()
        .err()
        .map_or_else(|| say!("cli-status-yes"), |why| say!("cli-status-not-ready", why = output::reason(why)));
    let (published, stored) = (output::size(count("size")), output::size(count("storedSize")));
    let waiting = say!(
        "cli-status-waiting-counts",
        queued = count("queued"),
        fetching = count("fetching"),
        retrying = count("retrying")
    );
    let last = found["lastNotificationAt"].as_str().map(when).transpose()?;
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
        lines.push((say!("cli-status-fetching-waits"), output::reason(why)));
    }
    for source in found["sources"].as_array().into_iter().flatten() {
        let silent = if source["silent"] == true { say!("cli-status-silent") } else { String::new() };
        let received = match source["lastNotificationAt"].as_str() {
            Some(at) => say!("cli-status-received-from", when = when(at)?),
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
    let block: String = lines.into_iter().map(|(label, value)| output::line(&label, &value) + "\n").collect();
    Ok(format!("{}\n\n{block}", text::hands(needs).join("\n")))
}
