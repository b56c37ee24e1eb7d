//! How the files of a product's newest publications were sent.
use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use super::History;
use crate::domain::NotificationId;
use crate::engine::record::RecordError;
use crate::engine::record::entity::{notifications, publications, revisions};
use crate::engine::record::rows::texts;

/// How many publications are read, from the newest.
const PUBLICATIONS: u64 = 20;

/// How the latest file of a publication was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentFile {
    pub extension: Option<String>,
    pub content_type: Option<String>,
    pub warnings: Vec<String>,
}

impl History {
    /// The latest files of the newest publications of a notification's product.
    pub async fn recent_files(&self, of: NotificationId) -> Result<Vec<RecentFile>, RecordError> {
        use publications::Column as P;
        let notification = notifications::Entity::find_by_id(of.0).one(self.db.reader()).await?;
        let Some(publication) = notification.and_then(|row| row.publication_id) else { return Ok(Vec::new()) };
        let Some(publication) = publications::Entity::find_by_id(publication).one(self.db.reader()).await? else {
            return Ok(Vec::new());
        };
        let latest: Vec<Option<Uuid>> = publications::Entity::find()
            .select_only()
            .column(P::LatestRevisionId)
            .filter(P::ProductId.eq(publication.product_id))
            .filter(P::LatestRevisionId.is_not_null())
            .order_by(P::Id, Order::Desc)
            .limit(PUBLICATIONS)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        let rows = revisions::Entity::find()
            .filter(revisions::Column::Id.is_in(latest.into_iter().flatten()))
            .all(self.db.reader())
            .await?;
        rows.into_iter()
            .map(|row| {
                let warnings = texts(Some(&row.warnings))?;
                Ok(RecentFile { extension: row.extension, content_type: row.content_type, warnings })
            })
            .collect()
    }
}
