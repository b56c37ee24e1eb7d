//! Files that you already have: a folder or a tar with a manifest becomes revisions, in the order of their time.
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::content::Content;
use super::manifest::{Manifest, Root, Row};
use super::names::Folder;
use super::source::{Source, TarFiles};
use super::{Event, Listener, Report};
use crate::app::App;
use crate::domain::{Digest, Secrets, extension_of, redacted_file_name, timestamp};
use crate::engine::record::{FetchedFile, ImportedFile, RecordError, Removal};
use crate::engine::store::PutResult;
use crate::jobs::archive::list_members;
use crate::jobs::{retention, stop};

/// Files in one commit.
const BATCH: usize = 16;

/// Files that are read into the store concurrently.
const AT_ONCE: usize = 4;

/// Imports the files that a manifest lists, from a folder or a tar.
pub async fn import(
    app: &App,
    path: &Path,
    manifest: &Path,
    dry_run: bool,
    listener: &mut Listener<'_>,
) -> anyhow::Result<Report> {
    let cannot = || format!("{} cannot be read", path.display());
    let is_folder = std::fs::metadata(path).with_context(cannot)?.is_dir();
    let given = std::path::absolute(path).with_context(cannot)?;
    let root = if is_folder { Root::Folder(&given) } else { Root::Tar };
    let mut report = Report::default();
    let scratch = app.settings.data_dir.join("tmp");
    let rows = tokio::task::block_in_place(|| {
        let refuse = &mut |line, reason| report.refuse(listener, manifest, line, reason);
        Manifest::read(manifest, root, &scratch, app.clock.now(), refuse)
    })?;
    let source = if is_folder {
        Source::Folder(Arc::new(Folder::new(path.canonicalize().with_context(cannot)?)))
    } else {
        let read = || TarFiles::read(app, path, &rows, dry_run, &mut report, listener);
        let files = tokio::task::block_in_place(read)?;
        if files.is_stopped() {
            // Nothing is recorded yet: the whole tar has to be read before its first row can be recorded.
            drop(files);
            if !dry_run {
                retention::remove_unrecorded(app, Duration::ZERO).await?;
            }
            report.stopped = true;
            return Ok(report);
        }
        Source::Tar(Box::new(files))
    };
    let imported = import_rows(app, manifest, rows, root, &source, dry_run, &mut report, listener).await;
    // The files of the tar are in use until here. What was stored and not recorded is removed, unless a revision uses it.
    drop(source);
    let removed = if dry_run { Ok(()) } else { retention::remove_unrecorded(app, Duration::ZERO).await };
    imported?;
    removed?;
    Ok(report)
}

#[expect(clippy::too_many_arguments, reason = "the caller's variables, all of which the loop needs")]
async fn import_rows(
    app: &App,
    manifest: &Path,
    rows: Manifest,
    root: Root<'_>,
    source: &Source,
    dry_run: bool,
    report: &mut Report,
    listener: &mut Listener<'_>,
) -> anyhow::Result<()> {
    let total = rows.len() as u64;
    let mut simulation = DryRun::default();
    // Rows that were started before the process was asked to stop are still recorded.
    let wanted = futures_util::stream::iter(rows.rows(root)).take_while(|_| {
        let continues = stop::check(app, "stop-in-import").is_ok();
        std::future::ready(continues)
    });
    let contents = wanted.map(|row| async {
        let row = row?;
        let content = source.get(app, &row.path, dry_run).await;
        io::Result::Ok((row, content))
    });
    // In order, with a few read ahead.
    let mut batches = std::pin::pin!(contents.buffered(AT_ONCE).chunks(BATCH));
    let mut done = 0;
    while let Some(batch) = batches.next().await {
        let began = Instant::now();
        done += batch.len() as u64;
        let mut ready = Vec::with_capacity(batch.len());
        for read in batch {
            let (row, content) = read.context("the rows of the manifest cannot be read back")?;
            match content {
                Ok(content) => ready.push((row, content)),
                Err(reason) => report.refuse(listener, manifest, row.line, reason),
            }
        }
        report.read += ready.len() as u64;
        if dry_run {
            for (row, content) in ready {
                let is_new = simulation.is_new(app, &row, content.digest).await?;
                *(if is_new { &mut report.archived } else { &mut report.known }) += 1;
            }
        } else {
            record(app, manifest, ready, report, listener).await?;
            super::pause(began).await;
        }
        listener(Event::Progress { done, total });
    }
    report.stopped = done < total;
    Ok(())
}

/// A row of the manifest whose file is in the store.
struct Ready {
    line: u64,
    stored: Arc<PutResult>,
    import: ImportedFile,
}

async fn record(
    app: &App,
    manifest: &Path,
    read: Vec<(Row, Content)>,
    report: &mut Report,
    listener: &mut Listener<'_>,
) -> anyhow::Result<()> {
    let mut ready = Vec::with_capacity(read.len());
    for (row, content) in read {
        let Some(stored) = content.stored else { bail!("`{}` was not stored, as in a dry run", row.path) };
        let name = redacted_file_name(&row.path, &Secrets::default()).unwrap_or_else(|| "file".to_owned());
        let extension = extension_of(&name);
        let listed = list_members(app, stored.file, extension.as_deref(), &content.head).await;
        let contents = listed.with_context(|| format!("`{}` was archived and cannot be read", row.path))?;
        let fetched = FetchedFile {
            file: stored.file,
            change: stored.change,
            stored_digest: stored.stored_digest,
            content_type: mime_guess::from_path(&name).first_raw().map(str::to_owned),
            extension,
            file_name: name,
            warnings: contents.warnings().into_iter().chain(content.warning).collect(),
            members: contents.members,
            list_later: contents.list_later,
            validator: None,
            again_at: None,
        };
        ready.push(Ready { line: row.line, stored, import: ImportedFile { notification: row.notification, fetched } });
    }
    crate::engine::jobs::fault("import-before-record");
    let mut confirmed = Vec::new();
    let outcomes = loop {
        let batch: Vec<&ImportedFile> = ready.iter().map(|row| &row.import).collect();
        match app.record.imports().files(&batch, app.clock.now(), &confirmed).await {
            Err(RecordError::RemovedBefore(removals)) => {
                let (found, gone) = find_again(app, &ready, removals).await?;
                confirmed.extend(found);
                ready.retain(|row| {
                    let is_gone = gone.contains(&row.stored.file.digest);
                    if is_gone {
                        refuse(report, listener, manifest, row.line, &RecordError::FileGone);
                    }
                    !is_gone
                });
            }
            outcomes => break outcomes?,
        }
    };
    let mut unchanged = Vec::new();
    for (row, outcome) in ready.into_iter().zip(outcomes) {
        match outcome {
            Ok(Some(_)) => {
                row.stored.unrecorded.recorded();
                report.archived += 1;
            }
            Ok(None) => {
                report.known += 1;
                unchanged.push(row.stored);
            }
            Err(e) => refuse(report, listener, manifest, row.line, &e),
        }
    }
    // Retention may have removed the bytes of the revision that a row repeats: nothing uses them then.
    let digests: Vec<Digest> = unchanged.iter().map(|stored| stored.file.digest).collect();
    let unused = app.record.removals().unused(&digests).await?;
    for stored in unchanged.iter().filter(|stored| !unused.contains(&stored.file.digest)) {
        stored.unrecorded.recorded();
    }
    Ok(())
}

/// Refuses a row whose file was stored and could not be recorded.
fn refuse(report: &mut Report, listener: &mut Listener<'_>, manifest: &Path, line: u64, error: &RecordError) {
    // Counted as read before.
    report.read -= 1;
    report.refuse(listener, manifest, line, format!("{error}; import it again"));
}

/// Which of these files, whose bytes a sweep once removed, the store has again.
async fn find_again(
    app: &App,
    rows: &[Ready],
    removals: Vec<Removal>,
) -> anyhow::Result<(Vec<Removal>, HashSet<Digest>)> {
    let (mut found, mut gone) = (Vec::new(), HashSet::new());
    for removal in removals {
        let row = rows.iter().find(|row| row.stored.file.digest == removal.digest);
        match row {
            Some(row) if app.store.contains(row.stored.file.locator()).await? => found.push(removal),
            Some(_) | None => _ = gone.insert(removal.digest),
        }
    }
    Ok((found, gone))
}

/// In a dry run, the revisions that earlier rows would have made.
#[derive(Default)]
struct DryRun(HashMap<(String, String, String), (Timestamp, Digest)>);

impl DryRun {
    async fn is_new(&mut self, app: &App, row: &Row, digest: Digest) -> anyhow::Result<bool> {
        let Ok(announcement) = &row.notification.notice.outcome else { return Ok(false) };
        let at = row.notification.received_at;
        let recorded = app.record.imports().latest_at(announcement, at).await?;
        let span = format!("{} {}", announcement.period.start, announcement.period.end);
        let key = (announcement.identity.key(), announcement.reference_date.clone(), span);
        let planned = self.0.get(&key).copied();
        let earliest = timestamp(i64::MIN);
        let latest = [recorded, planned].into_iter().flatten().max_by_key(|(since, _)| (*since).max(earliest));
        if latest.is_some_and(|(_, known)| known == digest) {
            return Ok(false);
        }
        self.0.insert(key, (at, digest));
        Ok(true)
    }
}
