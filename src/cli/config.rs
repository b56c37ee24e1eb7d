//! `acervo config check`: every problem of the configuration by its key, and its meaning in words.
use std::process::ExitCode;

use super::output;
use crate::config::{Retention, Settings, duration_in_words, span_in_words};
use crate::jobs::retention;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Report all problems, and explain what the settings mean
    Check,
    /// Print all settings with their defaults
    Default,
}

/// Problems are reported when the settings are read; this prints what the settings mean.
pub(super) async fn run(_: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    settings.exposure()?;
    let is_open = settings.receiver.open || settings.receiver.credentials.is_empty();
    let receiver = if is_open { "open to anyone who can connect" } else { "with credentials" };
    let webhook = settings.webhook_listen.map(|address| format!(", {address} only for the webhook"));
    let api = match settings.api.keys.len() {
        0 => "open to anyone who can connect".to_owned(),
        n => format!(
            "{n} {}{}",
            if n == 1 { "key" } else { "keys" },
            if settings.api.open { ", reading needs no key" } else { "" }
        ),
    };
    let hosts: Vec<String> = settings.fetch.allowed_hosts.iter().map(ToString::to_string).collect();
    let schedule = settings.retention.schedule.as_ref().map_or_else(|| "by hand".to_owned(), ToString::to_string);
    output::print(&format!(
        "the configuration is valid\nlisten     {}{}\ndata       {}\nreceiver   {receiver}\napi        {api}\nfetch      from {}\nretention  {schedule}, {} {}",
        settings.listen,
        webhook.unwrap_or_default(),
        settings.data_dir.display(),
        hosts.join(", "),
        settings.retention.policies.len(),
        if settings.retention.policies.len() == 1 { "policy" } else { "policies" },
    ))?;
    for warning in settings.exposure_warnings() {
        output::print(&format!("warning: {warning}"))?;
    }
    times(&settings)?;
    for warning in &settings.warnings {
        output::print(&format!("warning: {warning}"))?;
    }
    policies(settings).await?;
    Ok(ExitCode::SUCCESS)
}

/// Every duration in the configuration, in words.
fn times(settings: &Settings) -> anyhow::Result<()> {
    let Settings { receiver, fetch, downloads, query, retention, .. } = settings;
    let durations = [
        ("receiver.replay_gap", receiver.replay_gap),
        ("receiver.silence_floor", receiver.silence_floor),
        ("fetch.retry_first", fetch.retry_first),
        ("fetch.retry_max", fetch.retry_max),
        ("fetch.stall", fetch.stall),
        ("fetch.warn_before", fetch.warn_before),
        ("downloads.stall", downloads.stall),
        ("query.timeout", query.timeout),
        ("query.wait", query.wait),
        ("query.write_timeout", query.write_timeout),
        ("retention.jitter", retention.jitter),
    ];
    for (key, duration) in durations {
        output::print(&format!("{key} = {}", duration_in_words(duration)))?;
    }
    output::print(&format!("retention.grace = {}", span_in_words(&retention.grace)))?;
    if let Some(span) = &retention.notification_bodies {
        output::print(&format!("retention.notification_bodies = {}", span_in_words(span)))?;
    }
    Ok(())
}

/// Each policy in words and, if there is an archive, how many products it matches and what it would remove now.
async fn policies(settings: Settings) -> anyhow::Result<()> {
    if settings.retention.policies.is_empty() && settings.retention.max_stored.is_none() {
        return Ok(());
    }
    let has_archive = settings.database_url.is_some() || settings.data_dir.join("acervo.db").exists();
    let Retention { policies, max_stored, .. } = settings.retention.clone();
    let effect = match has_archive {
        true => {
            let app = super::open(settings).await?;
            Some(retention::preview(&app, app.clock.now()).await?)
        }
        false => None,
    };
    let removes = |count: usize| output::print(&format!("  it would remove {count} revisions now"));
    for (i, policy) in policies.iter().enumerate() {
        output::print(&format!("\npolicy `{}`: {}", policy.name, policy.describe()))?;
        let Some((effect, own)) = effect.as_ref().and_then(|effect| Some((effect, effect.policies.get(i)?))) else {
            continue;
        };
        removes(own.removed)?;
        output::print(&format!("  its names match {} of {} products", own.matched, effect.products))?;
        for pattern in &own.unmatched {
            output::print(&format!("  warning: `{pattern}` matches no product"))?;
        }
    }
    if let Some(bytes) = max_stored {
        output::print(&format!("\nretention.max_stored = {}", output::size(bytes)))?;
        if let Some(effect) = &effect {
            removes(effect.removed_for_space)?;
        }
    }
    Ok(())
}
