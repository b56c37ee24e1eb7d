//! Files in the folder of a store: their names, what is opened as an object, and lists.
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::StoreError;
use super::object::ObjectEntry;
use crate::domain::{Digest, Encoding, Locator};

/// The folders of objects.
pub(super) fn folders(root: &Path) -> impl Iterator<Item = PathBuf> {
    (0..=u8::MAX).map(move |first| root.join(format!("{first:02x}")))
}

/// Opens a regular file and nothing else: opening a named pipe would wait for a writer without limit.
pub(super) fn open_file(path: &Path, digest: Digest) -> Result<(File, u64), StoreError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Missing(digest)),
        // Some special files cannot be opened at all.
        Err(e) => return Err(explained(e, path, digest)),
    };
    let metadata = file.metadata()?;
    require_file(&metadata, digest)?;
    Ok((file, metadata.len()))
}

/// The error of an operation on the path of an object; [`StoreError::NotAFile`] where that is the reason.
pub(super) fn explained(error: io::Error, path: &Path, digest: Digest) -> StoreError {
    let found = std::fs::metadata(path).map(|found| require_file(&found, digest));
    match found {
        Ok(Err(not_a_file)) => not_a_file,
        Ok(Ok(())) | Err(_) => error.into(),
    }
}

pub(super) fn require_file(found: &std::fs::Metadata, digest: Digest) -> Result<(), StoreError> {
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_dir() { "a folder" } else { special_kind(found) };
    Err(StoreError::NotAFile { digest, what })
}

#[cfg(unix)]
fn special_kind(found: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match found.file_type() {
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special_kind(_: &std::fs::Metadata) -> &'static str {
    "something that is not a file"
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// The objects of one folder. Files with other names are not objects.
pub(super) fn list_folder(folder: &Path) -> Result<Vec<ObjectEntry>, StoreError> {
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Some(locator) = entry.file_name().to_str().and_then(locator_of) else { continue };
        match std::fs::metadata(entry.path()) {
            Ok(found) if found.is_file() => objects.push(ObjectEntry { locator, stored_size: found.len() }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(objects)
}

/// The name of an object's file.
pub(super) fn name_of(digest: Digest, encoding: Encoding) -> String {
    match encoding {
        Encoding::Plain => digest.to_string(),
        Encoding::Zstd => format!("{digest}.zst"),
        Encoding::Dense => format!("{digest}.acvd"),
    }
}

pub(super) fn locator_of(name: &str) -> Option<Locator> {
    let (stem, encoding) = match name.split_once('.') {
        Some((stem, "zst")) => (stem, Encoding::Zstd),
        Some((stem, "acvd")) => (stem, Encoding::Dense),
        Some(_) => return None,
        None => (name, Encoding::Plain),
    };
    let digest: Digest = stem.parse().ok()?;
    (name_of(digest, encoding) == name).then_some(Locator { digest, encoding })
}

/// The present time by the clock from which the files of a folder have their times: that of another machine, where the folder is mounted
/// from one.
pub(super) fn clock_of(folder: &Path) -> SystemTime {
    let probe = folder.join(format!("clock-{}", uuid::Uuid::now_v7()));
    let made = File::create_new(&probe).and_then(|file| file.metadata()?.modified());
    let _ = std::fs::remove_file(&probe);
    // A full disk takes no file.
    made.unwrap_or_else(|_| SystemTime::now())
}

pub(super) fn remove_older(
    folder: &Path,
    now: SystemTime,
    min_age: Duration,
    is_upload: impl Fn(&str) -> bool,
) -> io::Result<u64> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !is_upload(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let removed_one = match entry.metadata().and_then(|found| found.modified()) {
            Ok(began) if now.duration_since(began).is_ok_and(|age| age >= min_age) => {
                std::fs::remove_file(entry.path())
            }
            Ok(_) => continue,
            Err(e) => Err(e),
        };
        match removed_one {
            Ok(()) => removed += 1,
            // It was finished or aborted at this moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}
