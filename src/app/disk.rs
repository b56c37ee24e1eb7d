//! How much room the disks have, and what there is still room for.
use std::path::{Path, PathBuf};

use crate::config;

/// Of the whole disk, what must stay free where nothing is set.
const FETCH_PART: u64 = 20;
const RECEIVE_PART: u64 = 100;

/// The most that must stay free where nothing is set.
const FETCH_FLOOR_MAX: u64 = 1 << 30;
const RECEIVE_FLOOR_MAX: u64 = 128 << 20;

/// The disks that the service writes to.
#[derive(Clone, Debug)]
pub struct Disk {
    archive: PathBuf,
    /// Where the database lies; `None` where it is on a server of its own.
    database: Option<PathBuf>,
    settings: config::Disk,
}

/// There is no room for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk has {free} bytes free and {floor} must stay so: make room, and it goes on by itself ({key})")]
pub struct NoRoom {
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

    /// Whether notifications can be recorded. Reading, purging and deleting are never asked.
    pub fn may_receive(&self) -> Result<(), NoRoom> {
        match &self.database {
            Some(folder) => self.receive(folder, 0),
            None => Ok(()),
        }
    }

    /// Whether files are to be fetched.
    pub fn may_fetch(&self) -> Result<(), NoRoom> {
        self.folders().try_for_each(|folder| self.fetch(folder, 0))
    }

    /// Whether so many bytes of passing use leave room for files: what is unpacked for a reader must not keep the archive from
    /// its work.
    pub fn may_spool(&self, scratch: &Path, coming: u64) -> Result<(), NoRoom> {
        self.fetch(scratch, coming)?;
        self.folders().try_for_each(|folder| self.fetch(folder, coming))
    }

    fn fetch(&self, folder: &Path, coming: u64) -> Result<(), NoRoom> {
        let Some(space) = space(folder) else { return Ok(()) };
        let floor = self.settings.fetch_floor.unwrap_or_else(|| (space.total / FETCH_PART).min(FETCH_FLOOR_MAX));
        if space.free.saturating_sub(coming) < floor {
            return Err(NoRoom { free: space.free, floor, key: "disk.fetch_floor" });
        }
        Ok(())
    }

    /// Whether a file of so many bytes, on its way already, leaves room for notifications.
    pub fn make_sure(&self, coming: u64) -> Result<(), NoRoom> {
        self.folders().try_for_each(|folder| self.receive(folder, coming))
    }

    fn receive(&self, folder: &Path, coming: u64) -> Result<(), NoRoom> {
        let Some(space) = space(folder) else { return Ok(()) };
        let floor = self.settings.receive_floor.unwrap_or_else(|| (space.total / RECEIVE_PART).min(RECEIVE_FLOOR_MAX));
        if space.free.saturating_sub(coming) < floor {
            return Err(NoRoom { free: space.free, floor, key: "disk.receive_floor" });
        }
        Ok(())
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.archive.as_path()).chain(self.database.as_deref())
    }
}

/// `None` where the system does not say: then writing itself is what tells.
fn space(folder: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Space {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
