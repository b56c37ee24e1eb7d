//! Lists the members of zips for which this took too long before recording, one by one, each within a budget of bytes and
//! time.
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::archive::{PARTLY_LISTED, does_not_open, record_members};
use super::schedule::later;
use crate::app::App;
use crate::domain::StoredFile;
use crate::engine::record::RecordError;
use crate::engine::store::{Budget, MemberError};

/// The budget for listing a file with nested zips, which have to be decompressed.
const BUDGET: Budget = Budget { bytes: 1 << 30, time: Duration::from_secs(30) };

/// The interval for polling for files from other processes.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// The delay after a change of the feed, so that files that arrive together are listed together.
const BATCH_DELAY: Duration = Duration::from_millis(50);

/// The delay before a file is retried that could not be read, for example because of a full disk.
const RETRY_AFTER: Duration = Duration::from_secs(300);

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut fed = app.record.feed().watch();
    while !stop.is_cancelled() {
        fed.borrow_and_update();
        let outcome = tokio::select! {
            outcome = all_due(&app) => outcome,
            _ = stop.cancelled() => break,
        };
        if let Err(e) = outcome {
            tracing::error!(error = %e, "the members of zips could not be recorded; trying again");
        }
        tokio::select! {
            _ = stop.cancelled() => {}
            _ = fed.changed() => tokio::time::sleep(BATCH_DELAY).await,
            _ = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
}

async fn all_due(app: &App) -> Result<(), RecordError> {
    while let Some(file) = app.record.files().next_to_list(app.clock.now()).await? {
        list(app, file).await?;
    }
    Ok(())
}

async fn list(app: &App, file: StoredFile) -> Result<(), RecordError> {
    let now = app.clock.now();
    match app.store.members(file, BUDGET).await {
        Ok(listing) => {
            let warning = if listing.is_over_budget { Some(PARTLY_LISTED) } else { None };
            let (members, cut) = record_members(listing);
            app.record.files().save_members(file.digest, &members, warning.or(cut), now).await
        }
        Err(e @ (MemberError::Store(_) | MemberError::Cancelled)) => {
            tracing::error!(error = %e, digest = %file.digest, "the members of a zip cannot be listed; trying again later");
            if let MemberError::Store(e) = &e
                && e.damaged().is_some()
            {
                app.record.files().mark_damaged(&file, e.breakage(), now).await?;
            }
            app.record.files().list_later(file.digest, later(now, RETRY_AFTER)).await
        }
        Err(
            e @ (MemberError::NotAZip(_)
            | MemberError::NoMember(_)
            | MemberError::Ambiguous { .. }
            | MemberError::Unsupported(_)),
        ) => app.record.files().save_members(file.digest, &[], Some(&does_not_open(&e)), now).await,
    }
}
