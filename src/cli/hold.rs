//! `acervo hold` and `acervo release`: a revision that retention may not remove, and one that it may again.
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::output;
use crate::config::Settings;
use crate::domain::{REASON_CHARS_MAX, RevisionId, clean};

#[derive(clap::Args)]
pub(super) struct HoldArgs {
    /// Of the revision
    id: String,
    /// Why it must stay
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(clap::Args)]
pub(super) struct ReleaseArgs {
    /// Of the revision
    id: String,
}

pub(super) async fn hold(args: HoldArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let reason = clean(&args.reason);
    if reason.is_empty() {
        bail!("--reason: say why the revision must stay");
    }
    let chars = reason.chars().count();
    if chars > REASON_CHARS_MAX {
        bail!("--reason has {chars} characters; at most {REASON_CHARS_MAX} are kept");
    }
    let id = revision(&args.id)?;
    let app = super::open(settings).await?;
    let user = super::environment("USER").unwrap_or_else(|| "somebody".to_owned());
    app.record.hold(id, &reason, &format!("{user} on this machine"), app.clock.now()).await?;
    output::print(&format!("{id} is held: {reason}"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn release(args: ReleaseArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let id = revision(&args.id)?;
    let app = super::open(settings).await?;
    app.record.release_hold(id, app.clock.now()).await?;
    output::print(&format!("{id} is held no longer"))?;
    Ok(ExitCode::SUCCESS)
}

fn revision(text: &str) -> anyhow::Result<RevisionId> {
    text.parse().with_context(|| format!("`{text}` is no id of a revision; `acervo search` shows them"))
}
