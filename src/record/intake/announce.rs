//! What a batch of notifications says of products and publications: new ones, new names, files awaited again.
//!
//! Written for bursts: a batch takes a handful of statements, however many products and publications it speaks of, and
//! nothing is written of those that are as they were.
use std::cmp::{max, min};
use std::collections::{HashMap, HashSet};

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, Set,
};

use super::{Announced, NewNotification};
use crate::domain::{Announcement, ChangeKind, PublicationId, PublicationStatus, fold, millis};
use crate::engine::record::entity::{product_aliases, products, publications};
use crate::engine::record::{batch, feed};

type Understood<'a> = Vec<(&'a NewNotification, &'a Announcement)>;

/// Resolves each notification of a batch to its publication (`None` for those that were not understood), making what is
/// new and noting what changed. The batch may name one product or publication many times.
pub(in crate::engine::record) async fn announce(
    txn: &DatabaseTransaction,
    batch: &[NewNotification],
) -> Result<Vec<Option<Announced>>, DbErr> {
    let mut understood: Understood<'_> =
        batch.iter().filter_map(|n| n.notice.outcome.as_ref().ok().map(|a| (n, a))).collect();
    if understood.is_empty() {
        return Ok(batch.iter().map(|_| None).collect());
    }
    // In the order of announcement the last word of each product and publication is the one that stands.
    understood.sort_by_key(|(n, _)| (n.announced_at(), n.id));
    let mut products = Products::load(txn, &understood).await?;
    products.take(&understood);
    products.save_new(txn).await?;
    save_aliases(txn, &products, &understood).await?;
    let mut publications = Publications::load(txn, &products, &understood).await?;
    for (notification, announcement) in &understood {
        publications.take(&products, notification, announcement);
    }
    publications.save(txn).await?;
    products.count(&publications);
    products.save(txn).await?;
    Ok(batch
        .iter()
        .map(|notification| {
            let announcement = notification.notice.outcome.as_ref().ok()?;
            let product_id = products.id_of(announcement);
            let publication = publications.by_key.get(&key_of(product_id, announcement))?;
            Some(Announced {
                product_id,
                publication_id: PublicationId(publication.row.id),
                known_since: publication.row.first_received_at,
                has_revision: publication.row.latest_revision_id.is_some(),
            })
        })
        .collect())
}

struct Entry<Row> {
    row: Row,
    is_new: bool,
    /// Something is to be written.
    changed: bool,
    /// Readers are to be told.
    told: bool,
}

impl<Row> Entry<Row> {
    fn known(row: Row) -> Self {
        Self { row, is_new: false, changed: false, told: false }
    }
}

struct Products {
    by_identity: HashMap<String, Entry<products::Model>>,
    /// When the name that a product has was announced last; only of products that were called otherwise in this batch.
    named_at: HashMap<Uuid, i64>,
    now: i64,
}

impl Products {
    async fn load(txn: &DatabaseTransaction, understood: &Understood<'_>) -> Result<Self, DbErr> {
        let mut identities: Vec<String> = understood.iter().map(|(_, a)| a.identity.key()).collect();
        identities.sort();
        identities.dedup();
        let rows = products::Entity::find()
            .filter(products::Column::Identity.is_in(batch::padded(identities)))
            .all(txn)
            .await?;
        let by_identity: HashMap<_, _> =
            rows.into_iter().map(|row| (row.identity.clone(), Entry::known(row))).collect();
        let now = understood.iter().map(|(n, _)| millis(n.received_at)).max().unwrap_or_default();
        let mut products = Self { by_identity, named_at: HashMap::new(), now };
        products.load_named_at(txn, understood).await?;
        Ok(products)
    }

    /// Most batches call every product what it is called already, and this asks nothing.
    async fn load_named_at(&mut self, txn: &DatabaseTransaction, understood: &Understood<'_>) -> Result<(), DbErr> {
        let renamed = understood.iter().filter_map(|(_, a)| {
            let row = &self.by_identity.get(&a.identity.key())?.row;
            (!is_called(row, a)).then(|| (row.id, row.name.clone()))
        });
        let renamed: HashMap<Uuid, String> = renamed.collect();
        for (product_id, name) in renamed {
            let alias = product_aliases::Entity::find_by_id((product_id, name)).one(txn).await?;
            self.named_at.insert(product_id, alias.map(|alias| alias.last_seen_at).unwrap_or(i64::MIN));
        }
        // A name from before that was never seen is one more by which the product is found.
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
            entry.told |= aliased.contains(&entry.row.id);
        }
        Ok(())
    }

    fn take(&mut self, understood: &Understood<'_>) {
        for (notification, announcement) in understood {
            let announced_at = millis(notification.announced_at());
            let entry = self.by_identity.entry(announcement.identity.key()).or_insert_with_key(|identity| Entry {
                row: new_product(identity.clone(), notification, announcement),
                is_new: true,
                changed: false,
                told: false,
            });
            let named_at = self.named_at.get(&entry.row.id).copied().unwrap_or(i64::MIN);
            if is_called(&entry.row, announcement) || announced_at < named_at {
                continue;
            }
            entry.changed = true;
            entry.told |= entry.row.name != announcement.name;
            entry.row.name.clone_from(&announcement.name);
            entry.row.process.clone_from(&announcement.process);
            entry.row.macro_process.clone_from(&announcement.macro_process);
        }
    }

    fn id_of(&self, announcement: &Announcement) -> Uuid {
        // `take` saw every announcement of the batch.
        self.by_identity.get(&announcement.identity.key()).map(|entry| entry.row.id).unwrap_or_default()
    }

    /// Before the publications, which name them.
    async fn save_new(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        let new =
            self.by_identity.values().filter(|entry| entry.is_new).map(|entry| entry.row.clone().into_active_model());
        batch::insert(txn, new.collect(), None).await
    }

    /// Counts the new publications.
    fn count(&mut self, publications: &Publications) {
        let mut new: HashMap<Uuid, Vec<&publications::Model>> = HashMap::new();
        for entry in publications.by_key.values().filter(|entry| entry.is_new) {
            new.entry(entry.row.product_id).or_default().push(&entry.row);
        }
        for entry in self.by_identity.values_mut() {
            let Some(new) = new.get(&entry.row.id) else { continue };
            let row = &mut entry.row;
            row.publication_count += i32::try_from(new.len()).unwrap_or(i32::MAX);
            row.first_period_start = new.iter().map(|p| &p.period_start).chain(&row.first_period_start).min().cloned();
            row.last_period_end = new.iter().map(|p| &p.period_end).chain(&row.last_period_end).max().cloned();
            entry.changed = true;
        }
    }

    /// Writes what changed, and tells of every publication whose product has another name.
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
        for entry in self.by_identity.values().filter(|entry| entry.told) {
            feed::tell_all_of_product(txn, entry.row.id, self.now, ChangeKind::Renamed).await?;
        }
        Ok(())
    }
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
    understood: &Understood<'_>,
) -> Result<(), DbErr> {
    let mut seen: HashMap<(Uuid, &str), (i64, i64)> = HashMap::new();
    for (notification, announcement) in understood {
        let at = millis(notification.announced_at());
        let span = seen.entry((products.id_of(announcement), &announcement.name)).or_insert((at, at));
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
    batch::insert(txn, rows.collect(), Some(widened)).await
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
    async fn load(txn: &DatabaseTransaction, products: &Products, understood: &Understood<'_>) -> Result<Self, DbErr> {
        use publications::Column as C;
        let mut keys: Vec<Key> = understood.iter().map(|(_, a)| key_of(products.id_of(a), a)).collect();
        keys.sort();
        keys.dedup();
        // Alternatives of equalities, and no list of tuples: SQLite walks the index for these, the table for those.
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
        let processes = (&announcement.process, &announcement.macro_process);
        if announced_at >= row.announced_at && (&row.process, &row.macro_process) != processes {
            row.process.clone_from(&announcement.process);
            row.macro_process.clone_from(&announcement.macro_process);
            entry.changed = true;
            entry.told = true;
        }
        // What is shown while there is no file.
        if row.latest_revision_id.is_none() {
            row.received_at = max(row.received_at, received_at);
            row.status = PublicationStatus::Awaited.as_str().to_owned();
            entry.changed = true;
            entry.told = true;
        }
        if entry.changed {
            row.announced_at = max(row.announced_at, announced_at);
        }
    }

    async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        use publications::Column as C;
        let written = self.by_key.values().filter(|entry| entry.is_new || entry.changed);
        let replaced = OnConflict::column(C::Id)
            .update_columns([C::Process, C::MacroProcess, C::AnnouncedAt, C::ReceivedAt, C::Status])
            .to_owned();
        batch::insert(txn, written.map(|entry| entry.row.clone().into_active_model()).collect(), Some(replaced))
            .await?;
        let told = self.by_key.values().filter(|entry| entry.told).map(|entry| {
            // A known publication whose process is written otherwise was not announced anew.
            let awaited = entry.row.latest_revision_id.is_none();
            (if awaited { ChangeKind::Announced } else { ChangeKind::Renamed }, PublicationId(entry.row.id), None)
        });
        feed::tell(txn, self.now, told.collect()).await
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
        first_received_at: Some(received_at),
    }
}
