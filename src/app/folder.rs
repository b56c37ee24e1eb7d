//! The data folder: private, locked by the one process that serves from it, and distinguished from a wrong folder.
use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::engine::store::space_of;

/// Locked by the process that serves; contains the address that it serves on.
const LOCK: &str = "serve.lock";

/// A file that only reserves space for the moment when the disk is full.
pub const RESERVE: &str = "reserve";

/// With less free space the database cannot be opened.
const OPENING_BYTES: u64 = 4 << 20;

/// How often, and after what pause, a lock that is taken is tried again.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The folder of a command contains no archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no archive in {location}: run the command in the folder of acervo.toml, or give the archive's folder with \
     --data-dir or ACERVO_DATA_DIR; `acervo serve` creates a new archive"
)]
pub struct ArchiveNotFound {
    pub location: String,
}

/// The path of a folder setting is something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key} is `{}`, but `{}` {what}; set {key} to a folder ({})",
    folder.display(),
    path.display(),
    if *key == "data_dir" { "--data-dir, ACERVO_DATA_DIR or acervo.toml" } else { "ACERVO_ARCHIVE_URL or acervo.toml" }
)]
pub struct NotAFolder {
    pub key: &'static str,
    pub folder: PathBuf,
    /// The folder itself, or the part of its path that is not a folder.
    pub path: PathBuf,
    what: &'static str,
}

/// Whether a service runs on a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Stopped,
    /// Without an address while it starts.
    Running(Option<SocketAddr>),
}

/// Fails if the path of a folder setting is something else, or is below a file.
pub(super) fn require_folder(key: &'static str, folder: &Path) -> Result<(), NotAFolder> {
    for path in folder.ancestors().filter(|path| !path.as_os_str().is_empty()) {
        let what = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => "is not a folder",
            Err(_) if path.is_symlink() => "is a broken symbolic link",
            Err(_) => continue,
        };
        return Err(NotAFolder { key, folder: folder.to_owned(), path: path.to_owned(), what });
    }
    Ok(())
}

/// Creates the folder if it does not exist, and makes it private: it contains links that work without a password.
pub(super) fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("data_dir: the folder {} cannot be created", folder.display()))?;
    narrow(folder, 0o700)
}

/// Creates an empty private file if it does not exist. SQLite gives the same permissions to the files that it creates next to it.
pub(super) fn create_private_file(path: &Path) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e).with_context(|| format!("the database {} cannot be created", path.display())),
    }
}

/// Removes the permissions of group and others from a file or folder.
#[cfg(unix)]
pub(super) fn narrow(path: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    let found = found.permissions().mode() & 0o777;
    if found & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(|| {
        format!(
            "{} is open to other users of this machine (mode {found:03o}) and contains secret links; make it private with `chmod {mode:o}`",
            path.display()
        )
    })?;
    tracing::warn!(
        path = %path.display(),
        "was open to other users of this machine (mode {found:03o}) and contained secret links; it is private now ({mode:03o})"
    );
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn narrow(_: &Path, _: u32) -> anyhow::Result<()> {
    Ok(())
}

/// Frees the reserved space if there is hardly any other, because deleting needs some space too.
pub(super) fn free_reserve(folder: &Path) {
    if space_of(folder).is_ok_and(|space| space.free < OPENING_BYTES)
        && std::fs::remove_file(folder.join(RESERVE)).is_ok()
    {
        tracing::warn!("the disk is full; the reserved space is used");
    }
}

/// Locks the folder for this process, which serves from it.
pub(super) fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = lock_path(folder);
    let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = options.with_context(|| format!("{} cannot be written", path.display()))?;
    // A command that checks whether a service runs takes the lock for a moment.
    let mut tries_left = LOCK_TRIES;
    let locked = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries_left > 0 => tries_left -= 1,
            outcome => break outcome,
        }
        std::thread::sleep(LOCK_PAUSE);
    };
    match locked {
        Ok(()) => {
            file.set_len(0)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            bail!("another acervo serves from {}; stop it, or set another data_dir (ACERVO_DATA_DIR)", folder.display())
        }
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

/// Writes the address of the service into the lock file.
pub(super) fn publish(mut lock: &File, address: SocketAddr) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(address.to_string().as_bytes())
}

/// Whether a service runs on this folder of this machine, and its address.
pub fn service(folder: &Path) -> anyhow::Result<Service> {
    require_folder("data_dir", folder)?;
    let path = lock_path(folder);
    let cannot = || format!("{} cannot be read", path.display());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Service::Stopped),
        Err(e) => return Err(e).with_context(cannot),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Service::Stopped),
        Err(TryLockError::WouldBlock) => {
            Ok(Service::Running(std::fs::read_to_string(&path).with_context(cannot)?.parse().ok()))
        }
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join(LOCK)
}
