//! The move of an instance to another database and archive: every row with its id, every object as it is stored.
//!
//! First every object that the database names is copied and verified, and the row of its file is written after it: what the other database
//! knows is what the other archive has. Then nothing is committed here any more, and all rows are copied, table by table. At the end the
//! tables of both are compared row by row, and one that differs is copied again. The other database says which instance it is a copy of and
//! how far it is, so a copy that was interrupted anywhere continues, and nothing else opens it before it is complete.
mod files;
mod rows;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use uuid::Uuid;

use super::{fault, verify};
use crate::app::{App, Destination, MigrateTo};
use crate::domain::Digest;
use crate::engine::record::{CopyStart, CopyState, Frozen, Table};

/// How often files are copied again because the instance has changed since.
const TRIES: u32 = 3;

/// How long other processes may take to end: a service that is stopping, a command.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(5);
const OTHERS_INTERVAL: Duration = Duration::from_millis(200);

pub struct MigrateRequest {
    pub to: MigrateTo,
    /// Copy only files, while a service may run; a later migration copies what is left.
    pub only_files: bool,
}

/// The outcome of a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MigrateReport {
    /// Whether it continued one that was interrupted, or followed one of files alone.
    pub resumed: bool,
    /// Whether the copy was complete before.
    pub was_complete: bool,
    pub copied: u64,
    pub bytes_copied: u64,
    /// Objects that were copied and verified before.
    pub present: u64,
    /// Objects of the copy that the instance does not have any more.
    pub removed: u64,
    /// Files that do not read back here.
    pub damaged: u64,
    pub tables: u64,
    pub rows: u64,
    /// Whether the copy is complete.
    pub is_done: bool,
}

/// What happens during a migration.
pub enum MigrateEvent<'a> {
    Files {
        done: u64,
        total: u64,
    },
    Rows {
        done: u64,
        total: u64,
    },
    /// Tables that were compared.
    Tables {
        done: u64,
        total: u64,
    },
    /// A file that does not read back here, and why.
    Damaged {
        digest: Digest,
        reason: &'a str,
    },
}

type Listener<'a> = dyn FnMut(MigrateEvent<'_>) + Send + 'a;

/// Copies the instance, or continues to.
pub async fn migrate(app: &App, request: MigrateRequest, listener: &mut Listener<'_>) -> anyhow::Result<MigrateReport> {
    let to = Destination::open(app, &request.to).await?;
    let source = app.record.dump().instance().await?;
    let (state, resumed) = match begin(&to, source).await? {
        Some(begun) => begun,
        None if request.only_files => bail!(COMPLETE),
        None => {
            let report = confirm(app, &to, listener).await?;
            to.close().await?;
            return Ok(report);
        }
    };
    fault("migrate-after-begin");
    let report = MigrateReport { resumed, ..MigrateReport::default() };
    let mut run = Run { app, to: &to, state, listener, report, damaged: HashSet::new() };
    if request.only_files {
        run.copy_files().await?;
    } else {
        run.copy_all().await?;
    }
    let report = run.report;
    to.close().await?;
    Ok(report)
}

const COMPLETE: &str =
    "the copy is complete already, and may be in use; to copy again, give an empty database and an empty archive";

/// `None` if the copy is complete.
async fn begin(to: &Destination, source: Uuid) -> anyhow::Result<Option<(CopyState, bool)>> {
    let dump = to.record.dump();
    if let Some(store) = &to.store
        && dump.copying().await?.is_none()
        && !dump.is_copy_of(source).await?
        && !store.is_empty().await?
    {
        bail!(
            "the archive {} has files, and is no copy of this instance; give an empty one, or --same-archive if both use it",
            to.archive
        );
    }
    Ok(match dump.begin_copy(source, &to.archive).await? {
        CopyStart::Begun => Some((CopyState { source, archive: to.archive.clone(), rows: None }, false)),
        CopyStart::Continued(state) => Some((state, true)),
        CopyStart::Complete => None,
        CopyStart::NotEmpty => {
            bail!("the database has an instance, which is not a copy of this one; give an empty database")
        }
        CopyStart::Other(state) if state.source == source => bail!(
            "the database has a copy of this instance in progress whose archive is {}; give the same archive, or an empty database",
            state.archive
        ),
        CopyStart::Other(_) => {
            bail!("the database has a copy of another instance in progress; give an empty database")
        }
    })
}

/// Whether a copy that was complete is so still.
async fn confirm(app: &App, to: &Destination, listener: &mut Listener<'_>) -> anyhow::Result<MigrateReport> {
    let frozen = app.record.dump().freeze().await?;
    let differing = rows::differing(app, &frozen, to, listener).await?;
    frozen.close().await?;
    match differing.is_empty() {
        true => Ok(MigrateReport { was_complete: true, is_done: true, ..MigrateReport::default() }),
        false => bail!(COMPLETE),
    }
}

struct Run<'a, 'b> {
    app: &'a App,
    to: &'a Destination,
    state: CopyState,
    listener: &'a mut Listener<'b>,
    report: MigrateReport,
    /// Files that were reported.
    damaged: HashSet<Digest>,
}

impl Run<'_, '_> {
    async fn copy_all(&mut self) -> anyhow::Result<()> {
        self.require_alone().await?;
        // As at the start of a service: what a process that was killed has left would delay the first fetches and jobs of the copy.
        self.app.record.queue().release_all().await?;
        self.app.record.jobs().end_interrupted(self.app.clock.now()).await?;
        let frozen = self.copy_files_and_freeze().await?;
        fault("migrate-after-files");
        self.copy_rows(&frozen).await?;
        fault("migrate-before-compare");
        self.make_equal(&frozen).await?;
        let dump = self.to.record.dump();
        dump.set_sequences(&frozen.sequences().await?).await?;
        fault("migrate-before-end");
        dump.end_copy(self.state.source).await?;
        fault("migrate-after-end");
        frozen.close().await?;
        self.report.is_done = true;
        Ok(())
    }

    /// Copies files until nothing is left to copy. From then on nothing is committed here.
    async fn copy_files_and_freeze(&mut self) -> anyhow::Result<Frozen> {
        for _ in 0..TRIES {
            self.copy_files().await?;
            let frozen = self.app.record.dump().freeze().await?;
            self.require_alone().await?;
            if self.to.store.is_none() || self.has_all_files(&frozen).await? {
                return Ok(frozen);
            }
            frozen.close().await?;
        }
        bail!(
            "the archive has changed again and again while it was copied; stop every service and command that uses it, and run this again"
        )
    }

    /// What others record while the rows are copied, or afterwards, the copy does not have.
    async fn require_alone(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let others = self.app.record.dump().other_processes().await?;
            if others == 0 {
                return Ok(());
            }
            if began.elapsed() > OTHERS_TIMEOUT {
                bail!(
                    "{others} other processes of acervo use the database of this instance, on this machine or another; stop every service, and run this again (--only-files copies files while they run)"
                );
            }
            tokio::time::sleep(OTHERS_INTERVAL).await;
        }
    }
}

/// All rows of tables that are copied, where the progress of a copy is counted.
async fn count(frozen: &Frozen) -> anyhow::Result<u64> {
    let mut total = 0;
    for table in Table::ALL.iter().copied() {
        total += frozen.count(table).await?;
    }
    Ok(total)
}
