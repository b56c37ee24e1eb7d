//! The folder of damaged objects: what was in the place of objects that are being repaired, each under its name, `#` and an id.
use std::io;
use std::path::{Path, PathBuf};

use super::local::{locator_of, sync_folder, sync_folder_of};
use crate::domain::Digest;

/// Links a file to the folder of damaged objects, and moves there what is not a file.
pub(super) fn keep(path: &Path, folder: &Path) -> io::Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(e) => return Err(e),
    };
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!("{name}#{}", uuid::Uuid::now_v7()));
    // A file system without hard links moves the file too: then the object is missing until it is repaired.
    let is_linked = found.is_file() && std::fs::hard_link(path, &aside).is_ok();
    if !is_linked {
        std::fs::rename(path, &aside)?;
        sync_folder_of(path)?;
    }
    sync_folder(folder)?;
    sync_folder_of(folder)
}

/// What is kept aside, with the digests of its files.
pub(super) fn found_in(folder: &Path) -> io::Result<Vec<(Digest, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let object = name.to_str().and_then(|name| name.split_once('#')).and_then(|(object, _)| locator_of(object));
        found.extend(object.map(|locator| (locator.digest, entry.path())));
    }
    Ok(found)
}

/// Removes what is kept aside of a file.
pub(super) fn discard(folder: &Path, file: Digest) -> io::Result<()> {
    for (_, path) in found_in(folder)?.into_iter().filter(|(digest, _)| *digest == file) {
        if path.symlink_metadata()?.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
