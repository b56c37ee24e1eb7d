//! Publications: new ones, the processes announced last, and files awaited again.
use std::cmp::max;
use std::collections::HashMap;

use sea_orm::prelude::Uuid;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
};

use super::{Announcements, Arrival, Entry, Products, missing};
use crate::domain::{Announcement, ChangeKind, Processes, PublicationId, PublicationStatus, millis};
use crate::engine::record::entity::{publications, revisions};
use crate::engine::record::{RecordError, batch, feed};

type Key = (Uuid, String, String, String);

fn key_of(product_id: Uuid, announcement: &Announcement) -> Key {
    let period = &announcement.period;
    (product_id, announcement.reference_date.clone(), period.start.to_string(), period.end.to_string())
}

pub(super) struct Publications {
    by_key: HashMap<Key, Entry<publications::Model>>,
    /// When the latest revision was announced last, by publication; only of publications that have other processes in this batch.
    revision_announced_at: HashMap<Uuid, i64>,
    now: i64,
}

impl Publications {
    pub(super) async fn load(
        txn: &DatabaseTransaction,
        products: &Products,
        announcements: &Announcements<'_>,
    ) -> Result<Self, RecordError> {
        use publications::Column as C;
        let mut keys: Vec<Key> =
            announcements.iter().map(|(_, a)| Ok(key_of(products.id_of(a)?, a))).collect::<Result<_, RecordError>>()?;
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
        let by_key = rows.into_iter().map(|row| (key(&row), Entry::known(row))).collect();
        let mut publications = Self { by_key, revision_announced_at: HashMap::new(), now: products.now };
        publications.load_revision_announced_at(txn, products, announcements).await?;
        Ok(publications)
    }

    /// Announcements that change nothing are not written to the publication, but renew its latest revision. Most batches have no
    /// other processes of a publication, and need no query here.
    async fn load_revision_announced_at(
        &mut self,
        txn: &DatabaseTransaction,
        products: &Products,
        announcements: &Announcements<'_>,
    ) -> Result<(), RecordError> {
        let mut latest = HashMap::new();
        for (_, announcement) in announcements {
            let key = key_of(products.id_of(announcement)?, announcement);
            if let Some(Entry { row, .. }) = self.by_key.get(&key)
                && let Some(revision) = row.latest_revision_id
                && row.processes() != announcement.processes()
            {
                latest.insert(revision, row.id);
            }
        }
        if latest.is_empty() {
            return Ok(());
        }
        let rows: Vec<(Uuid, i64)> = revisions::Entity::find()
            .select_only()
            .columns([revisions::Column::Id, revisions::Column::AnnouncedAt])
            .filter(revisions::Column::Id.is_in(batch::padded(latest.keys().copied().collect())))
            .into_tuple()
            .all(txn)
            .await?;
        self.revision_announced_at = rows.into_iter().filter_map(|(id, at)| Some((*latest.get(&id)?, at))).collect();
        Ok(())
    }

    pub(super) fn apply(
        &mut self,
        products: &Products,
        arrival: &Arrival,
        announcement: &Announcement,
    ) -> Result<(), RecordError> {
        let announced_at = millis(arrival.announced_at);
        let received_at = millis(arrival.received_at);
        let product_id = products.id_of(announcement)?;
        let entry = self.by_key.entry(key_of(product_id, announcement)).or_insert_with(|| Entry {
            row: new_publication(product_id, announcement, announced_at, received_at),
            is_new: true,
            changed: false,
            notify: true,
        });
        let row = &mut entry.row;
        let last_announced_at =
            max(row.announced_at, self.revision_announced_at.get(&row.id).copied().unwrap_or(i64::MIN));
        if row.processes().are_replaced_by(announcement.processes(), announced_at, last_announced_at) {
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
    pub(super) fn of(
        &self,
        product_id: Uuid,
        announcement: &Announcement,
    ) -> Result<&publications::Model, RecordError> {
        let entry = self.by_key.get(&key_of(product_id, announcement));
        let entry = entry.ok_or_else(|| missing("publication", &announcement.reference_date))?;
        Ok(&entry.row)
    }

    pub(super) fn new_rows(&self) -> impl Iterator<Item = &publications::Model> {
        self.by_key.values().filter(|entry| entry.is_new).map(|entry| &entry.row)
    }

    pub(super) async fn save(&self, txn: &DatabaseTransaction) -> Result<(), DbErr> {
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

impl publications::Model {
    fn processes(&self) -> Processes<'_> {
        Processes { process: &self.process, macro_process: &self.macro_process }
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
        lost_at: None,
        lost_acknowledged_at: None,
        lost_acknowledged_by: None,
    }
}
