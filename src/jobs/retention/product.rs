//! The removal of a whole product: an explicit decision of an administrator, for one time. It marks what retention would mark, and ends as a
//! run of retention does: it can be undone within the grace, and the sweep deletes the bytes after it.
use anyhow::bail;
use jiff::Timestamp;

use super::refusal::RetentionRefusal;
use super::run::in_background;
use super::{BATCH, LOCK, PAUSE_FACTOR, fault};
use crate::app::App;
use crate::domain::{ProductId, RemovalReason};
use crate::engine::record::{Product, ProductRemoval, RemovalExtent, RetentionRun};
use crate::jobs::lock::Guard;
use crate::jobs::stop;

/// A request to remove a product.
#[derive(Clone, Debug)]
pub struct RemovalRequest {
    pub product: ProductId,
    /// The name of the product, typed by the person who wants it removed.
    pub confirmation: String,
    pub reason: RemovalReason,
    pub by: String,
}

/// The product and what its removal would mean.
pub async fn removal_extent(app: &App, id: ProductId) -> anyhow::Result<(Product, RemovalExtent)> {
    let product = app.record.history().products_by_id(&[id]).await?.remove(&id);
    let Some(product) = product else { bail!(RetentionRefusal::NoProduct { id }) };
    let extent = app.record.product_removals().extent(id).await?;
    Ok((product, extent))
}

/// Removes all revisions of a product that are archived now. A removal that takes more than a few seconds continues in the background, also
/// after a restart.
pub async fn remove_product(app: &App, request: RemovalRequest) -> anyhow::Result<ProductRemoval> {
    let (product, extent) = removal_extent(app, request.product).await?;
    if request.confirmation.trim() != product.name {
        bail!(RetentionRefusal::NotConfirmed { name: product.name });
    }
    refuse_held(&extent)?;
    if let Some(at) = app.trust.suspect_since(&app.clock) {
        bail!(RetentionRefusal::ClockSuspect { at });
    }
    let id = uuid::Uuid::now_v7().to_string();
    let Some(guard) = Guard::wait(app, LOCK, &id, super::run::RESPONSE_TIMEOUT).await? else {
        stop::check(app, "stop-before-run")?;
        bail!(RetentionRefusal::Busy);
    };
    if let Err(e) = begin(app, &product, &request, &id).await {
        guard.release().await;
        return Err(e);
    }
    fault("removal-after-begin");
    let work = {
        let app = app.clone();
        async move {
            let outcome = finish_removals(&app, &guard).await;
            guard.release().await;
            outcome
        }
    };
    in_background(work).await?;
    let removal = app.record.product_removals().removal(&id).await?;
    removal.ok_or_else(|| anyhow::anyhow!("the removal was not recorded"))
}

async fn begin(app: &App, product: &Product, request: &RemovalRequest, id: &str) -> anyhow::Result<()> {
    // Runs that were killed end here, so that this one is the only one that is open.
    app.record.retention().end_killed_runs(app.clock.now()).await?;
    let now: Timestamp = app.clock.now();
    let grace = now.to_zoned_datetime(crate::domain::sao_paulo().clone()).checked_add(app.settings.retention.grace)?;
    let run = RetentionRun {
        id: id.to_owned(),
        dry_run: false,
        started_at: now,
        ended_at: None,
        removed: 0,
        bytes_freed: 0,
        sweep_after: Some(grace.timestamp()),
        undone_at: None,
        swept_at: None,
    };
    let why = (request.reason.as_str(), request.by.as_str());
    let extent = app.record.product_removals().begin((product.id, &product.name), why, &run).await?;
    refuse_held(&extent)?;
    let (name, by) = (&product.name, &request.by);
    tracing::warn!(product = %product.id, name, by, revisions = extent.revisions, run = id, "a product is removed");
    Ok(())
}

fn refuse_held(extent: &RemovalExtent) -> anyhow::Result<()> {
    match extent.first_held {
        Some(first) => bail!(RetentionRefusal::Held { count: extent.held, first }),
        None => Ok(()),
    }
}

/// Marks what removals have still to mark, in small transactions with pauses between them.
pub(super) async fn finish_removals(app: &App, guard: &Guard) -> anyhow::Result<()> {
    for removal in app.record.product_removals().incomplete().await? {
        loop {
            let began = tokio::time::Instant::now();
            guard.check("stop-in-removal")?;
            if app.record.product_removals().mark(&removal, BATCH as u64, app.clock.now()).await? == 0 {
                break;
            }
            fault("removal-between-marks");
            tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
        }
    }
    Ok(())
}
