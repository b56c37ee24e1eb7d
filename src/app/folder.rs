//! The data folder: private, locked by the one process that serves from it, and distinguished from a wrong folder.
use std::fs::{File, TryLockError};
use std::io::{Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::engine::store::space_of;

/// Locked by the process that serves; contains the address that it serves on, and a token for commands on this machine.
const LOCK: &str = "serve.lock";

/// A file that only reserves space for the moment when the disk is full.
pub const RESERVE: &str = "reserve";

/// A file that says that the folder is a backup, from its first moment on.
pub const BACKUP_MARK: &str = "acervo-backup";

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

/// Fails in a backup that was interrupted before it had a database: a new archive there would look like the one that was to be saved.
pub(super) fn require_complete(folder: &Path, database: &Path) -> anyhow::Result<()> {
    if folder.join(BACKUP_MARK).exists() && !database.exists() {
        bail!("{} is a backup that is not complete; run `acervo backup` again", folder.display());
    }
    Ok(())
}

/// Creates the folder if it does not exist, and makes it private with everything in it: it contains links that work without a
/// password.
pub fn make_private(folder: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
    narrow(folder, 0o700)?;
    narrow_below(folder)
}

/// The same for the folder of an archive, which contains published files and no links: where its file system refuses, as a network
/// share may, that is only logged.
pub(super) fn make_archive_private(folder: &Path) {
    if !folder.exists() {
        return;
    }
    if let Err(e) = make_private(folder) {
        tracing::warn!("{e:#}");
    }
}

/// Entries of a folder that a message names.
#[cfg(unix)]
const NAMED_MAX: usize = 5;

/// Narrows what others could read in a private folder. An entry that is private already is not searched: an archive may have millions
/// of files, and nobody reaches those below it.
#[cfg(unix)]
fn narrow_below(folder: &Path) -> anyhow::Result<()> {
    let open = open_entries(folder)?;
    if open.is_empty() {
        return Ok(());
    }
    narrow_tree(folder)?;
    let names = open.iter().take(NAMED_MAX).filter_map(|(path, _)| path.file_name()?.to_str());
    // An open folder has been reported; below a private one nobody reached them.
    tracing::info!(
        path = %folder.display(),
        entries = names.collect::<Vec<_>>().join(", "),
        count = open.len(),
        "entries of this folder were open to other users of this machine; they are private now, with everything in them"
    );
    Ok(())
}

#[cfg(not(unix))]
fn narrow_below(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn narrow_tree(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for (path, mode) in open_entries(folder)? {
        match std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)) {
            // A service or a command has deleted it meanwhile.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            set => set.with_context(|| is_open(&path, mode))?,
        }
        if mode == 0o700 {
            narrow_tree(&path)?;
        }
    }
    Ok(())
}

/// The files and folders in a folder that are open to others, with the permissions that they are to have. What symbolic links point to
/// is not ours.
#[cfg(unix)]
fn open_entries(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u32)>> {
    use std::os::unix::fs::PermissionsExt;
    let cannot = || format!("{} cannot be read", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        // What is gone meanwhile needs nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.permissions().mode() & 0o077 != 0 && (metadata.is_dir() || metadata.is_file()) {
            found.push((entry.path(), if metadata.is_dir() { 0o700 } else { 0o600 }));
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn is_open(path: &Path, mode: u32) -> String {
    let path = path.display();
    format!("{path} is open to other users of this machine; make it private with `chmod {mode:o}`")
}

/// Makes SQLite's files private. A log that is there already keeps its permissions otherwise.
pub(super) fn make_database_private(path: &Path) -> anyhow::Result<()> {
    create_private_file(path)?;
    narrow(path, 0o600)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        narrow(Path::new(&beside), 0o600)?;
    }
    Ok(())
}

/// Creates an empty private file if it does not exist. SQLite gives the same permissions to the files that it creates next to it.
fn create_private_file(path: &Path) -> anyhow::Result<()> {
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
fn narrow(path: &Path, mode: u32) -> anyhow::Result<()> {
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
fn narrow(_: &Path, _: u32) -> anyhow::Result<()> {
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
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).with_context(|| format!("{} cannot be written", path.display()))?;
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

/// Writes the address of the service into the lock file, and the token with which commands on this machine reach it.
pub(super) fn publish(mut lock: &File, address: SocketAddr, control_token: &str) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("{address}\n{control_token}\n").as_bytes())
}

/// The token of the service that runs on a folder.
pub fn control_token(folder: &Path) -> Option<String> {
    std::fs::read_to_string(lock_path(folder)).ok()?.lines().nth(1).map(str::to_owned)
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
            let text = std::fs::read_to_string(&path).with_context(cannot)?;
            Ok(Service::Running(text.lines().next().and_then(|address| address.parse().ok())))
        }
        Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join(LOCK)
}
