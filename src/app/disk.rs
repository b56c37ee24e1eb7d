//! The free space of the disks, and what it is enough for.
use std::path::{Path, PathBuf};

use crate::config;

/// The share of the disk that must stay free where nothing is configured: one part in so many.
const FETCH_PART: u64 = 20;
const RECEIVE_PART: u64 = 100;

/// The most that must stay free where nothing is configured.
const FETCH_FLOOR_MAX: u64 = 1 << 30;
const RECEIVE_FLOOR_MAX: u64 = 128 << 20;

/// The disks that the service writes to.
#[derive(Clone, Debug)]
pub struct Disk {
    archive: PathBuf,
    /// The folder of the database; `None` where it is on a server of its own.
    database: Option<PathBuf>,
    settings: config::Disk,
}

/// A disk is too full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk has {free} bytes free, and {floor} must stay free ({key}): free some space, and the service continues by itself"
)]
pub struct DiskFull {
    pub free: u64,
    pub floor: u64,
    pub key: &'static str,
}

struct Space {
    free: u64,
    total: u64,
}

impl Disk {
    pub(super) fn new(archive: &Path, database: Option<&Path>, settings: &config::Disk) -> Self {
        Self { archive: archive.to_owned(), database: database.map(Path::to_owned), settings: settings.clone() }
    }

    /// Whether notifications can be recorded. Reading and deleting never depend on this.
    pub fn may_receive(&self) -> Result<(), DiskFull> {
        match &self.database {
            Some(folder) => self.receive(folder, 0),
            None => Ok(()),
        }
    }

    /// Whether files can be fetched.
    pub fn may_fetch(&self) -> Result<(), DiskFull> {
        self.folders().try_for_each(|folder| self.fetch(folder, 0))
    }

    /// Whether so many bytes of temporary use leave space for files: what is unpacked for a reader must not stop archiving.
    pub fn may_spool(&self, scratch: &Path, coming: u64) -> Result<(), DiskFull> {
        self.fetch(scratch, coming)?;
        self.folders().try_for_each(|folder| self.fetch(folder, coming))
    }

    fn fetch(&self, folder: &Path, coming: u64) -> Result<(), DiskFull> {
        let Some(space) = space(folder) else { return Ok(()) };
        let floor = self.settings.fetch_floor.unwrap_or_else(|| (space.total / FETCH_PART).min(FETCH_FLOOR_MAX));
        if space.free.saturating_sub(coming) < floor {
            return Err(DiskFull { free: space.free, floor, key: "disk.fetch_floor" });
        }
        Ok(())
    }

    /// Whether a file of so many bytes that is being fetched leaves space for notifications.
    pub fn make_sure(&self, coming: u64) -> Result<(), DiskFull> {
        self.folders().try_for_each(|folder| self.receive(folder, coming))
    }

    fn receive(&self, folder: &Path, coming: u64) -> Result<(), DiskFull> {
        let Some(space) = space(folder) else { return Ok(()) };
        let floor = self.settings.receive_floor.unwrap_or_else(|| (space.total / RECEIVE_PART).min(RECEIVE_FLOOR_MAX));
        if space.free.saturating_sub(coming) < floor {
            return Err(DiskFull { free: space.free, floor, key: "disk.receive_floor" });
        }
        Ok(())
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.archive.as_path()).chain(self.database.as_deref())
    }
}

/// `None` where the system does not say; then a failed write will show it.
fn space(folder: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
