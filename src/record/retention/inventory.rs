//! What a retention plan is made from, read along the indexes.
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::{Digest, Period, RevisionId, fold};
use crate::engine::record::RecordError;
use crate::engine::record::db::Db;
use crate::engine::record::entity::{files, product_aliases, products, publications, revisions};
use crate::engine::record::rows::{local, natural};

/// A product with the names it is matched by, folded.
#[derive(Clone, Debug)]
pub struct InventoryProduct {
    pub id: Uuid,
    pub name: String,
    pub names: Vec<String>,
}

/// A file whose bytes are stored.
#[derive(Clone, Copy, Debug)]
pub struct InventoryFile {
    pub digest: Digest,
    pub size: u64,
    pub stored_size: u64,
}

#[derive(Clone, Debug)]
pub struct InventoryPublication {
    pub id: Uuid,
    pub product: Uuid,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period: Period,
}

/// A revision whose bytes are stored.
#[derive(Clone, Debug)]
pub struct InventoryRevision {
    pub id: RevisionId,
    pub publication: Uuid,
    pub number: i32,
    pub digest: Digest,
    pub extension: Option<String>,
    pub announced_at: i64,
    pub archived_at: i64,
    pub superseded_at: Option<i64>,
    pub held: bool,
}

/// What a retention plan is made from.
#[derive(Clone)]
pub struct Inventory {
    pub(in crate::engine::record) db: Db,
}

impl Inventory {
    pub async fn products(&self) -> Result<Vec<InventoryProduct>, RecordError> {
        let rows = products::Entity::find().order_by(products::Column::Id, Order::Asc).all(self.db.reader()).await?;
        let aliases = product_aliases::Entity::find().all(self.db.reader()).await?;
        let mut names: HashMap<Uuid, Vec<String>> = HashMap::new();
        for alias in aliases {
            names.entry(alias.product_id).or_default().push(alias.name_folded);
        }
        let product = |row: products::Model| {
            let mut names = names.remove(&row.id).unwrap_or_default();
            names.push(fold(&row.name));
            InventoryProduct { id: row.id, name: row.name, names }
        };
        Ok(rows.into_iter().map(product).collect())
    }

    /// Files after one, in the order of their digests.
    pub async fn files(&self, after: Option<Digest>, limit: u64) -> Result<Vec<InventoryFile>, RecordError> {
        use files::Column as C;
        let mut some = files::Entity::find()
            .select_only()
            .columns([C::Digest, C::Size, C::StoredSize])
            .filter(C::RemovedAt.is_null());
        if let Some(after) = after {
            some = some.filter(C::Digest.gt(after));
        }
        let rows: Vec<(Digest, i64, i64)> =
            some.order_by(C::Digest, Order::Asc).limit(limit).into_tuple().all(self.db.reader()).await?;
        let file = |(digest, size, stored): (Digest, i64, i64)| {
            Ok(InventoryFile { digest, size: natural(size)?, stored_size: natural(stored)? })
        };
        rows.into_iter().map(file).collect()
    }

    /// Publications after one, in the order of their ids.
    pub async fn publications(
        &self,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<InventoryPublication>, RecordError> {
        use publications::Column as C;
        let columns =
            [C::Id, C::ProductId, C::Process, C::MacroProcess, C::ReferenceDate, C::PeriodStart, C::PeriodEnd];
        let mut some = publications::Entity::find().select_only().columns(columns);
        if let Some(after) = after {
            some = some.filter(C::Id.gt(after));
        }
        let rows: Vec<(Uuid, Uuid, String, String, String, String, String)> =
            some.order_by(C::Id, Order::Asc).limit(limit).into_tuple().all(self.db.reader()).await?;
        rows.into_iter()
            .map(|(id, product, process, macro_process, reference_date, start, end)| {
                let period = Period { start: local(&start)?, end: local(&end)? };
                Ok(InventoryPublication { id, product, process, macro_process, reference_date, period })
            })
            .collect()
    }

    /// The revisions of the publications from one to another, in the order of publications and numbers.
    pub async fn revisions(&self, from: Uuid, to: Uuid) -> Result<Vec<InventoryRevision>, RecordError> {
        use revisions::Column as C;
        type Row = (Uuid, Uuid, i32, Digest, Option<String>, i64, i64, Option<i64>, bool);
        let columns = [
            C::Id,
            C::PublicationId,
            C::Number,
            C::Digest,
            C::Extension,
            C::AnnouncedAt,
            C::ArchivedAt,
            C::SupersededAt,
            C::Held,
        ];
        let rows: Vec<Row> = revisions::Entity::find()
            .select_only()
            .columns(columns)
            .filter(C::PublicationId.between(from, to))
            .filter(C::PurgedAt.is_null())
            .order_by(C::PublicationId, Order::Asc)
            .order_by(C::Number, Order::Asc)
            .into_tuple()
            .all(self.db.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, publication, number, digest, extension, announced_at, archived_at, superseded_at, held)| {
                InventoryRevision {
                    id: RevisionId(id),
                    publication,
                    number,
                    digest,
                    extension,
                    announced_at,
                    archived_at,
                    superseded_at,
                    held,
                }
            })
            .collect())
    }
}
