//! `acervo config check`: every problem of the configuration by its key, and what it says in words.
use std::process::ExitCode;

use super::output;
use crate::config::Settings;
use crate::jobs::retention;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Find every problem
    Check,
    /// Print the commented default file
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
        n => format!("{n} keys{}", if settings.api.open { ", reading is open to all" } else { "" }),
    };
    let hosts: Vec<String> = settings.fetch.allowed_hosts.iter().map(ToString::to_string).collect();
    let schedule = settings.retention.schedule.as_ref().map_or_else(|| "by hand".to_owned(), ToString::to_string);
    output::print(&format!(
        "the configuration is sound\nlisten     {}{}\ndata       {}\nreceiver   {receiver}\napi        {api}\nfetch      from {}\nretention  {schedule}, {} policies",
        settings.listen,
        webhook.unwrap_or_default(),
        settings.data_dir.display(),
        hosts.join(", "),
        settings.retention.policies.len(),
    ))?;
    for warning in settings.exposure_warnings() {
        output::print(&format!("warning: {warning}"))?;
    }
    policies(settings).await?;
    Ok(ExitCode::SUCCESS)
}

/// Each policy in words, and how many products it matches where there is an archive to ask.
async fn policies(settings: Settings) -> anyhow::Result<()> {
    if settings.retention.policies.is_empty() {
        return Ok(());
    }
    let has_archive = settings.database_url.is_some() || settings.data_dir.join("acervo.db").exists();
    let policies = settings.retention.policies.clone();
    let products = match has_archive {
        true => Some(super::open(settings).await?.record.inventory_products().await?),
        false => None,
    };
    for policy in &policies {
        output::print(&format!("\npolicy `{}`: {}", policy.name, policy.describe()))?;
        let Some(products) = &products else { continue };
        let matched = products.iter().filter(|product| retention::is_named(policy, &product.names)).count();
        output::print(&format!("  its names match {matched} of {} products", products.len()))?;
        for glob in &policy.names {
            if !products.iter().any(|product| product.names.iter().any(|name| glob.matches(name))) {
                output::print(&format!("  warning: `{glob}` matches no product"))?;
            }
        }
    }
    Ok(())
}
