//! Disk space reserved for a full disk: marks must be written before anything can be freed.
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::app::App;

const RESERVE_BYTES: u64 = 8 << 20;

/// On a small disk less is reserved: 1/n of the free space.
const RESERVE_SHARE: u64 = 8;

/// The reserved space, released until this is dropped.
pub(super) struct Reserve {
    app: App,
    path: PathBuf,
}

impl Reserve {
    /// Releases the space.
    pub fn release(app: &App) -> Self {
        let reserve = Self { app: app.clone(), path: path(app) };
        if let Err(e) = std::fs::remove_file(&reserve.path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = %e, "the space reserved for a full disk could not be released");
        }
        reserve
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        fill(&self.app, &self.path);
    }
}

fn path(app: &App) -> PathBuf {
    app.settings.data_dir.join(crate::app::RESERVE)
}

/// Reserves the space again, as far as there is free space.
fn fill(app: &App, path: &Path) {
    let Some(free) = app.disk.free_for_data() else {
        return tracing::warn!("no space is reserved for a full disk: how much is free is unknown");
    };
    // Written, not only set as the length: a sparse file reserves nothing.
    let mut zeros = std::io::repeat(0).take(RESERVE_BYTES.min(free / RESERVE_SHARE));
    let written = std::fs::File::create(path).and_then(|mut file| std::io::copy(&mut zeros, &mut file));
    if let Err(e) = written {
        tracing::warn!(error = %e, "no space could be reserved for a full disk");
    }
}

/// Reserves the space at the start of a service if it is not reserved yet.
pub(in crate::engine::jobs) fn reserve(app: &App) {
    let path = path(app);
    if !path.exists() {
        fill(app, &path);
    }
}

/// Whether less space is reserved than the disk allows: a run was killed, or the disk was full when it ended.
pub(super) fn is_lacking(app: &App) -> bool {
    let reserved = std::fs::metadata(path(app)).map(|file| file.len()).unwrap_or_default();
    reserved < RESERVE_BYTES && app.disk.free_for_data().is_some_and(|free| free / RESERVE_SHARE >= RESERVE_BYTES)
}
