//! What a batch of notifications says of products and publications: new ones, new names, files awaited again.
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, QueryFilter, Set,
};

use super::entity::{product_aliases, products, publications};
use super::feed;
use super::intake::{Announced, NewNotification};
use crate::domain::{Announcement, ChangeKind, PublicationId, PublicationStatus, fold, millis};

/// Resolves each notification of a batch to its publication (`None` for those that were not understood), making what is
/// new and noting what changed. The batch may name one product or publication many times.
pub(super) async fn announce(
    txn: &DatabaseTransaction,
    batch: &[NewNotification],
) -> Result<Vec<Option<Announced>>, DbErr> {
    let mut understood: Vec<(&NewNotification, &Announcement)> =
        batch.iter().filter_map(|n| n.notice.outcome.as_ref().ok().map(|a| (n, a))).collect();
    if understood.is_empty() {
        return Ok(batch.iter().map(|_| None).collect());
    }
    // In the order of announcement the last word of each product and publication is the one that stands.
    understood.sort_by_key(|(n, _)| (n.announced_at(), n.id));
    let mut products = Products::load(txn, &understood).await?;
    for (notification, announcement) in &understood {
        products.take(notification, announcement);
    }
    products.save(txn).await?;
    save_aliases(txn, &products, &understood).await?;
    let mut publications = Publications::load(txn, &products, &understood).await?;
    for (notification, announcement) in &understood {
        publications.take(&products, notification, announcement);
    }
    publications.save(txn).await?;
    products.count_and_tell(txn, &publications).await?;
    Ok(batch
        .iter()
        .map(|notification| {
            let announcement = notification.notice.outcome.as_ref().ok()?;
            let product_id = products.id_of(announcement);
            let publication = publications.by_key.get(&key_of(product_id, announcement))?;
            Some(Announced {
                product_id,
                publication_id: PublicationId(publication.row.id),
                has_revision: publication.row.latest_revision_id.is_some(),
            })
        })
        .collect())
}

struct Entry<Row> {
    row: Row,
    is_new: bool,
    changed: bool,
    /// Of a product: it has another name; of a publication: something that readers see.
    told: bool,
}

struct Products {
    by_identity: HashMap<String, Entry<products::Model>>,
    now: i64,
}

impl Products {
    async fn load(txn: &DatabaseTransaction, understood: &[(&NewNotification, &Announcement)]) -> Result<Self, DbErr> {
        let mut identities: Vec<String> = understood.iter().map(|(_, a)| a.identity.key()).collect();
        identities.sort();
        identities.dedup();
        let rows = products::Entity::find().filter(products::Column::Identity.is_in(identities)).all(txn).await?;
        let now = understood.iter().map(|(n, _)| millis(n.received_at)).max().unwrap_or_default();
        let entry = |row| Entry { row, is_new: false, changed: false, told: false };
        Ok(Self {
            by_identity: rows.into_iter().map(|row: products::Model| (row.identity.clone(), entry(row))).collect(),
            now,
        })
    }

    fn take(&mut self, notification: &NewNotification, announcement: &Announcement) {
        let announced_at = millis(notification.announced_at());
        let identity = announcement.identity.key();
        let entry = self.by_identity.entry(identity).or_insert_with_key(|identity| Entry {
            row: new_product(identity.clone(), notification, announcement),
            is_new: true,
            changed: false,
            told: false,
        });
        let row = &mut entry.row;
        row.last_notification_id = Some(notification.id.0);
        entry.changed = true;
        if announced_at < row.announced_at {
            return;
        }
        row.announced_at = announced_at;
        entry.told |= !entry.is_new && row.name != announcement.name;
        row.name.clone_from(&announcement.name);
        row.process.clone_from(&announcement.process);
        row.macro_process.clone_from(&announcement.macro_process);
    }

    fn id_of(&self, announcement: &Announcement) -> Uuid {
        // `take` saw every announcement of the batch.
        self.by_identity.get(&announcement.identity.key()).map(|entry| entry.row.id).unwrap_or_default()
    }

    async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        let new =
            self.by_identity.values().filter(|entry| entry.is_new).map(|entry| entry.row.clone().into_active_model());
        insert_if_any::<products::Entity, _>(txn, new.collect()).await?;
        for entry in self.by_identity.values().filter(|entry| entry.changed && !entry.is_new) {
            let row = &entry.row;
            products::ActiveModel {
                id: Set(row.id),
                name: Set(row.name.clone()),
                process: Set(row.process.clone()),
                macro_process: Set(row.macro_process.clone()),
                announced_at: Set(row.announced_at),
                last_notification_id: Set(row.last_notification_id),
                ..Default::default()
            }
            .update_without_returning(txn)
            .await?;
        }
        Ok(())
    }

    /// Counts the new publications, and tells of every publication whose product has another name.
    async fn count_and_tell(&self, txn: &DatabaseTransaction, publications: &Publications) -> Result<(), DbErr> {
        for entry in self.by_identity.values() {
            let new: Vec<_> =
                publications.by_key.values().filter(|p| p.is_new && p.row.product_id == entry.row.id).collect();
            if !new.is_empty() {
                let first = new.iter().map(|p| &p.row.period_start).min();
                let last = new.iter().map(|p| &p.row.period_end).max();
                let row = &entry.row;
                products::ActiveModel {
                    id: Set(row.id),
                    publication_count: Set(row.publication_count + i32::try_from(new.len()).unwrap_or(i32::MAX)),
                    first_period_start: Set(first.into_iter().chain(&row.first_period_start).min().cloned()),
                    last_period_end: Set(last.into_iter().chain(&row.last_period_end).max().cloned()),
                    ..Default::default()
                }
                .update_without_returning(txn)
                .await?;
            }
            if entry.told {
                feed::tell_all_of_product(txn, entry.row.id, self.now, ChangeKind::Renamed).await?;
            }
        }
        Ok(())
    }
}

fn new_product(identity: String, notification: &NewNotification, announcement: &Announcement) -> products::Model {
    products::Model {
        id: Uuid::now_v7(),
        identity,
        list_path: notification.notice.claims.list_path.clone(),
        name: announcement.name.clone(),
        process: announcement.process.clone(),
        macro_process: announcement.macro_process.clone(),
        announced_at: millis(notification.announced_at()),
        publication_count: 0,
        revision_count: 0,
        size: 0,
        stored_size: 0,
        first_period_start: None,
        last_period_end: None,
        last_notification_id: None,
    }
}

async fn save_aliases(
    txn: &DatabaseTransaction,
    products: &Products,
    understood: &[(&NewNotification, &Announcement)],
) -> Result<(), DbErr> {
    let mut seen: HashMap<(Uuid, &str), (i64, i64)> = HashMap::new();
    for (notification, announcement) in understood {
        let at = millis(notification.announced_at());
        let span = seen.entry((products.id_of(announcement), &announcement.name)).or_insert((at, at));
        *span = (std::cmp::min(span.0, at), std::cmp::max(span.1, at));
    }
    let rows = seen.into_iter().map(|((product_id, name), (first, last))| product_aliases::ActiveModel {
        product_id: Set(product_id),
        name: Set(name.to_owned()),
        name_folded: Set(fold(name)),
        first_seen_at: Set(first),
        last_seen_at: Set(last),
    });
    let (least, greatest) = match txn.get_database_backend() {
        DbBackend::Sqlite => ("min", "max"),
        _ => ("least", "greatest"),
    };
    let widen =
        |function: &str, column: &str| Expr::cust(format!("{function}(product_aliases.{column}, excluded.{column})"));
    let widened = OnConflict::columns([product_aliases::Column::ProductId, product_aliases::Column::Name])
        .value(product_aliases::Column::FirstSeenAt, widen(least, "first_seen_at"))
        .value(product_aliases::Column::LastSeenAt, widen(greatest, "last_seen_at"))
        .to_owned();
    product_aliases::Entity::insert_many(rows).on_conflict(widened).exec_without_returning(txn).await?;
    Ok(())
}

type Key = (Uuid, String, String, String);

fn key_of(product_id: Uuid, announcement: &Announcement) -> Key {
    let period = &announcement.period;
    (product_id, announcement.reference_date.clone(), period.start.to_string(), period.end.to_string())
}

struct Publications {
    by_key: HashMap<Key, Entry<publications::Model>>,
    now: i64,
}

impl Publications {
    async fn load(
        txn: &DatabaseTransaction,
        products: &Products,
        understood: &[(&NewNotification, &Announcement)],
    ) -> Result<Self, DbErr> {
        use publications::Column as C;
        let mut keys: Vec<Key> = understood.iter().map(|(_, a)| key_of(products.id_of(a), a)).collect();
        keys.sort();
        keys.dedup();
        let columns = Expr::tuple([C::ProductId, C::ReferenceDate, C::PeriodStart, C::PeriodEnd].map(Expr::col));
        let wanted = keys.into_iter().map(|key| {
            Expr::tuple([key.0.into(), key.1.into(), key.2.into(), key.3.into()].map(Expr::value::<sea_orm::Value>))
        });
        let rows = publications::Entity::find().filter(columns.is_in(wanted)).all(txn).await?;
        let entry = |row| Entry { row, is_new: false, changed: false, told: false };
        let by_key = rows
            .into_iter()
            .map(|row: publications::Model| {
                let key =
                    (row.product_id, row.reference_date.clone(), row.period_start.clone(), row.period_end.clone());
                (key, entry(row))
            })
            .collect();
        Ok(Self { by_key, now: products.now })
    }

    fn take(&mut self, products: &Products, notification: &NewNotification, announcement: &Announcement) {
        let announced_at = millis(notification.announced_at());
        let received_at = millis(notification.received_at);
        let product_id = products.id_of(announcement);
        let entry = self.by_key.entry(key_of(product_id, announcement)).or_insert_with(|| Entry {
            row: new_publication(product_id, announcement, announced_at, received_at),
            is_new: true,
            changed: false,
            told: true,
        });
        let row = &mut entry.row;
        if announced_at >= row.announced_at {
            row.announced_at = announced_at;
            let processes = (&row.process, &row.macro_process);
            if processes != (&announcement.process, &announcement.macro_process) {
                row.process.clone_from(&announcement.process);
                row.macro_process.clone_from(&announcement.macro_process);
                entry.told = true;
            }
        }
        row.received_at = std::cmp::max(row.received_at, received_at);
        entry.changed = true;
        if row.latest_revision_id.is_none() {
            row.status = PublicationStatus::Awaited.as_str().to_owned();
            entry.told = true;
        }
    }

    async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        let new = self.by_key.values().filter(|entry| entry.is_new).map(|entry| entry.row.clone().into_active_model());
        insert_if_any::<publications::Entity, _>(txn, new.collect()).await?;
        let mut told = Vec::new();
        for entry in self.by_key.values() {
            let row = &entry.row;
            if entry.changed && !entry.is_new {
                publications::ActiveModel {
                    id: Set(row.id),
                    process: Set(row.process.clone()),
                    macro_process: Set(row.macro_process.clone()),
                    announced_at: Set(row.announced_at),
                    received_at: Set(row.received_at),
                    status: Set(row.status.clone()),
                    ..Default::default()
                }
                .update_without_returning(txn)
                .await?;
            }
            if entry.told {
                // A known publication whose process is written otherwise was not announced anew.
                let kind = if row.latest_revision_id.is_none() { ChangeKind::Announced } else { ChangeKind::Renamed };
                told.push((kind, PublicationId(row.id), None));
            }
        }
        feed::tell(txn, self.now, told).await
    }
}

fn new_publication(
    product_id: Uuid,
    announcement: &Announcement,
    announced_at: i64,
    received_at: i64,
) -> publications::Model {
    publications::Model {
        id: Uuid::now_v7(),
        product_id,
        process: announcement.process.clone(),
        macro_process: announcement.macro_process.clone(),
        reference_date: announcement.reference_date.clone(),
        period_start: announcement.period.start.to_string(),
        period_end: announcement.period.end.to_string(),
        granularity: announcement.period.granularity().as_str().to_owned(),
        status: PublicationStatus::Awaited.as_str().to_owned(),
        announced_at,
        received_at,
        latest_revision_id: None,
        revision_count: 0,
    }
}

async fn insert_if_any<E, A>(txn: &DatabaseTransaction, rows: Vec<A>) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: sea_orm::ActiveModelTrait<Entity = E> + Send,
{
    if !rows.is_empty() {
        E::insert_many(rows).exec_without_returning(txn).await?;
    }
    Ok(())
}
