//! `acervo get`: downloads archived files: one, a member of it, or all that a search finds; and lists the members of one.
mod folder;
mod members;
mod remote;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use futures_util::StreamExt;

use super::ask::Remote;
use super::language::say;
use super::output;
use super::search::{FilterOptions, Place};
use super::target::Target;
use crate::config::Settings;
use crate::domain::{PublicationId, RevisionId, file_name};
use crate::query::Queries;
use crate::query::Revision;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The id of a revision, or of a publication for its latest revision
    #[arg(value_parser = id)]
    id: Option<uuid::Uuid>,
    /// The file to write, or - for standard output [default: the published name, in the current folder]
    #[arg(short, long, value_name = "FILE", requires = "id")]
    output: Option<PathBuf>,
    /// Extract this file from the zip; of a nested zip outer.zip/inner.dat; or the only one that matches a pattern, such as "dadger.rv?"
    #[arg(long, value_name = "PATH", requires = "id")]
    member: Option<String>,
    /// List the members of the zip, nested ones included
    #[arg(long, requires = "id", conflicts_with_all = ["output", "member", "force"])]
    list: bool,
    /// The output format of --list
    #[arg(long, value_enum, default_value_t = Format::Table, requires = "list")]
    format: Format,
    /// Download the files of all publications that are found into this folder, as product/period/published name. Files that are
    /// there already are kept, so an interrupted download can be repeated
    #[arg(short = 'd', long = "dir", value_name = "DIR", conflicts_with = "id")]
    folder: Option<PathBuf>,
    /// With -d: words to find, in any order; the last one may be incomplete
    #[arg(long, value_name = "TEXT", conflicts_with = "id")]
    search: Option<String>,
    /// Where to look for the words
    #[arg(long = "in", value_enum, default_value_t = Place::Names, requires = "search")]
    place: Place,
    #[command(flatten)]
    filter: FilterOptions,
    /// Overwrite existing files that have other bytes
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    let Some(id) = args.id else {
        let folder = args.folder.ok_or_else(|| super::Usage(say!("cli-get-what")))?;
        return folder::download((args.search, args.place), args.filter, &folder, args.force, remote, settings).await;
    };
    if args.filter.is_given() {
        return Err(super::Usage(say!("cli-get-filters")).into());
    }
    if let Some(remote) = remote {
        return remote::get(args, id, remote).await;
    }
    let queries = Queries::new(super::open(settings).await?);
    let revision = find(&queries, id).await?;
    if args.list {
        return members::print(&members::all(&queries, &revision).await?, args.format);
    }
    download(&queries, &revision, args.output, args.member.as_deref(), args.force).await
}

async fn download(
    queries: &Queries,
    revision: &Revision,
    output: Option<PathBuf>,
    member: Option<&str>,
    force: bool,
) -> anyhow::Result<ExitCode> {
    if let Some(at) = revision.purged_at {
        let why = revision.purge_rule.as_deref().unwrap_or_default();
        bail!("{}: {why}", say!("cli-get-purged", id = revision.id.to_string(), at = output::local(at)));
    }
    let path = match output {
        Some(path) => path,
        None => own_path(member.unwrap_or(&revision.file_name))?,
    };
    let mut target = Target::open(&path, force)?;
    queries.require_sound(revision).await?;
    let mut bytes = match member {
        Some(path) => {
            let found = queries.member(revision, path).await?;
            queries.member_bytes(revision, found).await?
        }
        None => queries.file(revision, None).await?,
    };
    while let Some(piece) = bytes.next().await {
        target.write(&piece?)?;
    }
    if let Some(path) = target.finish()? {
        output::print_message(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a file goes without `-o`, by its published name or the path of the member.
fn own_path(name: &str) -> anyhow::Result<PathBuf> {
    let name = file_name(name).with_context(|| say!("cli-get-no-name"))?;
    // `-` means standard output only if the user gives it, not as the name of a file.
    Ok(PathBuf::from(if name == "-" { "./-".to_owned() } else { name }))
}

pub(super) fn id(text: &str) -> Result<uuid::Uuid, String> {
    text.parse().map_err(|_| say!("cli-not-an-id", text = text))
}

async fn find(queries: &Queries, id: uuid::Uuid) -> anyhow::Result<Revision> {
    if let Some(row) = queries.revision_rows(&[RevisionId(id)]).await?.remove(&RevisionId(id)) {
        return Ok(row.revision);
    }
    let Some(row) = queries.publication_rows(&[PublicationId(id)]).await?.remove(&PublicationId(id)) else {
        bail!(say!("cli-no-such-id", id = id.to_string()));
    };
    row.revision.with_context(|| {
        say!("cli-get-no-file", id = id.to_string(), status = row.publication.status.as_str().to_lowercase())
    })
}
