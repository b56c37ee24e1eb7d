//! `acervo retry`: queues notifications again.
use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};

use super::language::say;
use super::output;
use crate::config::Settings;
use crate::domain::{NotificationStatus, TextMatch, millis, timestamp};
use crate::jobs;
use crate::query::NotificationQuery;

#[derive(clap::Args)]
#[group(id = "which", required = true, multiple = true)]
pub(super) struct Args {
    /// Only notifications with this status (failed, retrying, queued, expired); can be repeated
    #[arg(long, value_name = "STATUS")]
    status: Vec<NotificationStatus>,
    /// Only products whose name contains this text
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Only notifications received since this instant (2025-02-20T12:00:00Z), or within this time (6h)
    #[arg(long, value_name = "INSTANT", value_parser = since)]
    since: Option<Since>,
}

#[derive(Clone, Copy)]
enum Since {
    Instant(Timestamp),
    Ago(SignedDuration),
}

impl Since {
    fn before(self, now: Timestamp) -> anyhow::Result<Timestamp> {
        match self {
            Self::Instant(at) => Ok(at),
            Self::Ago(ago) => Ok(timestamp(millis(now).saturating_sub(i64::try_from(ago.as_millis())?))),
        }
    }
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let which = NotificationQuery {
        status: (!args.status.is_empty()).then_some(args.status),
        name: args.product.map(TextMatch::containing),
        received_from: args.since.map(|since| since.before(app.clock.now())).transpose()?,
        ..Default::default()
    };
    let counts = jobs::retry(&app, &which).await?;
    output::print(&say!(
        "cli-retry-counts",
        matched = counts.matched,
        queued = counts.queued,
        expired = counts.expired
    ))?;
    if counts.expired > 0 {
        output::print(&say!("cli-retry-expired"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn since(text: &str) -> Result<Since, String> {
    let parsed = text.parse().map(Since::Instant).or_else(|_| text.parse().map(Since::Ago));
    parsed.map_err(|_| say!("cli-not-a-since", text = text))
}
