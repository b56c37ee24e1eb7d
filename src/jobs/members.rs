//! Lists the members of zips that took too long to be listed before their files were recorded: one file after the other,
//! each within a budget of bytes and time.
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::archive::{PARTLY_LISTED, record_members};
use super::schedule::later;
use crate::app::App;
use crate::domain::StoredFile;
use crate::engine::record::RecordError;
use crate::engine::store::{Budget, MemberError};

/// What listing a file may cost whose nested zips have to be unpacked.
const BUDGET: Budget = Budget { bytes: 1 << 30, time: Duration::from_secs(30) };

/// How often files that other processes left are looked for.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// Files that arrive together are listed together.
const GATHER: Duration = Duration::from_millis(50);

/// When a file that could not be read, for want of space perhaps, is tried again.
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
            _ = fed.changed() => tokio::time::sleep(GATHER).await,
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
            tracing::error!(error = %e, digest = %file.digest, "the members of a zip cannot be listed; tried again later");
            if let MemberError::Store(e) = &e
                && let Some(damaged) = e.damaged()
            {
                app.record.files().mark_damaged(damaged, now).await?;
            }
            app.record.files().list_later(file.digest, later(now, RETRY_AFTER)).await
        }
        Err(e @ (MemberError::NotAZip(_) | MemberError::NoMember(_) | MemberError::Unsupported(_))) => {
            app.record.files().save_members(file.digest, &[], Some(&format!("the zip does not open: {e}")), now).await
        }
    }
}
