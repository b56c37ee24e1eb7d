//! Where an instance is copied to: another database, and another archive unless both share one.
use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};

use super::{App, Role, archive, folder, location};
use crate::config::Settings;
use crate::engine::record::{Location, Record, ReplayRule};
use crate::engine::store::Archive;

/// Which database and archive an instance is copied to.
pub struct MigrateTo {
    /// Of them, only where the database and the archive are is used.
    pub settings: Settings,
    /// The copy uses the archive of the instance itself.
    pub shares_archive: bool,
}

/// Another database and archive.
pub struct Destination {
    pub(in crate::engine) record: Record,
    /// `None` if the copy uses the archive of the instance.
    pub(in crate::engine) store: Option<Archive>,
    /// The location of the archive.
    pub archive: String,
    /// Locked while this process writes there.
    _lock: Option<File>,
}

impl Destination {
    /// Opens the database, with all migrations applied, and the archive. Both are created where they do not exist.
    pub async fn open(app: &App, to: &MigrateTo) -> anyhow::Result<Self> {
        let settings = &to.settings;
        let location = location(settings);
        let lock = match &location {
            Location::Sqlite(path) => prepare_sqlite(app, path)?,
            Location::Postgres(_) => None,
        };
        let own = app.settings.archive();
        let archive_location = if to.shares_archive { own.clone() } else { settings.archive() };
        let archive = archive_location.to_string();
        if !to.shares_archive && archive == own.to_string() {
            bail!("{archive} is the archive of this instance; give another one, or --same-archive if both use it");
        }
        let store = match to.shares_archive {
            true => None,
            false => {
                if let Some(path) = archive_location.folder() {
                    folder::require_folder("archive_url", path)?;
                }
                let scratch = app.settings.data_dir.join("tmp");
                let opened = archive::open(&archive_location, &scratch, Role::Server).await?;
                if let Some(path) = archive_location.folder() {
                    folder::make_archive_private(path);
                }
                Some(opened)
            }
        };
        let receiver = &app.settings.receiver;
        let rule = ReplayRule { at_least: receiver.replay_at_least as u64, gap: receiver.replay_gap };
        let record = Record::open(&location, receiver.queue, rule).await;
        let record = record.context("the database of the copy cannot be opened")?;
        if record.dump().restoring().await?.is_some() {
            bail!("the database of the copy is half restored from an export; give an empty one");
        }
        Ok(Self { record, store, archive, _lock: lock })
    }

    /// Closes the database.
    pub async fn close(self) -> anyhow::Result<()> {
        self.record.close().await.context("the database of the copy could not be closed")
    }
}

/// Makes the file and, if it is new, its folder private. The folder is locked, as it is likely to be the data folder of the copy.
fn prepare_sqlite(app: &App, path: &Path) -> anyhow::Result<Option<File>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder::require_complete(parent, path)?;
    if !parent.exists() {
        folder::make_private(parent).context("the folder of the copy")?;
    }
    let is_own = match (parent.canonicalize(), app.settings.data_dir.canonicalize()) {
        (Ok(parent), Ok(own)) => parent == own,
        _ => false,
    };
    let lock = if is_own { None } else { Some(folder::lock(parent)?) };
    folder::make_database_private(path)?;
    Ok(lock)
}
