//! Compaction: which files are to be encoded densely, what they may be encoded with, and the change from one object of a file to
//! another.
//!
//! While the encoding of a file changes, it has two objects. The row names one of them at each moment, and only the holder of the lock
//! of compaction changes it, so that the other one can be deleted.
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::db::Db;
use super::entity::{files, products, publications, revisions};
use super::files::{depth_with, release_base, resize_products, stored_file};
use super::rows::{long, natural};
use super::{RecordError, locks};
use crate::domain::{Digest, ProductId, StoredFile, millis};
use files::Column as F;

/// Publications of one page of a timeline.
const PAGE: u64 = 200;

/// Repository of compaction.
#[derive(Clone)]
pub struct Compaction {
    pub(super) db: Db,
}

/// A product with files that are to be compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductToCompact {
    pub id: ProductId,
    pub name: String,
}

/// A file of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineFile {
    pub file: StoredFile,
    pub publication: Uuid,
    /// How many bases are decoded before it.
    pub depth: u8,
    /// Compaction has not looked at it since it was stored.
    pub is_new: bool,
    pub stored_at: i64,
    /// Other files have it as their base.
    pub is_base: bool,
}

/// Where a page of a timeline ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineKey {
    period_start: String,
    publication: Uuid,
}

/// The holder of the lock under which objects are replaced.
#[derive(Clone, Copy, Debug)]
pub struct LockHolder<'a> {
    pub lock: &'a str,
    pub holder: &'a str,
}

/// A change of a file's object.
#[derive(Clone, Copy, Debug)]
pub struct Replacement {
    pub old: StoredFile,
    pub new: StoredFile,
    pub stored_digest: Option<Digest>,
    /// Whether compaction needs to look at the file again.
    pub is_final: bool,
}

impl Compaction {
    /// How many files stored before an instant are to be compacted, and their bytes as published.
    pub async fn due(&self, stored_before: Timestamp) -> Result<(u64, u64), RecordError> {
        let found: Option<(i64, Option<i64>)> = files::Entity::find()
            .select_only()
            .column_as(F::Digest.count(), "n")
            .column_as(Expr::from(Func::sum(Expr::col(F::Size))).cast_as("bigint"), "bytes")
            .filter(F::CompactedAt.is_null())
            .filter(F::RemovedAt.is_null())
            .filter(F::StoredAt.lt(millis(stored_before)))
            .into_tuple()
            .one(self.db.jobs_reader())
            .await?;
        let (n, bytes) = found.unwrap_or_default();
        Ok((natural(n)?, natural(bytes.unwrap_or(0))?))
    }

    /// The products with files that are to be compacted; `all`: with any stored file.
    pub async fn products(&self, stored_before: Timestamp, all: bool) -> Result<Vec<ProductToCompact>, RecordError> {
        let mut due = Query::select();
        due.distinct()
            .column((publications::Entity, publications::Column::ProductId))
            .from(files::Entity)
            .inner_join(
                revisions::Entity,
                Expr::col((revisions::Entity, revisions::Column::Digest)).equals((files::Entity, F::Digest)),
            )
            .inner_join(
                publications::Entity,
                Expr::col((publications::Entity, publications::Column::Id))
                    .equals((revisions::Entity, revisions::Column::PublicationId)),
            )
            .and_where(Expr::col((files::Entity, F::RemovedAt)).is_null())
            .and_where(Expr::col((files::Entity, F::StoredAt)).lt(millis(stored_before)));
        if !all {
            due.and_where(Expr::col((files::Entity, F::CompactedAt)).is_null());
        }
        let rows: Vec<(Uuid, String)> = products::Entity::find()
            .select_only()
            .columns([products::Column::Id, products::Column::Name])
            .filter(products::Column::Id.in_subquery(due.to_owned()))
            .order_by(products::Column::Name, Order::Asc)
            .order_by(products::Column::Id, Order::Asc)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?;
        Ok(rows.into_iter().map(|(id, name)| ProductToCompact { id: ProductId(id), name }).collect())
    }

    /// Files of a product in the order of their periods and revisions, each once, and where the next page begins. Damaged files and those
    /// that are being removed are left out.
    pub async fn timeline(
        &self,
        product: ProductId,
        after: Option<TimelineKey>,
    ) -> Result<(Vec<TimelineFile>, Option<TimelineKey>), RecordError> {
        use publications::Column as P;
        use revisions::Column as R;
        let db = self.db.jobs_reader();
        let mut page = publications::Entity::find()
            .select_only()
            .columns([P::Id, P::PeriodStart])
            .filter(P::ProductId.eq(product.0));
        if let Some(TimelineKey { period_start, publication }) = after {
            let later = P::PeriodStart.gt(&period_start);
            page = page.filter(later.or(P::PeriodStart.eq(&period_start).and(P::Id.gt(publication))));
        }
        let page: Vec<(Uuid, String)> = page
            .order_by(P::PeriodStart, Order::Asc)
            .order_by(P::Id, Order::Asc)
            .limit(PAGE)
            .into_tuple()
            .all(db)
            .await?;
        let last = page.last().filter(|_| page.len() as u64 == PAGE);
        let next = last.map(|(id, start)| TimelineKey { period_start: start.clone(), publication: *id });
        let rows: Vec<(Uuid, i32, Digest)> = revisions::Entity::find()
            .select_only()
            .columns([R::PublicationId, R::Number, R::Digest])
            .filter(R::PublicationId.is_in(page.iter().map(|(id, _)| *id)))
            .filter(R::SweptAt.is_null())
            .order_by(R::Number, Order::Asc)
            .into_tuple()
            .all(db)
            .await?;
        let digests: HashSet<Digest> = rows.iter().map(|(.., digest)| *digest).collect();
        let stored = files::Entity::find()
            .filter(F::Digest.is_in(digests.iter().copied()))
            .filter(F::RemovedAt.is_null())
            .filter(F::TombstoneAt.is_null())
            .filter(F::DamagedAt.is_null())
            .all(db)
            .await?;
        let mut stored: HashMap<Digest, files::Model> = stored.into_iter().map(|row| (row.digest, row)).collect();
        let bases: Vec<Digest> = files::Entity::find()
            .select_only()
            .column(F::Base)
            .distinct()
            .filter(F::Base.is_in(digests))
            .filter(F::RemovedAt.is_null())
            .into_tuple()
            .all(db)
            .await?;
        let mut by_publication: HashMap<Uuid, Vec<Digest>> = HashMap::new();
        for (publication, _, digest) in rows {
            by_publication.entry(publication).or_default().push(digest);
        }
        let mut found = Vec::new();
        for (publication, _) in page {
            for digest in by_publication.remove(&publication).unwrap_or_default() {
                // A file that several revisions have is listed with the first.
                let Some(row) = stored.remove(&digest) else { continue };
                found.push(TimelineFile {
                    publication,
                    depth: u8::try_from(row.depth)
                        .map_err(|_| RecordError::Corrupt(format!("the file {digest} has the depth {}", row.depth)))?,
                    is_new: row.compacted_at.is_none(),
                    stored_at: row.stored_at,
                    is_base: bases.contains(&digest),
                    file: stored_file(row)?,
                });
            }
        }
        Ok((found, next))
    }

    /// Notes that a file stays as it is stored.
    pub async fn keep(&self, file: &StoredFile, now: Timestamp) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        files::Entity::update_many()
            .col_expr(F::CompactedAt, Expr::value(millis(now)))
            .filter(F::Digest.eq(file.digest))
            .filter(F::Encoding.eq(file.encoding))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// Records that a file has another object, which was read back. `false` if the row changed meanwhile or the new base cannot be relied
    /// on: the new object is then to be deleted.
    pub async fn replace(
        &self,
        lock: LockHolder<'_>,
        change: &Replacement,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let Replacement { old, new, stored_digest, is_final } = change;
        let txn = self.db.begin().await?;
        locks::require_held(&txn, lock).await?;
        let Some(row) = files::Entity::find_by_id(old.digest).one(&txn).await? else { return Ok(false) };
        let is_same = row.encoding == old.encoding && row.base == old.base && row.stored_size == long(old.stored_size)?;
        let is_sound = row.removed_at.is_none() && row.tombstone_at.is_none() && row.damaged_at.is_none();
        if !is_same || !is_sound {
            return Ok(false);
        }
        let depth = match depth_with(&txn, new.base).await {
            Ok(depth) if depth <= i32::from(crate::domain::DEPTH_MAX) => depth,
            Ok(_) | Err(RecordError::FileGone) => return Ok(false),
            Err(e) => return Err(e),
        };
        // The chains of files that need it would become longer.
        if new.base.is_some() && is_base(&txn, new.digest).await? {
            return Ok(false);
        }
        let changed = files::ActiveModel {
            digest: Set(new.digest),
            stored_size: Set(long(new.stored_size)?),
            encoding: Set(new.encoding),
            base: Set(new.base),
            depth: Set(depth),
            stored_digest: Set(*stored_digest),
            compacted_at: Set(is_final.then(|| millis(now))),
            ..Default::default()
        };
        changed.update_without_returning(&txn).await?;
        resize_products(&txn, new.digest, long(new.stored_size)? - row.stored_size).await?;
        release_base(&txn, &row, new, now).await?;
        txn.commit().await?;
        Ok(true)
    }

    /// Files that no revision has any more and that are stored because others have them as their base.
    pub async fn held_bases(&self, limit: u64) -> Result<Vec<Digest>, RecordError> {
        let mut with_revision = Query::select();
        with_revision
            .expr(Expr::val(1))
            .from(revisions::Entity)
            .and_where(Expr::col((revisions::Entity, revisions::Column::Digest)).equals((files::Entity, F::Base)))
            .and_where(Expr::col((revisions::Entity, revisions::Column::SweptAt)).is_null());
        Ok(files::Entity::find()
            .select_only()
            .column(F::Base)
            .distinct()
            .filter(F::Base.is_not_null())
            .filter(F::RemovedAt.is_null())
            .filter(Expr::exists(with_revision).not())
            .limit(limit)
            .into_tuple()
            .all(self.db.jobs_reader())
            .await?)
    }

    /// The stored files that have a base.
    pub async fn with_base(&self, base: Digest) -> Result<Vec<StoredFile>, RecordError> {
        let rows = files::Entity::find().filter(F::Base.eq(base)).filter(F::RemovedAt.is_null());
        rows.all(self.db.jobs_reader()).await?.into_iter().map(stored_file).collect()
    }
}

async fn is_base<C: ConnectionTrait>(db: &C, file: Digest) -> Result<bool, RecordError> {
    let using = files::Entity::find().filter(F::Base.eq(file)).filter(F::RemovedAt.is_null());
    Ok(using.one(db).await?.is_some())
}
