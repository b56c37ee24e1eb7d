//! `acervo get`: downloads an archived file.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::StreamExt;

use super::output;
use super::target::Target;
use crate::config::Settings;
use crate::domain::{PublicationId, RevisionId, file_name};
use crate::query::Queries;
use crate::query::Revision;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The id of a revision, or of a publication for its latest revision
    #[arg(value_parser = id)]
    id: uuid::Uuid,
    /// The file to write, or - for standard output [default: the published name, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Extract this file from the zip
    #[arg(long, value_name = "PATH")]
    member: Option<String>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let queries = Queries::new(super::open(settings).await?);
    let revision = find(&queries, args.id).await?;
    if let Some(at) = revision.purged_at {
        let why = revision.purge_rule.unwrap_or_default();
        bail!("the file of revision {} was removed by retention at {at:.0}: {why}", revision.id);
    }
    let own_name = match &args.member {
        Some(path) => file_name(path),
        None => file_name(&revision.file_name),
    };
    // `-` means standard output only if the user gives it, not as the name of a file.
    let own_path = own_name.map(|name| PathBuf::from(if name == "-" { "./-".to_owned() } else { name }));
    let path = args.output.or(own_path).context("the file has no name; give a path with -o")?;
    let mut target = Target::open(&path, args.force)?;
    queries.require_sound(&revision).await?;
    let mut bytes = match &args.member {
        Some(path) => {
            let found = queries.member(&revision, path).await?;
            queries.member_bytes(&revision, found).await?
        }
        None => queries.file(&revision, None).await?,
    };
    while let Some(piece) = bytes.next().await {
        target.write(&piece?)?;
    }
    if let Some(path) = target.finish()? {
        output::print_message(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn id(text: &str) -> Result<uuid::Uuid, String> {
    text.parse().map_err(|_| format!("`{text}` is not a valid id; `acervo search` lists them"))
}

async fn find(queries: &Queries, id: uuid::Uuid) -> anyhow::Result<Revision> {
    if let Some(row) = queries.revision_rows(&[RevisionId(id)]).await?.remove(&RevisionId(id)) {
        return Ok(row.revision);
    }
    let Some(row) = queries.publication_rows(&[PublicationId(id)]).await?.remove(&PublicationId(id)) else {
        bail!("no revision or publication has the id {id}; `acervo search` lists them");
    };
    row.revision.with_context(|| {
        format!("the publication {id} has no file yet: it is {}", row.publication.status.as_str().to_lowercase())
    })
}
