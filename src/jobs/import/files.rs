//! Files that were downloaded before: a folder or a tar with a manifest becomes revisions, in the order of their time.
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use futures_util::StreamExt;
use jiff::Timestamp;

use super::content::Content;
use super::manifest::{Manifest, Root, Row};
use super::names::Folder;
use super::source::{Source, TarFiles};
use super::{Event, Listener, Report};
use crate::app::App;
use crate::domain::{Digest, Secrets, extension_of, redacted_file_name, timestamp};
use crate::engine::record::{FetchedFile, ImportedFile, StoredFile};
use crate::engine::store::Key;
use crate::jobs::archive::look_inside;
use crate::jobs::{retention, stop};

/// Files in one commit.
const BATCH: usize = 16;

/// Files that are read into the archive concurrently.
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
        if let Some(keys) = files.read_until_stopped() {
            // Nothing of it is recorded: the whole tar has to be read before its first row can be.
            retention::discard(app, keys.map(stored_file).collect()).await?;
            report.stopped = true;
            return Ok(report);
        }
        Source::Tar(Box::new(files))
    };
    let total = rows.len() as u64;
    let mut planned = Planned::default();
    // What was begun before the process is to stop is still recorded.
    let wanted = futures_util::stream::iter(rows.rows(root)).take_while(|_| {
        let goes_on = stop::check(app, "stop-in-import").is_ok();
        std::future::ready(goes_on)
    });
    let contents = wanted.map(|row| async {
        let row = row?;
        let content = source.get(app, &row.path, dry_run).await;
        io::Result::Ok((row, content))
    });
    // In order, a few read ahead.
    let mut batches = std::pin::pin!(contents.buffered(AT_ONCE).chunks(BATCH));
    let mut done = 0;
    // Stored, and then found to belong to a revision whose bytes retention removed. A later row may still need them.
    let mut useless = HashMap::new();
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
                let is_new = planned.is_new(app, &row, content.digest).await?;
                *(if is_new { &mut report.archived } else { &mut report.known }) += 1;
            }
        } else {
            record(app, manifest, ready, &mut report, &mut useless, listener).await?;
            super::pause(began).await;
        }
        listener(Event::Progress { done, total });
    }
    report.stopped = done < total;
    if !useless.is_empty() {
        retention::discard(app, useless.into_values().collect()).await?;
    }
    Ok(report)
}

fn stored_file(key: Key) -> StoredFile {
    StoredFile {
        digest: key.digest,
        size: key.size,
        stored_size: key.stored_size,
        encoding: key.encoding.as_str().to_owned(),
    }
}

async fn record(
    app: &App,
    manifest: &Path,
    ready: Vec<(Row, Content)>,
    report: &mut Report,
    useless: &mut HashMap<Digest, StoredFile>,
    listener: &mut Listener<'_>,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(ready.len());
    let mut rows = Vec::with_capacity(ready.len());
    for (row, content) in ready {
        let Some(key) = content.key else { continue };
        let name = redacted_file_name(&row.path, &Secrets::default()).unwrap_or_else(|| "file".to_owned());
        let extension = extension_of(&name);
        let looked = look_inside(app, key, extension.as_deref(), &content.head).await;
        let inside = looked.with_context(|| format!("`{}` was archived and cannot be read", row.path))?;
        let fetched = FetchedFile {
            file: stored_file(key),
            content_type: mime_guess::from_path(&name).first_raw().map(str::to_owned),
            extension,
            file_name: name,
            warnings: inside.warnings().into_iter().chain(content.warning).collect(),
            members: inside.members,
            list_later: inside.list_later,
            validator: None,
            again_at: None,
        };
        rows.push((row.line, fetched.file.clone()));
        batch.push(ImportedFile { notification: row.notification, fetched });
    }
    let is_there = |fetched: &FetchedFile| {
        let (store, file) = (app.store.clone(), fetched.file.clone());
        async move {
            match file.encoding.parse() {
                Ok(encoding) => store.has(file.digest, encoding).await,
                Err(_) => false,
            }
        }
    };
    let outcomes = app.record.imports().files(batch, app.clock.now(), is_there).await?;
    let mut not_made = HashMap::new();
    for ((line, file), outcome) in rows.into_iter().zip(outcomes) {
        match outcome {
            Ok(Some(_)) => report.archived += 1,
            Ok(None) => {
                report.known += 1;
                not_made.insert(file.digest, file);
            }
            Err(e) => {
                report.read -= 1;
                report.refuse(listener, manifest, line, format!("{e}; import it again"));
            }
        }
    }
    let digests: Vec<Digest> = not_made.keys().copied().collect();
    let unused = app.record.removals().unused(&digests).await?;
    useless.extend(not_made.into_iter().filter(|(digest, _)| unused.contains(digest)));
    Ok(())
}

/// In a dry run, the revisions that earlier rows would have made.
#[derive(Default)]
struct Planned(HashMap<(String, String, String), (Timestamp, Digest)>);

impl Planned {
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
