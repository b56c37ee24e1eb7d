//! What is left when a process ended while it replaced an object: the file has two.
use std::time::Duration;

use super::LOCK;
use crate::app::App;
use crate::domain::Digest;
use crate::jobs::lock::Guard;

/// Deletes the objects of these files that are not the recorded ones. `false` if a compaction is running, which may be replacing them.
pub(in crate::engine::jobs) async fn remove_second_objects(app: &App, files: &[Digest]) -> anyhow::Result<bool> {
    let holder = format!("leftovers-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::take(app, LOCK, &holder).await? else { return Ok(false) };
    let outcome = remove(app, &guard, files).await;
    guard.release().await;
    outcome.map(|()| true)
}

/// The same for all files that were noted and not recorded. The sweep forgets the notes.
pub(super) async fn remove_all_second_objects(app: &App, guard: &Guard) -> anyhow::Result<()> {
    let abandoned = app.store.unrecorded(Duration::ZERO)?;
    let digests: Vec<Digest> = abandoned.files.iter().map(|file| file.digest).collect();
    remove(app, guard, &digests).await
}

async fn remove(app: &App, guard: &Guard, files: &[Digest]) -> anyhow::Result<()> {
    for digest in files {
        let Some(file) = app.record.files().stored_file(*digest).await? else { continue };
        let others = app.store.other_copies(file).await?;
        // If the recorded one is damaged, another one may be what a repair needs.
        if others.is_empty() || app.store.check(file).await.is_err() {
            continue;
        }
        for other in others {
            guard.check("stop-in-leftovers")?;
            app.store.remove_copy(other).await?;
        }
    }
    Ok(())
}
