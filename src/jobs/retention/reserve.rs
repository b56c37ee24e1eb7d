//! Room that is kept for the hour when the disk is full: marks have to be written down before anything can be freed.
use std::path::{Path, PathBuf};

use crate::app::App;

const RESERVE_BYTES: u64 = 8 << 20;

/// On a small disk a smaller part is kept: this share of what is free.
const RESERVE_SHARE: u64 = 8;

/// The room, given away until this is dropped.
pub(super) struct Reserve {
    app: App,
    path: PathBuf,
}

impl Reserve {
    /// Gives the room away.
    pub fn open(app: &App) -> Self {
        let reserve = Self { app: app.clone(), path: path(app) };
        if let Err(e) = std::fs::remove_file(&reserve.path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %e, "the room kept for a full disk could not be given");
        }
        reserve
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        keep(&self.app, &self.path);
    }
}

fn path(app: &App) -> PathBuf {
    app.settings.data_dir.join(crate::app::RESERVE)
}

/// Keeps the room again, as much as there is to keep.
fn keep(app: &App, path: &Path) {
    let free = match app.store.free_bytes() {
        Ok(free) => free,
        Err(e) => return tracing::warn!(error = %e, "no room is kept for a full disk: its free space is unknown"),
    };
    let bytes = usize::try_from(RESERVE_BYTES.min(free / RESERVE_SHARE)).unwrap_or_default();
    // Written, not only said: a hole in a file is no room.
    if let Err(e) = std::fs::write(path, vec![0; bytes]) {
        tracing::warn!(error = %e, "no room could be kept for a full disk");
    }
}

/// Keeps room where there is none, at the start of a service.
pub(in crate::engine::jobs) fn reserve(app: &App) {
    let path = path(app);
    if !path.exists() {
        keep(app, &path);
    }
}

/// Whether less room is kept than the disk has to give: a run was killed, or the disk was full when it ended.
pub(super) fn is_lacking(app: &App) -> bool {
    let kept = std::fs::metadata(path(app)).map(|file| file.len()).unwrap_or_default();
    kept < RESERVE_BYTES && app.store.free_bytes().is_ok_and(|free| free / RESERVE_SHARE >= RESERVE_BYTES)
}
