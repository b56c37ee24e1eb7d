//! The restore: an export becomes an instance again, with the same ids.
//!
//! First the manifest is read to its end. Then every file is stored and recorded, and then the rows are written, in the order of the
//! manifest and some at a time. The database says that a restore is in progress, of which manifest, and how many lines are written, so
//! one that was interrupted continues there, and nothing else opens the instance before it is complete.
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};

use super::manifest::{Header, Line, MANIFEST, Reader, digest, header_of, is_null, text};
use crate::app::App;
use crate::domain::Digest;
use crate::engine::jobs::{fault, stop};
use crate::engine::record::{Columns, RestoreState, RowKind};
use crate::engine::store::{PutResult, StoreError};

/// Files stored between two commits, and how many of them at once.
const FILES: usize = 64;
const AT_ONCE: usize = 4;

/// Rows of one commit.
const ROWS: usize = 500;

/// How often it is checked whether all notifications are resolved: each check waits for up to a second.
const RESOLVED_CHECKS: u32 = 600;

/// The outcome of a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Whether it continued one that was interrupted.
    pub resumed: bool,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
    /// Files that the export does not have, or has with other bytes.
    pub missing: u64,
    /// Files that the export says it does not have.
    pub not_exported: u64,
    /// Notifications that waited for their files, whose links are not in the export.
    pub ended: u64,
    /// Whether the instance is complete.
    pub is_done: bool,
}

/// What happens during a restore.
pub enum RestoreEvent<'a> {
    Files {
        done: u64,
        total: u64,
    },
    Rows {
        done: u64,
        total: u64,
    },
    Index {
        done: u64,
        total: u64,
    },
    /// A file that is not restored, and why.
    Missing {
        path: &'a str,
        reason: &'a str,
    },
}

type Listener<'a> = dyn FnMut(RestoreEvent<'_>) + Send + 'a;

/// Restores an export into an instance without rows, or continues to. With `accept_missing`, files that are missing become damaged files;
/// otherwise no row is written if any is missing.
pub async fn restore(
    app: &App,
    folder: &Path,
    accept_missing: bool,
    listener: &mut Listener<'_>,
) -> anyhow::Result<RestoreReport> {
    let contents = Contents::read(folder)?;
    let (state, resumed) = begin(app, &contents, folder).await?;
    fault("restore-after-begin");
    let report = RestoreReport { resumed, ..RestoreReport::default() };
    let mut run = Run { app, folder, contents, listener, report };
    run.store_files().await?;
    if run.report.missing > 0 && !accept_missing {
        return Ok(run.report);
    }
    run.write_rows(state).await?;
    run.complete().await?;
    Ok(run.report)
}

async fn begin(app: &App, contents: &Contents, folder: &Path) -> anyhow::Result<(RestoreState, bool)> {
    let dump = app.record.dump();
    match dump.restoring().await? {
        Some(state) if state.manifest == contents.digest => Ok((state, true)),
        Some(_) => bail!(
            "the instance is half restored from another export than {}; continue with that one, or restore into an empty instance",
            folder.display()
        ),
        None if dump.begin_restore(contents.digest).await? => {
            Ok((RestoreState { manifest: contents.digest, lines: 0 }, false))
        }
        None => bail!(
            "the instance is not empty; restore into an empty one: another data_dir (--data-dir), or another database"
        ),
    }
}

/// What a manifest has, found by reading all of it.
struct Contents {
    header: Header,
    digest: Digest,
    lines: u64,
    files: u64,
    /// The files that it says are not in the export.
    not_exported: HashSet<Digest>,
}

impl Contents {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let header = header_of(&path)?;
        let mut reader = Reader::open(&path)?;
        let (mut lines, mut files, mut end) = (0, 0, None);
        let mut not_exported = HashSet::new();
        while let Some((number, line)) = reader.next()? {
            lines = number;
            match line {
                Line::Row(RowKind::Revision, row) if !is_null(&row, "path") => {
                    local_path(folder, text(&row, "path")?).with_context(|| format!("{MANIFEST}:{number}"))?;
                    files += 1;
                }
                Line::Missing(file) => {
                    let digest: Option<Digest> = file.digest.parse().ok();
                    not_exported.insert(digest.with_context(|| format!("{MANIFEST}:{number}: not a SHA-256"))?);
                }
                Line::End { lines } => end = Some(lines),
                Line::Header(_) | Line::Row(..) => {}
            }
        }
        if end != Some(lines) {
            bail!("{} was cut short: it has {lines} lines and no end; export again", path.display());
        }
        Ok(Self { header, digest: reader.finish(), lines, files, not_exported })
    }
}

/// A path of the manifest must not lead out of the folder.
fn local_path(folder: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let is_local = !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_local {
        bail!("`{path}` is not a path below the folder of the export");
    }
    Ok(folder.join(path))
}

struct Run<'a, 'b> {
    app: &'a App,
    folder: &'a Path,
    contents: Contents,
    listener: &'a mut Listener<'b>,
    report: RestoreReport,
}

impl Run<'_, '_> {
    fn manifest(&self) -> anyhow::Result<Reader> {
        let path = self.folder.join(MANIFEST);
        Reader::open(&path).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// Stores every file whose bytes are not stored yet.
    async fn store_files(&mut self) -> anyhow::Result<()> {
        let mut reader = self.manifest()?;
        let (mut batch, mut done) = (Vec::new(), 0);
        loop {
            let line = reader.next()?;
            let is_end = line.is_none();
            if let Some((_, Line::Row(RowKind::Revision, row))) = line
                && !is_null(&row, "path")
            {
                batch.push((text(&row, "path")?.to_owned(), digest(&row)?));
            }
            if batch.len() == FILES || is_end {
                done += batch.len() as u64;
                self.store_batch(std::mem::take(&mut batch)).await?;
                (self.listener)(RestoreEvent::Files { done, total: self.contents.files });
            }
            if is_end {
                return Ok(());
            }
        }
    }

    async fn store_batch(&mut self, batch: Vec<(String, Digest)>) -> anyhow::Result<()> {
        stop::check(self.app, "stop-in-restore")?;
        let mut new = Vec::new();
        let mut seen = HashSet::new();
        for (path, digest) in batch {
            if seen.insert(digest) && !self.is_stored(digest).await? {
                new.push((path, digest));
            }
        }
        let (app, folder) = (self.app, self.folder);
        let stored = stream::iter(new).map(|(path, digest)| async move {
            let outcome = store(app, folder, &path, digest).await;
            (path, digest, outcome)
        });
        let stored: Vec<_> = stored.buffered(AT_ONCE).collect().await;
        fault("restore-after-put");
        let mut put = Vec::new();
        for (path, digest, outcome) in stored {
            match outcome? {
                Ok(result) => put.push(result),
                Err(reason) => self.note_missing(&path, digest, &reason),
            }
        }
        let rows: Vec<_> = put.iter().map(|result| (result.file, result.stored_digest)).collect();
        self.app.record.dump().add_files(&rows, self.app.clock.now()).await?;
        for result in put {
            self.report.files += 1;
            self.report.bytes += result.file.size;
            result.unrecorded.recorded();
        }
        fault("restore-between-files");
        Ok(())
    }

    /// Whether an earlier attempt has stored it.
    async fn is_stored(&self, digest: Digest) -> anyhow::Result<bool> {
        let Some(file) = self.app.record.files().stored_file(digest).await? else { return Ok(false) };
        Ok(self.app.store.contains(file.locator()).await?)
    }

    fn note_missing(&mut self, path: &str, digest: Digest, reason: &str) {
        if self.contents.not_exported.contains(&digest) {
            self.report.not_exported += 1;
            (self.listener)(RestoreEvent::Missing { path, reason: "the export could not read it either" });
        } else {
            self.report.missing += 1;
            (self.listener)(RestoreEvent::Missing { path, reason });
        }
    }

    /// Writes the rows of the lines that are not written yet.
    async fn write_rows(&mut self, mut state: RestoreState) -> anyhow::Result<()> {
        let mut reader = self.manifest()?;
        let mut batch: Vec<(RowKind, Columns)> = Vec::new();
        loop {
            let line = reader.next()?;
            let is_end = line.is_none();
            let mut number = self.contents.lines;
            if let Some((at, line)) = line {
                number = at;
                if let Line::Row(kind, mut row) = line
                    && at > state.lines
                {
                    // What only an export has.
                    match kind {
                        RowKind::Product => _ = row.remove("folder"),
                        RowKind::Revision => _ = row.remove("path"),
                        _ => {}
                    }
                    batch.push((kind, row));
                }
            }
            if batch.len() == ROWS || (is_end && !batch.is_empty()) {
                stop::check(self.app, "stop-in-restore")?;
                self.report.rows += batch.len() as u64;
                let first = state.lines + 1;
                state.lines = number;
                let loaded = self.app.record.dump().load(std::mem::take(&mut batch), state, self.app.clock.now()).await;
                loaded.with_context(|| format!("{MANIFEST}: lines {first} to {number}"))?;
                (self.listener)(RestoreEvent::Rows { done: number, total: self.contents.lines });
                fault("restore-between-rows");
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// What follows from the rows, and the index. Each step may be repeated.
    async fn complete(&mut self) -> anyhow::Result<()> {
        let record = &self.app.record;
        record.dump().derive(self.contents.header.is_cut()).await?;
        self.resolve().await?;
        self.report.ended = record.queue().end_without_link(self.app.clock.now()).await?;
        fault("restore-before-index");
        let listener = std::sync::Mutex::new(&mut *self.listener);
        let progress = |done: u64, total: u64| {
            let mut listener = listener.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            listener(RestoreEvent::Index { done, total });
        };
        if !crate::engine::jobs::rebuild(self.app, &progress).await? {
            bail!("another process writes the search index; stop it and restore again");
        }
        fault("restore-before-end");
        record.dump().end_restore().await?;
        self.report.is_done = true;
        Ok(())
    }

    /// Notifications that were recorded and not yet resolved when they were exported.
    async fn resolve(&self) -> anyhow::Result<()> {
        let record = &self.app.record;
        record.intake().resume().await?;
        for _ in 0..RESOLVED_CHECKS {
            if record.monitor().unresolved().await?.count == 0 {
                return Ok(());
            }
            stop::check(self.app, "stop-in-restore")?;
            record.intake().caught_up().await;
        }
        // They wait, as they did in the exported instance.
        tracing::warn!("some notifications could not be resolved; the service tries again every minute");
        Ok(())
    }
}

/// Stores a file of the export. The inner error is why it is not restored.
async fn store(app: &App, folder: &Path, path: &str, digest: Digest) -> anyhow::Result<Result<PutResult, String>> {
    let mut file = match open(&local_path(folder, path)?) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err("there is no such file".to_owned())),
        Err(e) => return Ok(Err(e.to_string())),
    };
    let mut put = app.store.put();
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            file.by_ref().take(1 << 20).read_to_end(&mut bytes).map(|_| (file, bytes))
        });
        let bytes;
        (file, bytes) = match read.await? {
            Ok(read) => read,
            Err(e) => return Ok(Err(e.to_string())),
        };
        if bytes.is_empty() {
            break;
        }
        put.write(&bytes).await?;
    }
    match put.finish_as(digest).await {
        Ok(result) => Ok(Ok(result)),
        Err(StoreError::OtherFile { found }) => Ok(Err(format!("its SHA-256 is {found} and should be {digest}"))),
        Err(e) => Err(e.into()),
    }
}

/// Opens a regular file: opening a named pipe would wait for a writer.
fn open(path: &Path) -> std::io::Result<File> {
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    File::open(path)
}
