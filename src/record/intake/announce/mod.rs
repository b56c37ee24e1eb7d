//! What a batch of notifications changes in products and publications: new ones, new names, files awaited again.
//!
//! Made for bursts: a batch takes a handful of statements, however many products and publications it is about, and writes nothing
//! of those that do not change.
mod products;
mod publications;

use sea_orm::DatabaseTransaction;

use super::{AnnouncedPublication, Arrival};
use crate::domain::{Announcement, PublicationId};
use crate::engine::record::RecordError;
use products::Products;
use publications::Publications;

/// In the order of announcement.
type Announcements<'a> = Vec<(&'a Arrival, &'a Announcement)>;

/// Resolves each notification of a batch to its publication (`None` for rejected ones), creating what
/// is new and updating what changed. The batch may name one product or publication many times.
pub(in crate::engine::record) async fn announce(
    txn: &DatabaseTransaction,
    batch: &[Arrival],
) -> Result<Vec<Option<AnnouncedPublication>>, RecordError> {
    let mut announcements: Announcements<'_> =
        batch.iter().filter_map(|n| n.announcement.as_ref().map(|a| (n, a))).collect();
    if announcements.is_empty() {
        return Ok(batch.iter().map(|_| None).collect());
    }
    // In the order of announcement, so that the last one of each product and publication applies.
    announcements.sort_by_key(|(n, _)| (n.announced_at, n.id));
    let mut products = Products::load(txn, &announcements).await?;
    products.apply(&announcements);
    products.save_new(txn).await?;
    products.save_aliases(txn, &announcements).await?;
    let mut publications = Publications::load(txn, &products, &announcements).await?;
    for (arrival, announcement) in &announcements {
        publications.apply(&products, arrival, announcement)?;
    }
    publications.save(txn).await?;
    products.count_new(&publications)?;
    products.save(txn).await?;
    let announced = |arrival: &Arrival| {
        let Some(announcement) = &arrival.announcement else { return Ok(None) };
        let product_id = products.id_of(announcement)?;
        let publication = publications.of(product_id, announcement)?;
        Ok(Some(AnnouncedPublication {
            product_id,
            publication_id: PublicationId(publication.id),
            first_received_at: publication.first_received_at,
            has_revision: publication.latest_revision_id.is_some(),
        }))
    };
    batch.iter().map(announced).collect()
}

/// A row that the batch is about.
struct Entry<Row> {
    row: Row,
    is_new: bool,
    /// The row must be written.
    changed: bool,
    /// The feed gets a change.
    notify: bool,
}

impl<Row> Entry<Row> {
    fn known(row: Row) -> Self {
        Self { row, is_new: false, changed: false, notify: false }
    }
}

/// `apply` adds every announcement of the batch, so a missing one is a defect.
fn missing(what: &str, key: &str) -> RecordError {
    RecordError::Corrupt(format!("the {what} `{key}` was announced and not recorded"))
}
