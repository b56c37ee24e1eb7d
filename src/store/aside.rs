//! The folder of damaged objects: what was in the place of objects that are being repaired, each under its name, `#` and an id.
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{locator_of, open_file, sync_folder, sync_folder_of};
use super::object::{Body, Object};
use super::{AsideObject, StoreError};

/// Links or copies a file to the folder of damaged objects. Anything else, such as a folder, is moved there.
pub(super) fn keep(path: &Path, folder: &Path) -> io::Result<()> {
    let Some(found) = unless_missing(path.symlink_metadata())? else { return Ok(()) };
    let aside = new_path(path, folder)?;
    let is_linked = found.is_file() && link(path, &aside).is_ok();
    if !is_linked {
        match std::fs::metadata(path) {
            // It may be sound, and other processes read it, so it must never be absent from its place.
            Ok(found) if found.is_file() => copy(path, &aside)?,
            Ok(_) | Err(_) => move_to(path, &aside)?,
        }
    }
    sync_folder(folder)?;
    sync_folder_of(folder)
}

/// Moves an object to the folder of damaged objects. One that does not exist is not an error.
pub(super) fn take_away(path: &Path, folder: &Path) -> io::Result<()> {
    if unless_missing(path.symlink_metadata())?.is_none() {
        return Ok(());
    }
    let aside = new_path(path, folder)?;
    unless_missing(std::fs::rename(path, &aside))?;
    // First where it is, then where it is not any more: a power cut leaves it in one of them.
    sync_folder(folder)?;
    sync_folder_of(folder)?;
    sync_folder_of(path)
}

fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A path in the folder, which is created where it does not exist.
fn new_path(path: &Path, folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(folder.join(format!("{name}#{}", uuid::Uuid::now_v7())))
}

fn link(path: &Path, aside: &Path) -> io::Result<()> {
    fail::fail_point!("no-hard-links", |_| Err(io::ErrorKind::Unsupported.into()));
    std::fs::hard_link(path, aside)
}

/// The system's error where the medium no longer returns the bytes.
const EIO: i32 = 5;

/// Copies a file, where the file system has no hard links.
fn copy(path: &Path, aside: &Path) -> io::Result<()> {
    let mut object = match File::open(path) {
        Ok(object) => object,
        // Another user may be able to read it, so it stays. What replaces it has the same digest.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        Err(e) if e.raw_os_error() == Some(EIO) => return move_to(path, aside),
        Err(e) => return Err(e),
    };
    let mut copy = File::create_new(aside)?;
    let copied = io::copy(&mut object, &mut copy).and_then(|_| copy.sync_all());
    let Err(error) = copied else { return Ok(()) };
    std::fs::remove_file(aside)?;
    // It is not sound, then.
    if error.raw_os_error() == Some(EIO) { move_to(path, aside) } else { Err(error) }
}

fn move_to(path: &Path, aside: &Path) -> io::Result<()> {
    std::fs::rename(path, aside)?;
    sync_folder_of(path)
}

/// What is kept aside.
pub(super) fn found_in(folder: &Path) -> io::Result<Vec<AsideObject>> {
    let Some(entries) = unless_missing(std::fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let locator = name.split_once('#').and_then(|(object, _)| locator_of(object));
        found.extend(locator.map(|locator| AsideObject { locator, id: name.to_owned() }));
    }
    Ok(found)
}

/// Opens something that is kept aside.
pub(super) fn open(folder: &Path, aside: &AsideObject) -> Result<Object, StoreError> {
    let (file, stored_size) = open_file(&folder.join(&aside.id), aside.locator.digest)?;
    Ok(Object { stored_size, body: Body::File(file) })
}

/// Removes something that is kept aside.
pub(super) fn discard(folder: &Path, aside: &AsideObject) -> io::Result<()> {
    let path = folder.join(&aside.id);
    let Some(found) = unless_missing(path.symlink_metadata())? else { return Ok(()) };
    unless_missing(if found.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) })?;
    Ok(())
}
