//! Removals of whole products.
use async_graphql::{Context, ID, Result, SimpleObject};

use super::caller::admin;
use super::error::bad;
use super::mutation::retention_error;
use super::rows::resolved_rows;
use crate::app::App;
use crate::contract::{Count, DateTime, Long, uuid};
use crate::domain::{ProductId, RemovalReason, RemovalReasonError};
use crate::jobs::retention::{self, RemovalRequest};
use crate::query;

/// What the removal of a product removes, or would remove.
#[derive(SimpleObject)]
pub struct ProductRemovalResult {
    product_id: ID,
    name: String,
    /// The publications of the product. They stay, as PURGED, with their metadata.
    publications: Count,
    /// Revisions whose file is removed.
    revisions: Count,
    /// Stored bytes of these files that no other product uses.
    bytes_freed: Long,
    /// Revisions that a hold protects; while there are any, nothing is removed.
    held: Count,
    /// Notifications that wait for their file. They are not stopped: a file that arrives later is archived.
    waiting: Count,
    /// The removal; null where nothing was removed (`dryRun`).
    removal: Option<ProductRemoval>,
}

/// The removal of a product by an administrator.
#[derive(Clone, SimpleObject)]
pub struct ProductRemoval {
    /// The id of the retention run that marked its revisions; `undoRetention` restores them until `sweepAfter`.
    id: ID,
    product_id: ID,
    /// The product's name at that time.
    name: String,
    reason: String,
    /// The name of the API key, or the user of the machine.
    requested_by: String,
    requested_at: DateTime,
    /// When all its revisions were marked; null while that is in progress.
    completed_at: Option<DateTime>,
    /// Revisions that were removed.
    removed: Count,
    bytes_freed: Long,
    /// When the files are deleted.
    sweep_after: Option<DateTime>,
    undone_at: Option<DateTime>,
    swept_at: Option<DateTime>,
}

resolved_rows!(ProductRemoval);

impl From<query::ProductRemoval> for ProductRemoval {
    fn from(removal: query::ProductRemoval) -> Self {
        let run = removal.run;
        Self {
            id: run.id.into(),
            product_id: removal.product_id.0.into(),
            name: removal.name,
            reason: removal.reason,
            requested_by: removal.requested_by,
            requested_at: DateTime(removal.requested_at),
            completed_at: removal.completed_at.map(DateTime),
            removed: Count(run.removed),
            bytes_freed: run.bytes_freed.into(),
            sweep_after: run.sweep_after.map(DateTime),
            undone_at: run.undone_at.map(DateTime),
            swept_at: run.swept_at.map(DateTime),
        }
    }
}

/// Removes a product, or says what that would mean.
pub(super) async fn remove_product(
    ctx: &Context<'_>,
    (product_id, dry_run): (ID, bool),
    confirmation: Option<String>,
    reason: Option<String>,
) -> Result<ProductRemovalResult> {
    let caller = admin(ctx)?;
    let app = ctx.data::<App>()?;
    let id = ProductId(uuid("productId", &product_id).map_err(bad)?);
    let (product, extent) = retention::removal_extent(app, id).await.map_err(retention_error)?;
    let removal = if dry_run {
        None
    } else {
        let confirmation =
            confirmation.ok_or_else(|| bad("`confirmName` is missing; repeat the name of the product"))?;
        let reason: RemovalReason =
            reason.unwrap_or_default().parse().map_err(|e: RemovalReasonError| bad(e.to_string()))?;
        let request = RemovalRequest { product: id, confirmation, reason, by: caller.name.clone() };
        Some(retention::remove_product(app, request).await.map_err(retention_error)?)
    };
    Ok(ProductRemovalResult {
        product_id: id.0.into(),
        name: product.name,
        publications: Count(extent.publications),
        revisions: Count(extent.revisions),
        bytes_freed: extent.bytes_freed.into(),
        held: Count(extent.held),
        waiting: Count(extent.waiting),
        removal: removal.map(Into::into),
    })
}
