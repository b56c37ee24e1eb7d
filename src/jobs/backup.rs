//! The backup: a consistent copy of a running instance, which is a data folder itself.
//!
//! Objects are copied twice. The first time takes long and nothing waits for it. The second time copies what was added meanwhile, after the
//! database was copied and while no retention runs, so that nothing that the copied database names is deleted. Nor does a compaction begin.
//! One that is running may take days; what it replaces was copied the first time, or the second time is repeated. The database gets its name after the objects that it names.
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::lock::Guard;
use super::{compact, fault, retention, stop};
use crate::app::{App, BACKUP_MARK};
use crate::domain::{Digest, Encoding, Locator};
use crate::engine::record::{DatabaseCopy, StoredObject};
use crate::engine::store::{Archive, Copied, StoreError};

const DATABASE: &str = "acervo.db";
const NEW_DATABASE: &str = "acervo.db.new";

/// Objects read from the database at once.
const PAGE: u64 = 500;

/// How long a run of retention, and a compaction, is waited for.
const RETENTION_TIMEOUT: Duration = Duration::from_secs(600);
const COMPACTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the copy is repeated where objects were replaced meanwhile.
const TRIES: u32 = 5;

pub struct BackupRequest {
    pub folder: PathBuf,
    /// Remove the objects of the folder that the database does not name any more.
    pub prune: bool,
    /// Share the bytes of objects with the archive where the file system can.
    pub share: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    pub copied: u64,
    pub bytes_copied: u64,
    pub shared: u64,
    pub bytes_shared: u64,
    /// Objects that were there before.
    pub present: u64,
    pub pruned: u64,
    /// Objects that are missing or cannot be read.
    pub missing: u64,
}

pub enum BackupEvent<'a> {
    Progress {
        done: u64,
        total: u64,
    },
    /// A file whose object is not in the backup.
    Missing {
        digest: Digest,
        reason: &'a str,
    },
}

type Listener<'a> = dyn FnMut(BackupEvent<'_>) + Send + 'a;

/// Whether the database can be copied by [`backup`]; PostgreSQL has tools of its own.
pub fn can_back_up(app: &App) -> bool {
    !app.record.is_shared()
}

pub async fn backup(app: &App, request: BackupRequest, listener: &mut Listener<'_>) -> anyhow::Result<BackupReport> {
    let folder = Folder::open(app, &request.folder).await?;
    let to = Archive::open(&folder.root.join("archive"), &folder.root.join("tmp"))
        .with_context(|| format!("{} cannot be written", folder.root.display()))?;
    to.remove_abandoned_uploads().await?;
    let mut run = Run { app, folder, to, share: request.share, listener, report: BackupReport::default() };
    run.copy_most().await?;
    let copy = run.copy_consistently().await?;
    fault("backup-before-rename");
    let named = if request.prune { Some(copy) } else { copy.close().await.map(|()| None)? };
    run.folder.publish()?;
    if let Some(named) = named {
        run.prune(&named).await?;
        named.close().await?;
    }
    Ok(run.report)
}

/// The folder of a backup. No service runs on it.
struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    async fn open(app: &App, root: &Path) -> anyhow::Result<Self> {
        let shown = root.display();
        let cannot = || format!("{shown} cannot be written");
        std::fs::create_dir_all(root).with_context(cannot)?;
        let real = root.canonicalize().with_context(cannot)?;
        let archive = app.settings.archive();
        let own = [Some(&app.settings.data_dir), archive.folder()];
        if own.into_iter().flatten().any(|own| own.canonicalize().is_ok_and(|own| real.starts_with(own))) {
            bail!("{shown} is in the archive's own folder; give a folder on another disk");
        }
        let mark = root.join(BACKUP_MARK);
        let has_backup = mark.exists();
        if !has_backup && root.read_dir().with_context(cannot)?.next().is_some() {
            bail!("{shown} is not empty and has no backup; give an empty or a new folder");
        }
        // Only now: a folder that is refused is not ours to change.
        crate::app::make_private(root)?;
        if !has_backup {
            let text = "A backup of Acervo. Without acervo.db it is not complete.\n";
            std::fs::write(&mark, text).with_context(cannot)?;
            sync(root).with_context(cannot)?;
        }
        let lock = crate::app::lock_folder(root)?;
        let before = root.join(DATABASE);
        if before.exists() {
            // Commands that were run on the backup leave a write-ahead log. Without it the database must be complete, until another
            // one replaces it.
            let cannot = || format!("{} cannot be opened; remove it to back up anew", before.display());
            app.record.backup().copy_log_back(&before).await.with_context(cannot)?;
        }
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The path of a new copy of the database; what an interrupted backup left there is removed.
    fn new_database(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join(NEW_DATABASE);
        for name in [NEW_DATABASE.to_owned(), format!("{NEW_DATABASE}-journal")] {
            remove(&self.root.join(name))?;
        }
        Ok(path)
    }

    /// Makes the new copy the database. The index of another database is removed; the service builds a new one.
    fn publish(&self) -> anyhow::Result<()> {
        let cannot = || format!("{} cannot be written", self.root.display());
        let index = self.root.join("index");
        if index.exists() {
            std::fs::remove_dir_all(&index).with_context(|| format!("{} cannot be removed", index.display()))?;
        }
        for suffix in ["-wal", "-shm"] {
            remove(&self.root.join(format!("{DATABASE}{suffix}")))?;
        }
        let new = self.root.join(NEW_DATABASE);
        sync(&new).with_context(cannot)?;
        std::fs::rename(&new, self.root.join(DATABASE)).with_context(cannot)?;
        sync(&self.root).with_context(cannot)
    }
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

struct Run<'a, 'b> {
    app: &'a App,
    folder: Folder,
    to: Archive,
    share: bool,
    listener: &'a mut Listener<'b>,
    report: BackupReport,
}

impl Run<'_, '_> {
    /// Copies the objects that there are now. What disappears meanwhile does not matter yet.
    async fn copy_most(&mut self) -> anyhow::Result<()> {
        let total = self.app.record.monitor().counts().await?.files;
        let (mut after, mut done) = (None, 0);
        loop {
            let page = self.app.record.backup().objects_after(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.locator.digest);
            for object in page {
                stop::check(self.app, "stop-in-backup")?;
                // What is missing is looked for again.
                if self.copy(object.locator).await?.is_ok_and(|copied| copied == Copied::Present) {
                    self.report.present += 1;
                }
                done += 1;
                (self.listener)(BackupEvent::Progress { done, total: total.max(done) });
            }
        }
    }

    /// Copies the database, and then the objects that are still missing, until all that it names are there.
    async fn copy_consistently(&mut self) -> anyhow::Result<DatabaseCopy> {
        let holder = format!("backup-{}", uuid::Uuid::now_v7());
        let Some(retention) = Guard::wait(self.app, retention::LOCK, &holder, RETENTION_TIMEOUT).await? else {
            stop::check(self.app, "stop-in-backup")?;
            bail!("a run of retention does not end; back up again after it");
        };
        let compaction = Guard::wait(self.app, compact::LOCK, &holder, COMPACTION_TIMEOUT).await?;
        let is_compacting = compaction.is_none();
        let guards: Vec<Guard> = [Some(retention), compaction].into_iter().flatten().collect();
        let copied = self.copy_with(&guards, is_compacting).await;
        for guard in guards {
            guard.release().await;
        }
        copied
    }

    async fn copy_with(&mut self, guards: &[Guard], is_compacting: bool) -> anyhow::Result<DatabaseCopy> {
        for _ in 0..TRIES {
            let copy = self.app.record.backup().copy_to(&self.folder.new_database()?).await?;
            fault("backup-after-database");
            stop::stall(self.app, "backup-stalls").await;
            match self.copy_named(&copy, guards, is_compacting).await? {
                Some(missing) => {
                    for (digest, reason) in &missing {
                        (self.listener)(BackupEvent::Missing { digest: *digest, reason });
                    }
                    self.report.missing = missing.len() as u64;
                    return Ok(copy);
                }
                None => copy.close().await?,
            }
        }
        bail!("objects of the archive were replaced again and again while they were copied; back up again later")
    }

    /// Returns the files whose objects are missing; `None` if an object that the copied database names was replaced or removed since.
    async fn copy_named(
        &mut self,
        copy: &DatabaseCopy,
        guards: &[Guard],
        is_compacting: bool,
    ) -> anyhow::Result<Option<Vec<(Digest, String)>>> {
        let (mut after, mut missing) = (None, Vec::new());
        loop {
            let page = copy.objects_after(after, PAGE).await?;
            let Some(last) = page.last().map(|last| last.locator.digest) else { return Ok(Some(missing)) };
            for object in &page {
                for guard in guards {
                    guard.check("stop-in-backup")?;
                }
                if let Err(e) = self.copy(object.locator).await? {
                    if self.was_replaced(object).await? {
                        return Ok(None);
                    }
                    missing.push((object.locator.digest, e.to_string()));
                }
            }
            if is_compacting && self.has_other_dense(after, last, &page).await? {
                return Ok(None);
            }
            after = Some(last);
        }
    }

    /// Whether dense objects of a page were replaced by other dense ones since the database was copied. Those may need other files.
    async fn has_other_dense(
        &self,
        after: Option<Digest>,
        last: Digest,
        page: &[StoredObject],
    ) -> anyhow::Result<bool> {
        let now: HashSet<(Locator, Option<Digest>)> = self
            .app
            .record
            .backup()
            .objects_up_to(after, last)
            .await?
            .into_iter()
            .map(|object| (object.locator, object.stored_digest))
            .collect();
        let is_dense = |object: &&StoredObject| object.locator.encoding == Encoding::Dense;
        Ok(page.iter().filter(is_dense).any(|object| !now.contains(&(object.locator, object.stored_digest))))
    }

    async fn was_replaced(&self, object: &StoredObject) -> anyhow::Result<bool> {
        let now = self.app.record.files().stored_file(object.locator.digest).await?;
        Ok(now.is_none_or(|now| now.locator() != object.locator))
    }

    /// The inner error is about the object here; anything else ends the backup.
    async fn copy(&mut self, locator: Locator) -> anyhow::Result<Result<Copied, StoreError>> {
        let copied = match self.app.store.copy_object(locator, &self.to, self.share).await {
            Ok(copied) => copied,
            Err(e) if e.damaged().is_some() => return Ok(Err(e)),
            Err(e) => return Err(e).with_context(|| format!("the object of {} cannot be copied", locator.digest)),
        };
        match copied {
            Copied::Present => return Ok(Ok(copied)),
            Copied::Shared(bytes) => {
                self.report.shared += 1;
                self.report.bytes_shared += bytes;
            }
            Copied::Copied(bytes) => {
                self.report.copied += 1;
                self.report.bytes_copied += bytes;
            }
        }
        fault("backup-between-objects");
        Ok(Ok(copied))
    }

    /// Removes objects that the new database does not name.
    async fn prune(&mut self, named: &DatabaseCopy) -> anyhow::Result<()> {
        for first_byte in 0..=u8::MAX {
            stop::check(self.app, "stop-in-backup")?;
            let objects = named.objects_of(first_byte).await?;
            let keep: HashSet<Locator> = objects.iter().map(|object| object.locator).collect();
            self.report.pruned += self.to.keep_only(first_byte, &keep).await?;
            fault("backup-between-prunes");
        }
        Ok(())
    }
}
