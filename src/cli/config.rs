//! `acervo config check`: every problem of the configuration by its key, and its meaning in words.
use std::process::ExitCode;

use anyhow::bail;

use super::language::{language, say};
use super::output;
use super::service::{self, Told};
use crate::config::{Retention, Settings, duration_in_words, span_in_words};
use crate::jobs::retention;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Report all problems, and explain what the settings mean
    Check,
    /// Print all settings with their defaults
    Default,
    /// Let the running service read its configuration again
    Reload,
}

/// Problems are reported when the settings are read; this prints what the settings mean.
pub(super) async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    if let Command::Reload = command {
        return reload(&settings).await;
    }
    settings.exposure()?;
    let is_open = settings.receiver.open || settings.receiver.credentials.is_empty();
    let receiver = if is_open { say!("cli-config-open") } else { say!("cli-config-credentials") };
    let webhook = settings.webhook_listen.map(|address| say!("cli-config-webhook", address = address.to_string()));
    let api = match settings.api.keys.len() {
        0 => say!("cli-config-open"),
        count if settings.api.open => say!("cli-config-keys", count = count) + &say!("cli-config-reading-open"),
        count => say!("cli-config-keys", count = count),
    };
    let hosts: Vec<String> = settings.fetch.allowed_hosts.iter().map(ToString::to_string).collect();
    let schedule = settings.retention.schedule.as_ref().map_or_else(|| say!("cli-config-by-hand"), ToString::to_string);
    let hooks: Vec<&str> = settings.hooks.all.iter().map(|hook| hook.name.as_str()).collect();
    let policies_count = say!("cli-config-policies", count = settings.retention.policies.len());
    output::print(&say!(
        "cli-config-valid",
        listen = format!("{}{}", settings.listen, webhook.unwrap_or_default()),
        data = settings.data_dir.display().to_string(),
        receiver = receiver,
        api = api,
        hosts = hosts.join(", "),
        retention = format!("{schedule}, {policies_count}"),
        hooks = if hooks.is_empty() { say!("cli-none") } else { hooks.join(", ") }
    ))?;
    for warning in settings.exposure_warnings() {
        output::print(&say!("cli-warning", text = output::reason(warning)))?;
    }
    times(&settings)?;
    for warning in &settings.warnings {
        output::print(&say!("cli-warning", text = output::reason(warning)))?;
    }
    policies(settings).await?;
    Ok(ExitCode::SUCCESS)
}

/// The service answers what it took over; it reads the files and variables that it was started with.
async fn reload(settings: &Settings) -> anyhow::Result<ExitCode> {
    let answer = match service::tell(settings, "reload").await? {
        Told::Done(answer) => answer,
        Told::NotRunning => bail!(say!("cli-config-no-service", path = settings.data_dir.display().to_string())),
        Told::Failed(why) => bail!(say!("cli-config-not-taken", why = output::reason(why))),
    };
    let keys = |name: &str| -> Vec<String> {
        let keys = answer[name].as_array().into_iter().flatten();
        keys.filter_map(|key| key.as_str().map(str::to_owned)).collect()
    };
    let (applied, needs_restart) = (keys("applied"), keys("needsRestart"));
    match applied.is_empty() {
        true => output::print(&say!("cli-config-nothing-changed"))?,
        false => output::print(&say!("cli-config-taken", keys = applied.join(", ")))?,
    }
    if !needs_restart.is_empty() {
        output::print(&say!("cli-config-restart", keys = needs_restart.join(", ")))?;
    }
    for warning in keys("warnings") {
        output::print(&say!("cli-warning", text = output::reason(warning)))?;
    }
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
        output::print(&format!("{key} = {}", language().duration(&duration_in_words(duration))))?;
    }
    output::print(&format!("retention.grace = {}", language().duration(&span_in_words(&retention.grace))))?;
    if let Some(span) = &retention.notification_bodies {
        output::print(&format!("retention.notification_bodies = {}", language().duration(&span_in_words(span))))?;
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
    let removes = |count: usize| output::print(&say!("cli-config-would-remove", count = count));
    for (i, policy) in policies.iter().enumerate() {
        output::print(&say!("cli-config-policy", name = policy.name.as_str(), rules = policy.describe(language())))?;
        let Some((effect, own)) = effect.as_ref().and_then(|effect| Some((effect, effect.policies.get(i)?))) else {
            continue;
        };
        removes(own.removed)?;
        output::print(&say!("cli-config-matches", matched = own.matched, products = effect.products))?;
        for pattern in &own.unmatched {
            output::print(&say!("cli-config-unmatched", pattern = pattern.to_string()))?;
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
