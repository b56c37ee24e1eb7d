//! `acervo retry`: queue notifications again.
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::output;
use crate::config::Settings;
use crate::domain::{NotificationStatus, TextMatch, millis, timestamp};
use crate::jobs;
use crate::record::NotificationQuery;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only notifications in this state (failed, retrying, queued, expired); may be given again
    #[arg(long, value_name = "STATE")]
    status: Vec<NotificationStatus>,
    /// Only products whose name contains this
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Only notifications received since (2025-02-20T12:00:00Z, or 6h for the last six hours)
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    if args.status.is_empty() && args.product.is_none() && args.since.is_none() {
        bail!("say which: --status failed, --product NAME or --since 6h");
    }
    let app = super::open(settings).await?;
    let which = NotificationQuery {
        status: (!args.status.is_empty()).then_some(args.status),
        name: args.product.map(TextMatch::containing),
        received_from: args.since.as_deref().map(|text| since(text, app.clock.now())).transpose()?,
        ..Default::default()
    };
    let counts = jobs::retry(&app, &which).await?;
    output::print(&format!(
        "{} matched, {} queued again, {} with dead links",
        counts.matched, counts.queued, counts.dead
    ))?;
    if counts.dead > 0 {
        output::print("dead links: press \"Enviar\" for these products on the portal")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn since(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let ago: jiff::SignedDuration =
        text.parse().ok().with_context(|| format!("--since: `{text}` is no instant and no duration such as 6h"))?;
    Ok(timestamp(millis(now) - i64::try_from(ago.as_millis())?))
}
