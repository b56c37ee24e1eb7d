//! The export. First all rows, as they are at one moment, go into a new manifest; then the files that it names are added; then the manifest
//! gets its name.
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::folders::Folders;
use super::manifest::{self, Header, Line, MANIFEST, MissingFile, Reader, WORK, digest, header_of, is_null, text};
use super::rows::Rows;
use super::select::Selection;
use super::sums::{self, SUMS};
use crate::app::App;
use crate::domain::{Digest, Hasher};
use crate::engine::jobs::{fault, stop};
use crate::engine::record::{Cursor, RowKind};
use crate::engine::store::StoreError;
use crate::query::{PublicationRequest, Queries};

/// How often a file is looked up again that was stored in another way between two steps.
const TRIES: u32 = 3;

pub struct ExportRequest {
    pub folder: PathBuf,
    /// Which publications, and the same as options for the manifest; `None` for everything.
    pub filter: Option<(PublicationRequest, Value)>,
    /// Whether links that have not expired are exported.
    pub links: bool,
}

/// The outcome of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    pub added: u64,
    pub bytes_added: u64,
    pub present: u64,
    /// Files that had other bytes.
    pub rewritten: u64,
    /// Revisions whose files retention removed.
    pub removed: u64,
    /// Files that could not be read.
    pub failed: u64,
    pub manifest_changed: bool,
}

/// What happens during an export.
pub enum Event<'a> {
    Progress {
        done: u64,
        total: u64,
    },
    /// A file that is not in the export, and why.
    Left {
        path: &'a str,
        reason: &'a str,
    },
}

pub async fn export(
    app: &App,
    request: ExportRequest,
    listener: &mut (dyn FnMut(Event<'_>) + Send),
) -> anyhow::Result<ExportReport> {
    let header = Header::new(request.filter.as_ref().map(|(_, options)| options.clone()), request.links);
    let folder = Folder::open(&request.folder, &header)?;
    let mut run = Run { app, folder, header, listener, report: ExportReport::default(), known: sums::Known::default() };
    run.known = sums::Known::load(&run.folder.path(SUMS))?;
    let (mut manifest, total) = run.write_rows(request.filter.map(|(search, _)| search)).await?;
    fault("export-after-rows");
    let sums = run.write_files(&mut manifest, total).await?;
    run.publish(manifest, sums)?;
    Ok(run.report)
}

/// The folder of an export, locked.
struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(root: &Path, header: &Header) -> anyhow::Result<Self> {
        let shown = root.display();
        std::fs::create_dir_all(root).with_context(|| format!("{shown} cannot be created"))?;
        let manifest = root.join(MANIFEST);
        if manifest.exists() {
            let before = header_of(&manifest)?;
            if before.filter != header.filter || before.links != header.links {
                bail!(
                    "{shown} has an export with other options ({}); give the same options, or another folder",
                    described(&before)
                );
            }
        } else if !root.join(WORK).exists()
            && root.read_dir().with_context(|| format!("{shown} cannot be read"))?.next().is_some()
        {
            bail!("{shown} is not empty and has no export; give an empty or a new folder");
        }
        if header.links {
            crate::app::make_private(root)?;
        }
        let work = root.join(WORK);
        std::fs::create_dir_all(&work).with_context(|| format!("{} cannot be created", work.display()))?;
        let path = work.join("lock");
        let lock = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another export writes to {shown}; wait for its end"),
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{} cannot be locked", path.display())),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn work(&self, name: &str) -> PathBuf {
        self.root.join(WORK).join(name)
    }

    /// Gives a complete file its name. On return it survives a power cut.
    fn place(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let placed = std::fs::rename(from, to).and_then(|()| sync_folder_of(to));
        placed.with_context(|| format!("{} cannot be written", to.display()))
    }
}

fn described(header: &Header) -> String {
    let links = if header.links { ", with links" } else { "" };
    header.filter.as_ref().map_or_else(|| "everything".to_owned(), Value::to_string) + links
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Creates the folders of a path below a root that exists, each durably.
fn create_folders(root: &Path, path: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|at| *at != root && !at.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        std::fs::create_dir(folder)?;
        sync_folder_of(folder)?;
    }
    Ok(())
}

struct Run<'a> {
    app: &'a App,
    folder: Folder,
    header: Header,
    listener: &'a mut (dyn FnMut(Event<'_>) + Send),
    report: ExportReport,
    known: sums::Known,
}

impl Run<'_> {
    /// Writes the rows to a new manifest. Returns it with the number of files that it names.
    async fn write_rows(&mut self, filter: Option<PublicationRequest>) -> anyhow::Result<(manifest::Writer, u64)> {
        let found = match filter {
            Some(request) => Some((request.as_of, publications(self.app, request).await?)),
            None => None,
        };
        let new = self.folder.work("rows");
        let mut rows = Rows {
            folders: Folders::with_earlier(&[&self.folder.path(MANIFEST), &self.folder.work(MANIFEST)]),
            live: HashSet::new(),
            files: 0,
            links: self.header.links,
        };
        let mut writer = manifest::Writer::create(&new, &self.header)?;
        let snapshot = self.app.record.dump().snapshot().await?;
        let mut selection = match found {
            Some((as_of, found)) => Some(Selection::of(found, as_of, &snapshot).await?),
            None => None,
        };
        for kind in RowKind::ALL.iter().copied() {
            let mut cursor = Cursor::default();
            loop {
                stop::check(self.app, "stop-in-export")?;
                let page = snapshot.next(kind, &mut cursor).await?;
                if page.is_empty() {
                    break;
                }
                for mut row in page {
                    if let Some(selection) = &mut selection
                        && !selection.take(kind, &mut row)?
                    {
                        continue;
                    }
                    if let Some((path, reason)) = rows.prepare(kind, &mut row)? {
                        self.report.removed += 1;
                        (self.listener)(Event::Left { path: &path, reason });
                    }
                    writer.row(kind, &row)?;
                }
            }
        }
        snapshot.close().await?;
        writer.flush()?;
        // From here on it says which folders the products have, also after a crash.
        self.folder.place(&new, &self.folder.work(MANIFEST))?;
        Ok((writer, rows.files))
    }

    /// Adds the files that the manifest names. Those that cannot be read are added to the manifest.
    async fn write_files(&mut self, manifest: &mut manifest::Writer, total: u64) -> anyhow::Result<sums::Writer> {
        let mut sums = sums::Writer::create(&self.folder.work(SUMS))?;
        let rows = manifest.lines;
        let mut reader = Reader::open(&self.folder.work(MANIFEST))?;
        let mut done = 0;
        while let Some((number, line)) = reader.next()? {
            if let Line::Row(RowKind::Revision, row) = line
                && !is_null(&row, "path")
            {
                stop::check(self.app, "stop-in-export")?;
                let (path, digest) = (text(&row, "path")?, digest(&row)?);
                match self.file(path, digest).await? {
                    Ok(()) => sums.add(digest, path)?,
                    Err(reason) => {
                        self.report.failed += 1;
                        (self.listener)(Event::Left { path, reason: &reason });
                        manifest.missing(&MissingFile { path: path.to_owned(), digest: digest.to_string(), reason })?;
                    }
                }
                done += 1;
                (self.listener)(Event::Progress { done, total });
                fault("export-between-files");
            }
            if number == rows {
                break;
            }
        }
        Ok(sums)
    }

    /// Adds one file, unless it is there. The inner error is why it cannot be read from the archive.
    async fn file(&mut self, path: &str, digest: Digest) -> anyhow::Result<Result<(), String>> {
        let target = self.folder.path(path);
        let exists = target.symlink_metadata().is_ok();
        if exists && self.is_present(&target, path, digest).await? {
            self.report.present += 1;
            return Ok(Ok(()));
        }
        let new = self.folder.work("file");
        let size = match self.copy(digest, &new).await? {
            Ok(size) => size,
            Err(reason) => return Ok(Err(reason)),
        };
        fault("export-before-rename");
        create_folders(&self.folder.root, &target)
            .with_context(|| format!("{} cannot be created", target.display()))?;
        self.folder.place(&new, &target)?;
        self.report.bytes_added += size;
        if exists {
            self.report.rewritten += 1;
        } else {
            self.report.added += 1;
        }
        Ok(Ok(()))
    }

    /// Whether a file of an earlier export has these bytes. One that an interrupted export left is read.
    async fn is_present(&self, target: &Path, path: &str, digest: Digest) -> anyhow::Result<bool> {
        let cannot = || format!("{} cannot be read", target.display());
        let found = target.symlink_metadata().with_context(cannot)?;
        if !found.is_file() {
            bail!("{} is not a file; remove it", target.display());
        }
        if self.known.get(path) == Some(digest) {
            let stored = self.app.record.files().stored_file(digest).await?;
            return Ok(stored.is_none_or(|stored| stored.size == found.len()));
        }
        let target = target.to_owned();
        let read = tokio::task::spawn_blocking(move || digest_of(&target)).await?;
        Ok(read.with_context(cannot)? == digest)
    }

    /// Reads a file of the archive into a new file. The inner error is why it cannot be read.
    async fn copy(&self, digest: Digest, to: &Path) -> anyhow::Result<Result<u64, String>> {
        let cannot = || format!("{} cannot be written", to.display());
        for try_number in 1.. {
            let Some(stored) = self.app.record.files().stored_file(digest).await? else {
                return Ok(Err("retention removed it while the export ran".to_owned()));
            };
            let mut file = File::create(to).with_context(cannot)?;
            let outcome = async {
                let mut bytes = self.app.store.read(stored, None).await?;
                while let Some(piece) = bytes.next().await {
                    file.write_all(&piece?).map_err(Failed::Write)?;
                }
                file.sync_all().map_err(Failed::Write)
            };
            match outcome.await {
                Ok(()) => return Ok(Ok(stored.size)),
                Err(Failed::Write(e)) => return Err(e).with_context(cannot),
                Err(Failed::Read(StoreError::Interrupted)) => return Err(StoreError::Interrupted.into()),
                // It may have been stored in another way, or removed, since it was looked up.
                Err(Failed::Read(e)) if e.damaged().is_some() && try_number < TRIES => {}
                Err(Failed::Read(e)) => {
                    if e.damaged().is_some() {
                        let now = self.app.clock.now();
                        self.app.record.files().mark_damaged(&stored, e.breakage(), now).await?;
                    }
                    return Ok(Err(e.to_string()));
                }
            }
        }
        bail!("a file could not be read")
    }

    /// Gives the manifest and the sums their names, if anything changed.
    fn publish(&mut self, manifest: manifest::Writer, mut sums: sums::Writer) -> anyhow::Result<()> {
        let digest = manifest.finish()?;
        sums.add(digest, MANIFEST)?;
        sums.finish()?;
        fault("export-before-manifest");
        if self.known.get(MANIFEST) != Some(digest) || !self.folder.path(MANIFEST).exists() {
            self.folder.place(&self.folder.work(MANIFEST), &self.folder.path(MANIFEST))?;
            fault("export-before-sums");
            self.folder.place(&self.folder.work(SUMS), &self.folder.path(SUMS))?;
            self.report.manifest_changed = true;
        }
        let work = self.folder.path(WORK);
        std::fs::remove_dir_all(&work).with_context(|| format!("{} cannot be removed", work.display()))
    }
}

enum Failed {
    Read(StoreError),
    Write(std::io::Error),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Read(error)
    }
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 256 << 10]);
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The publications that a search finds.
async fn publications(app: &App, request: PublicationRequest) -> anyhow::Result<HashSet<uuid::Uuid>> {
    // Without a server nothing else updates the index.
    crate::engine::jobs::catch_up(app).await?;
    let queries = Queries::new(app.clone());
    let mut pages = std::pin::pin!(queries.all_publications(request)?);
    let mut found = HashSet::new();
    while let Some(page) = pages.try_next().await? {
        found.extend(page.iter().map(|row| row.publication.id.0));
    }
    Ok(found)
}
