//! `acervo hold` and `acervo release`: protect a revision from retention, and end the protection.
use std::process::ExitCode;

use super::language::say;
use super::output;
use crate::config::Settings;
use crate::domain::{HoldReason, RevisionId};
use crate::holds;

#[derive(clap::Args)]
pub(super) struct HoldArgs {
    /// The id of the revision
    #[arg(value_parser = revision)]
    id: RevisionId,
    /// Why the revision must be kept
    #[arg(long, value_name = "TEXT")]
    reason: HoldReason,
}

#[derive(clap::Args)]
pub(super) struct ReleaseArgs {
    /// The id of the revision
    #[arg(value_parser = revision)]
    id: RevisionId,
}

pub(super) async fn hold(args: HoldArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let HoldArgs { id, reason } = args;
    let app = super::open(settings).await?;
    holds::hold(&app, id, &reason, &super::person()).await?;
    output::print(&say!("cli-hold-held", id = id.to_string(), reason = reason.as_str()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn release(args: ReleaseArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let id = args.id;
    let app = super::open(settings).await?;
    holds::release(&app, id).await?;
    output::print(&say!("cli-hold-released", id = id.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn revision(text: &str) -> Result<RevisionId, String> {
    text.parse().map_err(|_| say!("cli-not-a-revision-id", text = text))
}
