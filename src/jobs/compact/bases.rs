//! Files that retention has removed and that others need for decoding: those are stored without a base, and the sweep deletes the base.
use super::LOCK;
use crate::app::App;
use crate::domain::StoredFile;
use crate::engine::record::{LockHolder, Replacement};
use crate::engine::store::StoreError;
use crate::jobs::fault;
use crate::jobs::lock::Guard;

/// Bases handled between two looks at what there is.
const BATCH: u64 = 100;

/// Stores the files again that need a base which no revision has any more. The bases then have tombstones. The caller holds the lock of
/// compaction.
pub(in crate::engine::jobs) async fn release_bases(app: &App, guard: &Guard) -> anyhow::Result<()> {
    loop {
        let bases = app.record.compaction().held_bases(BATCH).await?;
        let mut released = false;
        for base in bases {
            for file in app.record.compaction().with_base(base).await? {
                guard.check("stop-in-release")?;
                released |= store_fresh(app, guard, file).await?;
            }
        }
        // Those that are left need a file that cannot be read.
        if !released {
            return Ok(());
        }
    }
}

/// Stores a dense file as it was before compaction. `false` if it cannot be read, or changed meanwhile.
pub(super) async fn store_fresh(app: &App, guard: &Guard, file: StoredFile) -> anyhow::Result<bool> {
    app.disk.require_space(file.size)?;
    let put = match app.store.put_fresh(file).await {
        Ok(put) => put,
        Err(e @ (StoreError::Io(_) | StoreError::DiskFull(_) | StoreError::Interrupted)) => return Err(e.into()),
        Err(e) => {
            tracing::error!(error = %e, "a dense file cannot be stored again; `acervo verify --repair` says what can be done");
            return Ok(false);
        }
    };
    fault("release-after-put");
    guard.check("stop-in-release")?;
    let change = Replacement { old: file, new: put.file, stored_digest: put.stored_digest, is_final: false };
    let holder = LockHolder { lock: LOCK, holder: guard.holder() };
    let is_replaced = app.record.compaction().replace(holder, &change, app.clock.now()).await?;
    fault("release-after-record");
    guard.check("stop-in-release")?;
    app.store.remove_copy(if is_replaced { file } else { put.file }).await?;
    fault("release-after-delete");
    put.unrecorded.recorded();
    Ok(is_replaced)
}
