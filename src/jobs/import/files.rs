//! Files that were downloaded before: a folder or a tar with a manifest becomes revisions, in the order of time.
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use futures_util::StreamExt;
use jiff::Timestamp;
use sha2::Digest as _;

use super::manifest::{self, Row};
use super::{Event, Listener, Report, lines};
use crate::app::App;
use crate::domain::{Digest, extension_of, file_name, timestamp};
use crate::jobs::archive::{HEAD, look_inside};
use crate::jobs::retention;
use crate::record::{Fetched, ImportedFile, StoredFile};
use crate::store::Key;

/// Files of one commit.
const BATCH: usize = 16;

/// Files that are read into the archive at once.
const AT_ONCE: usize = 4;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file's content, in the archive or, where it is only tried, not.
#[derive(Clone)]
struct Content {
    digest: Digest,
    key: Option<Key>,
    head: Vec<u8>,
}

/// Where the files are.
enum Source {
    Folder(PathBuf),
    /// Read already: a tar gives its files in its own order.
    Tar(HashMap<String, Result<Content, String>>),
}

/// Imports the files that a manifest tells of, from a folder or a tar.
pub async fn import(
    app: &App,
    path: &Path,
    manifest: &Path,
    dry_run: bool,
    listener: &mut Listener<'_>,
) -> anyhow::Result<Report> {
    let now = app.clock.now();
    let (rows, refused) = tokio::task::block_in_place(|| manifest::read(manifest, now))?;
    let mut report = Report::default();
    for (line, reason) in refused {
        report.refuse(listener, manifest, line, reason);
    }
    let source = open(app, path, &rows, dry_run, listener).await?;
    let total = rows.len() as u64;
    let mut planned = Planned::default();
    let contents = futures_util::stream::iter(rows).map(|row| async {
        let content = content(app, &source, &row.path, dry_run).await;
        (row, content)
    });
    // In their order, some ahead of the others.
    let mut batches = std::pin::pin!(contents.buffered(AT_ONCE).chunks(BATCH));
    let mut done = 0;
    // Put into the archive, and then found to be of a revision whose bytes retention removed: a later row may need them.
    let mut useless = HashMap::new();
    while let Some(batch) = batches.next().await {
        let began = Instant::now();
        done += batch.len() as u64;
        let mut ready = Vec::with_capacity(batch.len());
        for (row, content) in batch {
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
            super::rest(began).await;
        }
        listener(Event::Progress { done, total });
    }
    if !useless.is_empty() {
        retention::discard(app, useless.into_values().collect()).await?;
    }
    Ok(report)
}

async fn open(
    app: &App,
    path: &Path,
    rows: &[Row],
    dry_run: bool,
    listener: &mut Listener<'_>,
) -> anyhow::Result<Source> {
    let kind = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if kind.is_dir() {
        let folder = path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))?;
        return Ok(Source::Folder(folder));
    }
    let opened = lines::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (reader, progress) = opened;
    let wanted: std::collections::HashSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    let mut found = HashMap::new();
    tokio::task::block_in_place(|| {
        let mut tar = tar::Archive::new(reader);
        for entry in tar.entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            listener(Event::Progress { done: progress.done(), total: progress.total });
            if !wanted.contains(name.as_str()) {
                continue;
            }
            let content = if entry.header().entry_type().is_file() {
                take(app, &mut entry, dry_run)
            } else {
                Err(format!("`{name}` is no file in the tar"))
            };
            found.insert(name, content);
        }
        Ok::<_, io::Error>(())
    })
    .with_context(|| format!("{} is no tar that can be read to its end", path.display()))?;
    Ok(Source::Tar(found))
}

async fn content(app: &App, source: &Source, path: &str, dry_run: bool) -> Result<Content, String> {
    let folder = match source {
        Source::Tar(found) => {
            return found.get(path).cloned().unwrap_or_else(|| Err(format!("the tar has no `{path}`")));
        }
        Source::Folder(folder) => folder.clone(),
    };
    let (app, path) = (app.clone(), path.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let cannot = |e: io::Error| format!("`{path}` cannot be read: {e}");
        let file = folder.join(&path).canonicalize().map_err(cannot)?;
        // A link may lead anywhere.
        if !file.starts_with(&folder) || !file.is_file() {
            return Err(format!("`{path}` is no file under the given folder"));
        }
        take(&app, &mut BufReader::new(File::open(file).map_err(cannot)?), dry_run)
    });
    read.await.map_err(|_| "reading was interrupted".to_owned())?
}

/// Reads a file into the archive, or only its digest. Blocks.
fn take(app: &App, reader: &mut dyn Read, dry_run: bool) -> Result<Content, String> {
    let runtime = tokio::runtime::Handle::current();
    let mut put = app.store.put();
    let mut hasher = sha2::Sha256::new();
    let mut head = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut size = 0u64;
    loop {
        let n = reader.read(&mut piece).map_err(|e| format!("it cannot be read: {e}"))?;
        if n == 0 {
            break;
        }
        let bytes = &piece[..n];
        size += n as u64;
        if size > app.settings.fetch.max_bytes {
            return Err(format!("the file is larger than {} bytes (fetch.max_bytes)", app.settings.fetch.max_bytes));
        }
        head.extend_from_slice(&bytes[..n.min(HEAD - head.len())]);
        if dry_run {
            hasher.update(bytes);
        } else {
            runtime.block_on(put.write(bytes)).map_err(|e| e.to_string())?;
        }
    }
    if size == 0 {
        return Err("the file is empty".to_owned());
    }
    if dry_run {
        return Ok(Content { digest: Digest(hasher.finalize().into()), key: None, head });
    }
    app.disk.make_sure(0).map_err(|e| e.to_string())?;
    let key = runtime.block_on(put.finish()).map_err(|e| e.to_string())?.key;
    Ok(Content { digest: key.digest, key: Some(key), head })
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
        let name = file_name(&row.path).unwrap_or_else(|| "file".to_owned());
        let extension = extension_of(&name);
        let looked = look_inside(app, key, extension.as_deref(), &content.head).await;
        let inside = looked.with_context(|| format!("`{}` was archived and cannot be read", row.path))?;
        let fetched = Fetched {
            file: StoredFile {
                digest: key.digest,
                size: key.size,
                stored_size: key.stored_size,
                encoding: key.encoding.as_str().to_owned(),
            },
            content_type: mime_guess::from_path(&name).first_raw().map(str::to_owned),
            extension,
            file_name: name,
            warnings: inside.warnings(),
            members: inside.members,
            list_later: inside.list_later,
            validator: None,
            again_at: None,
        };
        rows.push((row.line, fetched.file.clone()));
        batch.push(ImportedFile { notification: row.notification, fetched });
    }
    let is_there = |fetched: &Fetched| {
        let (store, file) = (app.store.clone(), fetched.file.clone());
        async move {
            match file.encoding.parse() {
                Ok(encoding) => store.has(file.digest, encoding).await,
                Err(_) => false,
            }
        }
    };
    let outcomes = app.record.import_files(batch, app.clock.now(), is_there).await?;
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
    let unused = app.record.unused(&digests).await?;
    useless.extend(not_made.into_iter().filter(|(digest, _)| unused.contains(digest)));
    Ok(())
}

/// What rows before would have made, where nothing is made.
#[derive(Default)]
struct Planned(HashMap<(String, String, String), (Timestamp, Digest)>);

impl Planned {
    async fn is_new(&mut self, app: &App, row: &Row, digest: Digest) -> anyhow::Result<bool> {
        let Ok(announcement) = &row.notification.notice.outcome else { return Ok(false) };
        let at = row.notification.received_at;
        let recorded = app.record.latest_at(announcement, at).await?;
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
