//! `acervo hold` and `acervo release`: a revision that retention may not remove, and one that it may again.
use std::process::ExitCode;

use super::{Usage, output};
use crate::config::Settings;
use crate::domain::{REASON_CHARS_MAX, RevisionId, clean};

#[derive(clap::Args)]
pub(super) struct HoldArgs {
    /// The id of the revision
    #[arg(value_parser = revision)]
    id: RevisionId,
    /// Why the revision must be kept
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(clap::Args)]
pub(super) struct ReleaseArgs {
    /// The id of the revision
    #[arg(value_parser = revision)]
    id: RevisionId,
}

pub(super) async fn hold(args: HoldArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let reason = clean(&args.reason);
    if reason.is_empty() {
        return Err(Usage("--reason: say why the revision must stay".to_owned()).into());
    }
    let chars = reason.chars().count();
    if chars > REASON_CHARS_MAX {
        return Err(Usage(format!("--reason has {chars} characters; at most {REASON_CHARS_MAX} are kept")).into());
    }
    let id = args.id;
    let app = super::open(settings).await?;
    let user = super::environment("USER").unwrap_or_else(|| "somebody".to_owned());
    app.record.holds().hold(id, &reason, &format!("{user} on this machine"), app.clock.now()).await?;
    output::print(&format!("{id} is held: {reason}"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn release(args: ReleaseArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let id = args.id;
    let app = super::open(settings).await?;
    app.record.holds().release(id, app.clock.now()).await?;
    output::print(&format!("{id} is held no longer"))?;
    Ok(ExitCode::SUCCESS)
}

fn revision(text: &str) -> Result<RevisionId, String> {
    text.parse().map_err(|_| format!("`{text}` is not a valid id of a revision; `acervo search` shows them"))
}
