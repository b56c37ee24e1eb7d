//! `acervo get`: an archived file.
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::StreamExt;

use super::output;
use crate::config::Settings;
use crate::domain::{PublicationId, RevisionId, file_name};
use crate::query::Queries;
use crate::record::Revision;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Of a revision, or of a publication for its latest
    id: String,
    /// Where to write it; - for standard output [default: its published name, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A file inside the zip
    #[arg(long, value_name = "PATH")]
    member: Option<String>,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let queries = Queries::new(super::open(settings).await?);
    let revision = find(&queries, &args.id).await?;
    if let Some(at) = revision.purged_at {
        let why = revision.purge_rule.unwrap_or_default();
        bail!("the file of revision {} was removed by retention at {at:.0}: {why}", revision.id);
    }
    let own_name = match &args.member {
        Some(path) => file_name(path),
        None => file_name(&revision.file_name),
    };
    let target =
        args.output.or(own_name.map(PathBuf::from)).context("the file has no name: say where to write it with -o")?;
    let to_stdout = target == Path::new("-");
    // Written beside and renamed, so that a file of that name is whole or not there.
    let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = if to_stdout {
        None
    } else {
        Some(
            tempfile::NamedTempFile::new_in(folder)
                .with_context(|| format!("{} cannot be written", target.display()))?,
        )
    };
    let mut sink: Box<dyn Write> = match &mut beside {
        Some(file) => Box::new(file.as_file_mut().try_clone()?),
        None => Box::new(std::io::stdout().lock()),
    };
    let write_error = |e: std::io::Error| if to_stdout { output::write_error(e) } else { e.into() };
    match &args.member {
        Some(path) => {
            let (_, bytes) = queries.member(&revision, path).await?;
            copy(bytes, &mut sink).map_err(write_error)?;
        }
        None => {
            let mut bytes = queries.file(&revision, None).await?;
            while let Some(piece) = bytes.next().await {
                sink.write_all(&piece?).map_err(write_error)?;
            }
        }
    }
    sink.flush().map_err(write_error)?;
    drop(sink);
    if let Some(file) = beside {
        file.persist(&target).with_context(|| format!("{} cannot be written", target.display()))?;
        eprintln!("{}", target.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn copy(mut from: impl Read, to: &mut dyn Write) -> std::io::Result<u64> {
    std::io::copy(&mut from, to)
}

async fn find(queries: &Queries, text: &str) -> anyhow::Result<Revision> {
    let id: uuid::Uuid = text.parse().with_context(|| format!("`{text}` is no id; `acervo search` shows them"))?;
    if let Some(row) = queries.revision_rows(&[RevisionId(id)]).await?.remove(&RevisionId(id)) {
        return Ok(row.revision);
    }
    let Some(row) = queries.publication_rows(&[PublicationId(id)]).await?.remove(&PublicationId(id)) else {
        bail!("there is no revision and no publication {id}; `acervo search` shows them");
    };
    row.shown.with_context(|| {
        format!("the publication {id} has no file yet: it is {}", row.publication.status.as_str().to_lowercase())
    })
}
