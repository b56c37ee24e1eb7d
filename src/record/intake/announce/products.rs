//! Products: new ones, the names announced last, and aliases.
use std::cmp::{max, min};
use std::collections::{HashMap, HashSet};

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Set,
};

use super::{Announcements, Arrival, Entry, Publications, missing};
use crate::domain::{Announcement, ChangeKind, NameChange, Processes, ProductNames, fold, millis};
use crate::engine::record::entity::{product_aliases, products, publications};
use crate::engine::record::rows::int;
use crate::engine::record::{RecordError, batch, feed};

pub(super) struct Products {
    by_identity: HashMap<String, Entry<products::Model>>,
    /// When the present name of a product was announced last, if ever; only of products that have another name in this batch.
    named_at: HashMap<Uuid, Option<i64>>,
    pub(super) now: i64,
}

impl Products {
    pub(super) async fn load(
        txn: &DatabaseTransaction,
        announcements: &Announcements<'_>,
    ) -> Result<Self, RecordError> {
        let mut identities: Vec<String> = announcements.iter().map(|(_, a)| a.identity.key()).collect();
        identities.sort();
        identities.dedup();
        let rows = products::Entity::find()
            .filter(products::Column::Identity.is_in(batch::padded(identities)))
            .all(txn)
            .await?;
        let by_identity: HashMap<_, _> =
            rows.into_iter().map(|row| (row.identity.clone(), Entry::known(row))).collect();
        let received = announcements.iter().map(|(n, _)| millis(n.received_at)).max();
        let now = received.ok_or_else(|| RecordError::Corrupt("a batch without announcements".to_owned()))?;
        let mut products = Self { by_identity, named_at: HashMap::new(), now };
        products.load_named_at(txn, announcements).await?;
        Ok(products)
    }

    /// Most batches have no other name of a product, and need no query here.
    async fn load_named_at(
        &mut self,
        txn: &DatabaseTransaction,
        announcements: &Announcements<'_>,
    ) -> Result<(), DbErr> {
        let renamed = announcements.iter().filter_map(|(_, a)| {
            let row = &self.by_identity.get(&a.identity.key())?.row;
            (row.names() != a.names()).then(|| (row.id, row.name.clone()))
        });
        let renamed: HashMap<Uuid, String> = renamed.collect();
        for (product_id, name) in renamed {
            let alias = product_aliases::Entity::find_by_id((product_id, name)).one(txn).await?;
            self.named_at.insert(product_id, alias.map(|alias| alias.last_seen_at));
        }
        // An earlier name that was never seen is a new alias, by which searches find the product.
        let called: HashSet<(Uuid, &String)> = announcements
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

    pub(super) fn apply(&mut self, announcements: &Announcements<'_>) {
        for (arrival, announcement) in announcements {
            let announced_at = millis(arrival.announced_at);
            let entry = self.by_identity.entry(announcement.identity.key()).or_insert_with_key(|identity| Entry {
                row: new_product(identity.clone(), arrival, announcement),
                is_new: true,
                changed: false,
                notify: false,
            });
            let named_at = self.named_at.get(&entry.row.id).copied().flatten();
            let Some(change) = entry.row.names().change(announcement.names(), announced_at, named_at) else { continue };
            entry.changed = true;
            entry.notify |= change == NameChange::Renamed;
            entry.row.name.clone_from(&announcement.name);
            entry.row.process.clone_from(&announcement.process);
            entry.row.macro_process.clone_from(&announcement.macro_process);
        }
    }

    /// The product that an announcement of the batch is about.
    pub(super) fn id_of(&self, announcement: &Announcement) -> Result<Uuid, RecordError> {
        let identity = announcement.identity.key();
        let entry = self.by_identity.get(&identity);
        entry.map(|entry| entry.row.id).ok_or_else(|| missing("product", &identity))
    }

    /// Before the publications, which name them.
    pub(super) async fn save_new(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
        let new =
            self.by_identity.values().filter(|entry| entry.is_new).map(|entry| entry.row.clone().into_active_model());
        batch::insert(txn, new.collect(), None).await
    }

    /// Counts the new publications.
    pub(super) fn count_new(&mut self, publications: &Publications) -> Result<(), RecordError> {
        let mut new: HashMap<Uuid, Vec<&publications::Model>> = HashMap::new();
        for row in publications.new_rows() {
            new.entry(row.product_id).or_default().push(row);
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

    /// Records when each product was seen under each name.
    pub(super) async fn save_aliases(
        &self,
        txn: &DatabaseTransaction,
        announcements: &Announcements<'_>,
    ) -> Result<(), RecordError> {
        let mut seen: HashMap<(Uuid, &str), (i64, i64)> = HashMap::new();
        for (arrival, announcement) in announcements {
            let at = millis(arrival.announced_at);
            let span = seen.entry((self.id_of(announcement)?, &announcement.name)).or_insert((at, at));
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
        let widen = |function: &str, column: &str| {
            Expr::cust(format!("{function}(product_aliases.{column}, excluded.{column})"))
        };
        let widened = OnConflict::columns([product_aliases::Column::ProductId, product_aliases::Column::Name])
            .value(product_aliases::Column::FirstSeenAt, widen(least, "first_seen_at"))
            .value(product_aliases::Column::LastSeenAt, widen(greatest, "last_seen_at"))
            .to_owned();
        Ok(batch::insert(txn, rows.collect(), Some(widened)).await?)
    }

    /// Writes what changed, and appends a change for every publication of a renamed product.
    pub(super) async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
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

impl products::Model {
    fn names(&self) -> ProductNames<'_> {
        ProductNames {
            name: &self.name,
            processes: Processes { process: &self.process, macro_process: &self.macro_process },
        }
    }
}

fn new_product(identity: String, arrival: &Arrival, announcement: &Announcement) -> products::Model {
    products::Model {
        id: Uuid::now_v7(),
        identity,
        list_path: arrival.list_path.clone(),
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
