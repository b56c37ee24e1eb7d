//! The files of a query in a folder: product / period / published name. What is there already stays, so a run that was interrupted is
//! continued by the next.
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use super::files::{FileLine, FileList, ListedFile};
use crate::domain::{Digest, Hasher};
use crate::query::{FileError, Queries, QueryError};

/// A folder for work in progress.
pub(super) const WORK: &str = ".acervo";

/// The outcome of writing files to a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderReport {
    pub added: u64,
    pub bytes_added: u64,
    /// Files that were there with the same bytes.
    pub present: u64,
    /// Files that had other bytes and were replaced.
    pub replaced: u64,
    /// Paths that have something else, which stays.
    pub other: u64,
    /// Files that could not be read.
    pub failed: u64,
    /// Publications without a file that will not get one by itself.
    pub missing: u64,
    /// Publications whose files are still to come.
    pub awaited: u64,
}

impl FolderReport {
    /// Whether the folder has all files that the archive should have.
    pub fn is_complete(&self) -> bool {
        self.other == 0 && self.failed == 0 && self.missing == 0
    }
}

/// The bytes of a file. They are those of its SHA-256, or an error follows.
pub type SourceBytes = BoxStream<'static, Result<Bytes, NotRead>>;

/// Why a file is not read.
#[derive(Debug)]
pub enum NotRead {
    /// For a reason of its own: others may be read.
    File(String),
    /// No file can be read any more.
    Stop(anyhow::Error),
}

/// Where the bytes of listed files come from.
pub trait FileSource: Sync {
    fn open<'a>(&'a self, file: &'a ListedFile) -> BoxFuture<'a, Result<SourceBytes, NotRead>>;
}

impl FileSource for Queries {
    fn open<'a>(&'a self, file: &'a ListedFile) -> BoxFuture<'a, Result<SourceBytes, NotRead>> {
        Box::pin(async move {
            let bytes = file.open(self).await.map_err(|e| NotRead::File(e.to_string()))?;
            let failed = |e| match e {
                FileError::Interrupted => NotRead::Stop(FileError::Interrupted.into()),
                e => NotRead::File(QueryError::from(e).to_string()),
            };
            Ok(bytes.map_err(failed).boxed())
        })
    }
}

/// What happens meanwhile.
pub enum FolderEvent<'a> {
    Progress {
        done: u64,
        total: u64,
    },
    /// A file that is not written, and why.
    Left {
        path: &'a str,
        reason: &'a str,
    },
}

/// Writes the listed files. `force`: replace files that have other bytes.
pub async fn write_folder(
    list: &FileList,
    source: &dyn FileSource,
    folder: &Path,
    force: bool,
    listener: &mut (dyn FnMut(FolderEvent<'_>) + Send),
) -> anyhow::Result<FolderReport> {
    let folder = Folder::open(folder)?;
    let mut report = FolderReport::default();
    let (mut lines, mut done) = (list.lines(), 0);
    while let Some(line) = lines.next().await? {
        match line {
            FileLine::Missing { name, reason, is_awaited } => {
                *(if is_awaited { &mut report.awaited } else { &mut report.missing }) += 1;
                listener(FolderEvent::Left { path: &name, reason: &reason });
            }
            FileLine::File(file) => {
                if let Err(reason) = folder.write(&file, source, force, &mut report).await? {
                    listener(FolderEvent::Left { path: &file.path, reason: &reason });
                }
                done += 1;
                listener(FolderEvent::Progress { done, total: list.files });
            }
        }
    }
    folder.close()?;
    Ok(report)
}

/// A folder that only this process writes to.
struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(root: &Path) -> anyhow::Result<Self> {
        let work = root.join(WORK);
        fs::create_dir_all(&work).with_context(|| format!("`{}` cannot be created", work.display()))?;
        let path = work.join("lock");
        let lock = File::create(&path).with_context(|| format!("`{}` cannot be written", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another command writes to `{}`; wait for its end", root.display()),
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("`{}` cannot be locked", path.display())),
        }
    }

    fn close(self) -> anyhow::Result<()> {
        let work = self.root.join(WORK);
        fs::remove_dir_all(&work).with_context(|| format!("`{}` cannot be removed", work.display()))
    }

    /// Writes one file, unless it is there. The inner error is why it is not written.
    async fn write(
        &self,
        file: &ListedFile,
        source: &dyn FileSource,
        force: bool,
        report: &mut FolderReport,
    ) -> anyhow::Result<Result<(), String>> {
        let target = self.root.join(&file.path);
        let found = found(&target, file).with_context(|| format!("`{}` cannot be read", target.display()))?;
        match found {
            Found::Same => {
                report.present += 1;
                return Ok(Ok(()));
            }
            Found::OtherBytes if !force => {
                report.other += 1;
                return Ok(Err("a file with other bytes exists; --force replaces it".to_owned()));
            }
            Found::NotAFile => {
                report.other += 1;
                return Ok(Err("something that is not a file has this path; remove it".to_owned()));
            }
            Found::Nothing | Found::OtherBytes => {}
        }
        let new = self.root.join(WORK).join("file");
        match copy(file, source, &new).await {
            Ok(()) => {}
            Err(NotRead::File(reason)) => {
                report.failed += 1;
                return Ok(Err(reason));
            }
            Err(NotRead::Stop(e)) => return Err(e),
        }
        place(&new, &target).with_context(|| format!("`{}` cannot be written", target.display()))?;
        report.bytes_added += file.size;
        *(if found == Found::OtherBytes { &mut report.replaced } else { &mut report.added }) += 1;
        Ok(Ok(()))
    }
}

/// What a path has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Same,
    OtherBytes,
    NotAFile,
}

fn found(target: &Path, file: &ListedFile) -> io::Result<Found> {
    match target.symlink_metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(e) => Err(e),
        Ok(found) if !found.is_file() => Ok(Found::NotAFile),
        Ok(found) if found.len() == file.size && digest_of(target)? == file.digest => Ok(Found::Same),
        Ok(_) => Ok(Found::OtherBytes),
    }
}

fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hasher, mut buffer) = (File::open(path)?, Hasher::default(), vec![0; 256 << 10]);
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Reads a file into a new one.
async fn copy(file: &ListedFile, source: &dyn FileSource, to: &Path) -> Result<(), NotRead> {
    let cannot =
        |e: io::Error| NotRead::Stop(anyhow::Error::new(e).context(format!("`{}` cannot be written", to.display())));
    let mut new = File::create(to).map_err(cannot)?;
    let mut bytes = source.open(file).await?;
    while let Some(piece) = bytes.try_next().await? {
        new.write_all(&piece).map_err(cannot)?;
    }
    new.sync_all().map_err(cannot)
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(from, to)
}
