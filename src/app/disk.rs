//! The free disk space, and whether it suffices.
use std::path::{Path, PathBuf};

use crate::config;
use crate::engine::store::{Archive, Space, space_of};

/// The default part of the disk that must stay free: 1/n.
const FETCH_PART: u64 = 20;
const RECEIVE_PART: u64 = 100;

/// The most that must stay free by default.
const FETCH_FLOOR_MAX: u64 = 1 << 30;
const RECEIVE_FLOOR_MAX: u64 = 128 << 20;

/// The disks that the service writes to.
#[derive(Clone)]
pub struct Disk {
    archive: Archive,
    /// The data folder, which contains temporary files, and the database unless it is on a server.
    data: PathBuf,
    has_database: bool,
    settings: config::Disk,
}

/// A disk is too full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk has {free} bytes free, and {floor} must stay free ({key}): free some space; the service then continues without a restart"
)]
pub struct DiskFull {
    pub free: u64,
    pub floor: u64,
    pub key: &'static str,
}

impl Disk {
    pub(super) fn new(archive: Archive, data: &Path, has_database: bool, settings: &config::Disk) -> Self {
        Self { archive, data: data.to_owned(), has_database, settings: settings.clone() }
    }

    /// Whether notifications can be recorded. Reading and deleting never depend on this.
    pub fn may_receive(&self) -> Result<(), DiskFull> {
        if self.has_database { self.receive(self.of_data(), 0) } else { Ok(()) }
    }

    /// Whether files can be fetched.
    pub fn may_fetch(&self) -> Result<(), DiskFull> {
        self.of_files().try_for_each(|space| self.fetch(space, 0))
    }

    /// Whether `bytes` bytes of temporary files leave enough space for fetched files, because temporary files for readers must
    /// not stop archiving.
    pub fn may_spool(&self, bytes: u64) -> Result<(), DiskFull> {
        self.fetch(space_of(&self.data.join("tmp")).ok(), bytes)?;
        self.of_files().try_for_each(|space| self.fetch(space, bytes))
    }

    fn fetch(&self, space: Option<Space>, bytes: u64) -> Result<(), DiskFull> {
        let Some(space) = space else { return Ok(()) };
        let floor = self.settings.fetch_floor.unwrap_or_else(|| (space.total / FETCH_PART).min(FETCH_FLOOR_MAX));
        if space.free.saturating_sub(bytes) < floor {
            return Err(DiskFull { free: space.free, floor, key: "disk.fetch_floor" });
        }
        Ok(())
    }

    /// Fails unless a fetched file of `bytes` bytes leaves space for notifications.
    pub fn require_space(&self, bytes: u64) -> Result<(), DiskFull> {
        self.of_files().try_for_each(|space| self.receive(space, bytes))
    }

    fn receive(&self, space: Option<Space>, bytes: u64) -> Result<(), DiskFull> {
        let Some(space) = space else { return Ok(()) };
        let floor = self.settings.receive_floor.unwrap_or_else(|| (space.total / RECEIVE_PART).min(RECEIVE_FLOOR_MAX));
        if space.free.saturating_sub(bytes) < floor {
            return Err(DiskFull { free: space.free, floor, key: "disk.receive_floor" });
        }
        Ok(())
    }

    /// Bytes free in the data folder; `None` if the system does not report it.
    pub fn free_for_data(&self) -> Option<u64> {
        self.of_data().map(|space| space.free)
    }

    /// The disks that a fetched file takes space on. `None` if there is no known limit or the system does not report it; then a write
    /// fails when the disk is full.
    fn of_files(&self) -> impl Iterator<Item = Option<Space>> {
        let archive = std::iter::once_with(|| self.archive.space().ok().flatten());
        archive.chain(self.has_database.then(|| self.of_data()))
    }

    fn of_data(&self) -> Option<Space> {
        space_of(&self.data).ok()
    }
}
