//! `acervo config check`: every problem of the configuration by its key, and what it says in words.
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

/// The problems were found when the settings were read; what is left is to say what they mean.
pub(super) async fn run(_: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    settings.exposure()?;
    let is_open = settings.receiver.open || settings.receiver.credentials.is_empty();
    let receiver = if is_open { "open to whoever reaches it" } else { "with credentials" };
    let webhook = settings.webhook_listen.map(|address| format!(", {address} for the webhook alone"));
    let api = match settings.api.keys.len() {
        0 => "open to whoever reaches it".to_owned(),
        n => format!(
            "{n} {}{}",
            if n == 1 { "key" } else { "keys" },
            if settings.api.open { ", reading is open to all" } else { "" }
        ),
    };
    let hosts: Vec<String> = settings.fetch.allowed_hosts.iter().map(ToString::to_string).collect();
    let schedule = settings.retention.schedule.as_ref().map_or_else(|| "by hand".to_owned(), ToString::to_string);
    output::print(&format!(
        "the configuration is sound\nlisten     {}{}\ndata       {}\nreceiver   {receiver}\napi        {api}\nfetch      from {}\nretention  {schedule}, {} {}",
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

/// Every span of time that the configuration names, in words.
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

/// Each policy in words; where there is an archive, how many products it matches and what it would remove now.
async fn policies(settings: Settings) -> anyhow::Result<()> {
    if settings.retention.policies.is_empty() && settings.retention.max_stored.is_none() {
        return Ok(());
    }
    let has_archive = settings.database_url.is_some() || settings.data_dir.join("acervo.db").exists();
    let Retention { policies, max_stored, .. } = settings.retention.clone();
    let (products, removed) = match has_archive {
        true => {
            let app = super::open(settings).await?;
            let planned = retention::make_plan(&app, app.clock.now()).await?;
            (Some(app.record.inventory().products().await?), Some(planned.plan.removed_by_policy()))
        }
        false => (None, None),
    };
    let removes = |policy: Option<usize>| match &removed {
        Some(removed) => {
            let count = removed.get(&policy).copied().unwrap_or_default();
            output::print(&format!("  it would remove {count} revisions now"))
        }
        None => Ok(()),
    };
    for (i, policy) in policies.iter().enumerate() {
        output::print(&format!("\npolicy `{}`: {}", policy.name, policy.describe()))?;
        removes(Some(i))?;
        let Some(products) = &products else { continue };
        let matched = products.iter().filter(|product| retention::is_named(policy, &product.names)).count();
        output::print(&format!("  its names match {matched} of {} products", products.len()))?;
        for glob in &policy.names {
            if !products.iter().any(|product| product.names.iter().any(|name| glob.matches(name))) {
                output::print(&format!("  warning: `{glob}` matches no product"))?;
            }
        }
    }
    if let Some(bytes) = max_stored {
        output::print(&format!("\nretention.max_stored = {}", output::size(bytes)))?;
        removes(None)?;
    }
    Ok(())
}
