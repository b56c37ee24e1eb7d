use async_graphql::{ID, SimpleObject};

use crate::contract::{Count, DateTime};
use crate::losses::Loss;

/// A publication whose file is lost: the last link to it expired, or cannot be fetched.
#[derive(SimpleObject)]
pub struct LostPublication {
    publication_id: ID,
    /// The product's name.
    name: String,
    /// `dataProduto` as the portal sent it.
    reference_date: String,
    /// Null if it was lost before this was recorded.
    lost_at: Option<DateTime>,
    /// Why its file could not be fetched, as the last notification says.
    reason: Option<String>,
    /// When an operator acknowledged the loss (`acknowledgeLost`).
    acknowledged_at: Option<DateTime>,
    /// The name of the key that it was acknowledged with.
    acknowledged_by: Option<String>,
}

impl From<Loss> for LostPublication {
    fn from(loss: Loss) -> Self {
        let (at, by) = loss.acknowledged.map(|acknowledged| (acknowledged.at, acknowledged.by)).unzip();
        Self {
            publication_id: ID::from(loss.publication.0),
            name: loss.name,
            reference_date: loss.reference_date,
            lost_at: loss.lost_at.map(DateTime),
            reason: loss.reason,
            acknowledged_at: at.map(DateTime),
            acknowledged_by: by,
        }
    }
}

/// The outcome of `acknowledgeLost`.
#[derive(SimpleObject)]
pub struct AcknowledgeResult {
    /// Losses that were not acknowledged before.
    pub acknowledged: Count,
    /// Losses that are still not acknowledged.
    pub remaining: Count,
}
