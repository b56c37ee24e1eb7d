//! What a batch of notifications changes in products and publications: new ones, new names, files awaited again.
//!
//! Made for bursts: a batch takes a handful of statements, however many products and publications it is about, and writes nothing
//! of those that do not change.
use std::cmp::{max, min};
use std::collections::{HashMap, HashSet};

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, Set,
};

use super::{AnnouncedPublication, NewNotification};
use crate::domain::{Announcement, ChangeKind, PublicationId, PublicationStatus, fold, millis};
use crate::engine::record::entity::{product_aliases, products, publications};
use crate::engine::record::rows::int;
use crate::engine::record::{RecordError, batch, feed};

type Announcements<'a> = Vec<(&'a NewNotification, &'a Announcement)>;

/// Resolves each notification of a batch to its publication (`None` for rejected ones), creating what
/// is new and updating what changed. The batch may name one product or publication many times.
pub(in crate::engine::record) async fn announce(
    txn: &DatabaseTransaction,
    batch: &[NewNotification],
) -> Result<Vec<Option<AnnouncedPublication>>, RecordError> {
    let mut understood: Announcements<'_> =
        batch.iter().filter_map(|n| n.notice.outcome.as_ref().ok().map(|a| (n, a))).collect();
    if understood.is_empty() {
        return Ok(batch.iter().map(|_| None).collect());
    }
    // In the order of announcement, so that the last one of each product and publication stands.
    understood.sort_by_key(|(n, _)| (n.announced_at(), n.id));
    let mut products = Products::load(txn, &understood).await?;
    products.take(&understood);
    products.save_new(txn).await?;
    save_aliases(txn, &products, &understood).await?;
    let mut publications = Publications::load(txn, &products, &understood).await?;
    for (notification, announcement) in &understood {
        publications.take(&products, notification, announcement)?;
    }
    publications.save(txn).await?;
    products.count(&publications)?;
    products.save(txn).await?;
    let announced = |notification: &NewNotification| {
        let Ok(announcement) = &notification.notice.outcome else { return Ok(None) };
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

struct Products {
    by_identity: HashMap<String, Entry<products::Model>>,
    /// When the present name of a product was announced last, if ever; only of products that have another name in this batch.
    named_at: HashMap<Uuid, Option<i64>>,
    now: i64,
}

impl Products {
    async fn load(txn: &DatabaseTransaction, understood: &Announcements<'_>) -> Result<Self, RecordError> {
        let mut identities: Vec<String> = understood.iter().map(|(_, a)| a.identity.key()).collect();
        identities.sort();
        identities.dedup();
        let rows = products::Entity::find()
            .filter(products::Column::Identity.is_in(batch::padded(identities)))
            .all(txn)
            .await?;
        let by_identity: HashMap<_, _> =
            rows.into_iter().map(|row| (row.identity.clone(), Entry::known(row))).collect();
        let received = understood.iter().map(|(n, _)| millis(n.received_at)).max();
        let now = received.ok_or_else(|| RecordError::Corrupt("a batch without announcements".to_owned()))?;
        let mut products = Self { by_identity, named_at: HashMap::new(), now };
        products.load_named_at(txn, understood).await?;
        Ok(products)
    }

    /// Most batches have no other name of a product, and need no query here.
    async fn load_named_at(&mut self, txn: &DatabaseTransaction, understood: &Announcements<'_>) -> Result<(), DbErr> {
        let renamed = understood.iter().filter_map(|(_, a)| {
            let row = &self.by_identity.get(&a.identity.key())?.row;
            (!is_called(row, a)).then(|| (row.id, row.name.clone()))
        });
        let renamed: HashMap<Uuid, String> = renamed.collect();
        for (product_id, name) in renamed {
            let alias = product_aliases::Entity::find_by_id((product_id, name)).one(txn).await?;
            self.named_at.insert(product_id, alias.map(|alias| alias.last_seen_at));
        }
        // An earlier name that was never seen is a new alias, by which searches find the product.
        let called: HashSet<(Uuid, &String)> = understood
            .iter()
            .filter_map(|(_, a)| Some((self.by_identity.get(&a.identity.key())?.row.id, &a.name)))
            .filter(|(product_id, _)| self.named_at.contains_key(product_id))
            .collect();
        let mut aliased = HashSet::new();
        for (product_id, name) in called {
            if product_aliases::Entity::find_by_id((product_id, name.clone())).one(txn).await?.is_none() {
                aliased.insert(product_id);
            }
        }
        for entry in self.by_identity.values_mut() {
            entry.notify |= aliased.contains(&entry.row.id);
        }
        Ok(())
    }

    fn take(&mut self, understood: &Announcements<'_>) {
        for (notification, announcement) in understood {
            let announced_at = millis(notification.announced_at());
            let entry = self.by_identity.entry(announcement.identity.key()).or_insert_with_key(|identity| Entry {
                row: new_product(identity.clone(), notification, announcement),
                is_new: true,
                changed: false,
                notify: false,
            });
            let named_at = self.named_at.get(&entry.row.id).copied().flatten();
            if is_called(&entry.row, announcement) || named_at.is_some_and(|named_at| announced_at < named_at) {
                continue;
            }
            entry.changed = true;
            entry.notify |= entry.row.name != announcement.name;
            entry.row.name.clone_from(&announcement.name);
            entry.row.process.clone_from(&announcement.process);
            entry.row.macro_process.clone_from(&announcement.macro_process);
        }
    }

    /// The product that an announcement of the batch is about.
    fn id_of(&self, announcement: &Announcement) -> Result<Uuid, RecordError> {
        let identity = announcement.identity.key();
        let entry = self.by_identity.get(&identity);
        entry.map(|entry| entry.row.id).ok_or_else(|| missing("product", &identity))
    }

    /// Before the publications, which name them.
    async fn save_new(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        let new =
            self.by_identity.values().filter(|entry| entry.is_new).map(|entry| entry.row.clone().into_active_model());
        batch::insert(txn, new.collect(), None).await
    }

    /// Counts the new publications.
    fn count(&mut self, publications: &Publications) -> Result<(), RecordError> {
        let mut new: HashMap<Uuid, Vec<&publications::Model>> = HashMap::new();
        for entry in publications.by_key.values().filter(|entry| entry.is_new) {
            new.entry(entry.row.product_id).or_default().push(&entry.row);
        }
        for entry in self.by_identity.values_mut() {
            let Some(new) = new.get(&entry.row.id) else { continue };
            let row = &mut entry.row;
            row.publication_count = row
                .publication_count
                .checked_add(int(new.len())?)
                .ok_or_else(|| RecordError::OutOfRange(format!("{} publications", row.publication_count)))?;
            row.first_period_start = new.iter().map(|p| &p.period_start).chain(&row.first_period_start).min().cloned();
            row.last_period_end = new.iter().map(|p| &p.period_end).chain(&row.last_period_end).max().cloned();
            entry.changed = true;
        }
        Ok(())
    }

    /// Writes what changed, and appends a change for every publication of a renamed product.
    async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        use products::Column as C;
        let changed = self.by_identity.values().filter(|entry| entry.changed);
        let replaced = OnConflict::column(C::Id)
            .update_columns([
                C::Name,
                C::Process,
                C::MacroProcess,
                C::PublicationCount,
                C::FirstPeriodStart,
                C::LastPeriodEnd,
            ])
            .to_owned();
        batch::insert(txn, changed.map(|entry| entry.row.clone().into_active_model()).collect(), Some(replaced))
            .await?;
        for entry in self.by_identity.values().filter(|entry| entry.notify) {
            feed::append_all_of_product(txn, entry.row.id, self.now, ChangeKind::Renamed).await?;
        }
        Ok(())
    }
}

/// `take` adds every announcement of the batch, so a missing one is a defect.
fn missing(what: &str, key: &str) -> RecordError {
    RecordError::Corrupt(format!("the {what} `{key}` was announced and not recorded"))
}

fn is_called(row: &products::Model, announcement: &Announcement) -> bool {
    (&row.name, &row.process, &row.macro_process)
        == (&announcement.name, &announcement.process, &announcement.macro_process)
}

fn new_product(identity: String, notification: &NewNotification, announcement: &Announcement) -> products::Model {
    products::Model {
        id: Uuid::now_v7(),
        identity,
        list_path: notification.notice.claims.list_path.clone(),
        name: announcement.name.clone(),
        process: announcement.process.clone(),
        macro_process: announcement.macro_process.clone(),
        publication_count: 0,
        revision_count: 0,
        size: 0,
        stored_size: 0,
        first_period_start: None,
        last_period_end: None,
    }
}

async fn save_aliases(
    txn: &DatabaseTransaction,
    products: &Products,
    understood: &Announcements<'_>,
) -> Result<(), RecordError> {
    let mut seen: HashMap<(Uuid, &str), (i64, i64)> = HashMap::new();
    for (notification, announcement) in understood {
        let at = millis(notification.announced_at());
        let span = seen.entry((products.id_of(announcement)?, &announcement.name)).or_insert((at, at));
        *span = (min(span.0, at), max(span.1, at));
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
    Ok(batch::insert(txn, rows.collect(), Some(widened)).await?)
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
        understood: &Announcements<'_>,
    ) -> Result<Self, RecordError> {
        use publications::Column as C;
        let mut keys: Vec<Key> =
            understood.iter().map(|(_, a)| Ok(key_of(products.id_of(a)?, a))).collect::<Result<_, RecordError>>()?;
        keys.sort();
        keys.dedup();
        // Alternatives of equalities, not a list of tuples: for these SQLite uses the index, for tuples it scans the table.
        let wanted = batch::padded(keys).into_iter().fold(Condition::any(), |any, (product, reference, start, end)| {
            let one = Condition::all().add(C::ProductId.eq(product)).add(C::ReferenceDate.eq(reference));
            any.add(one.add(C::PeriodStart.eq(start)).add(C::PeriodEnd.eq(end)))
        });
        let rows = publications::Entity::find().filter(wanted).all(txn).await?;
        let key = |row: &publications::Model| {
            (row.product_id, row.reference_date.clone(), row.period_start.clone(), row.period_end.clone())
        };
        Ok(Self { by_key: rows.into_iter().map(|row| (key(&row), Entry::known(row))).collect(), now: products.now })
    }

    fn take(
        &mut self,
        products: &Products,
        notification: &NewNotification,
        announcement: &Announcement,
    ) -> Result<(), RecordError> {
        let announced_at = millis(notification.announced_at());
        let received_at = millis(notification.received_at);
        let product_id = products.id_of(announcement)?;
        let entry = self.by_key.entry(key_of(product_id, announcement)).or_insert_with(|| Entry {
            row: new_publication(product_id, announcement, announced_at, received_at),
            is_new: true,
            changed: false,
            notify: true,
        });
        let row = &mut entry.row;
        let processes = (&announcement.process, &announcement.macro_process);
        if announced_at >= row.announced_at && (&row.process, &row.macro_process) != processes {
            row.process.clone_from(&announcement.process);
            row.macro_process.clone_from(&announcement.macro_process);
            entry.changed = true;
            entry.notify = true;
        }
        // Shown while there is no file.
        if row.latest_revision_id.is_none() {
            row.received_at = max(row.received_at, received_at);
            row.status = PublicationStatus::Awaited;
            entry.changed = true;
            entry.notify = true;
        }
        if entry.changed {
            row.announced_at = max(row.announced_at, announced_at);
        }
        Ok(())
    }

    /// The publication that an announcement of the batch is about.
    fn of(&self, product_id: Uuid, announcement: &Announcement) -> Result<&publications::Model, RecordError> {
        let entry = self.by_key.get(&key_of(product_id, announcement));
        let entry = entry.ok_or_else(|| missing("publication", &announcement.reference_date))?;
        Ok(&entry.row)
    }

    async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        use publications::Column as C;
        let written = self.by_key.values().filter(|entry| entry.is_new || entry.changed);
        let replaced = OnConflict::column(C::Id)
            .update_columns([C::Process, C::MacroProcess, C::AnnouncedAt, C::ReceivedAt, C::Status])
            .to_owned();
        batch::insert(txn, written.map(|entry| entry.row.clone().into_active_model()).collect(), Some(replaced))
            .await?;
        let changes = self.by_key.values().filter(|entry| entry.notify).map(|entry| {
            // A known publication that has another process was not announced.
            let awaited = entry.row.latest_revision_id.is_none();
            (if awaited { ChangeKind::Announced } else { ChangeKind::Renamed }, PublicationId(entry.row.id), None)
        });
        feed::append(txn, self.now, changes.collect()).await
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
        granularity: announcement.period.granularity(),
        status: PublicationStatus::Awaited,
        announced_at,
        received_at,
        latest_revision_id: None,
        revision_count: 0,
        first_received_at: Some(received_at),
    }
}
