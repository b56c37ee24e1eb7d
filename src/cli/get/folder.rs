//! `acervo get -d DIR`: the files of all publications that are found.
use std::path::Path;
use std::process::ExitCode;

use super::remote;
use crate::cli::ask::Remote;
use crate::cli::language::say;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::search::{FilterOptions, Place};
use crate::config::Settings;
use crate::export::{FileList, FileSource, FolderEvent, FolderReport, write_folder};
use crate::jobs;
use crate::query::{Paging, Queries, SearchIn};

pub(super) async fn download(
    (search, place): (Option<String>, Place),
    filter: FilterOptions,
    folder: &Path,
    force: bool,
    remote: Option<Remote>,
    settings: Settings,
) -> anyhow::Result<ExitCode> {
    if let Some(remote) = remote {
        let list = remote::list(&remote, search.as_deref(), place, &filter).await?;
        return write(&list, &remote, folder, force).await;
    }
    let mut request = filter.request(search, Paging::first(1));
    let app = crate::cli::open(settings).await?;
    // Without a server nothing else updates the index.
    jobs::catch_up(&app).await?;
    if place == Place::Content {
        jobs::catch_up_content(&app).await?;
        request.search_in = SearchIn::Content;
    }
    let queries = Queries::new(app);
    let list = FileList::of(&queries, request, None).await?;
    write(&list, &queries, folder, force).await
}

async fn write(list: &FileList, source: &dyn FileSource, folder: &Path, force: bool) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(&say!("cli-column-files"))?;
    let outcome = write_folder(list, source, folder, force, &mut |event| match event {
        FolderEvent::Progress { done, total } => progress.set(done, total),
        FolderEvent::Left { path, reason } => {
            progress.message(&say!("cli-get-not-written", path = path.to_string(), reason = output::reason(reason)))
        }
    })
    .await;
    progress.finish();
    let report = outcome?;
    output::print(&summary(&report))?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn summary(report: &FolderReport) -> String {
    let FolderReport { added, bytes_added, present, replaced, other, failed, missing, awaited } = report;
    let lines = [
        (true, say!("cli-get-added", count = *added, size = output::size(*bytes_added))),
        (true, say!("cli-get-present", count = *present)),
        (*replaced > 0, say!("cli-get-replaced", count = *replaced)),
        (*other > 0, say!("cli-get-other", count = *other)),
        (*failed > 0, say!("cli-get-failed", count = *failed)),
        (*missing > 0, say!("cli-get-missing", count = *missing)),
        (*awaited > 0, say!("cli-get-awaited", count = *awaited)),
    ];
    lines.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}
