//! Everything that is broken: damaged files in the order of their digests, then findings in the order of their ids. And what leans on
//! each.
use std::collections::HashSet;

use jiff::Timestamp;
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::Verify;
use crate::domain::{Breakage, Digest, PublicationId, RevisionId, Share, StoredFile, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::entity::{files, findings, revisions};
use crate::engine::record::files::stored_file;
use crate::engine::record::rows::long;

/// The key of damaged files begins with this; findings have other keys.
const FILE: &str = "file:";

/// How long chains of bases are at most.
const CHAIN_MAX: usize = 64;

/// Something broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenItem {
    /// Names it; the order of all items is that of their keys, damaged files first.
    pub key: String,
    pub kind: Breakage,
    pub digest: Option<Digest>,
    /// The damaged file, as it is recorded.
    pub file: Option<StoredFile>,
    pub publication: Option<PublicationId>,
    pub revision: Option<RevisionId>,
    /// When it was found.
    pub since: Timestamp,
    pub detail: String,
}

/// A revision that needs a broken file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub revision: RevisionId,
    pub number: i32,
    pub file_name: String,
    pub publication: PublicationId,
    pub product: Option<String>,
    pub reference_date: Option<String>,
}

#[derive(FromQueryResult)]
struct UseRow {
    id: Uuid,
    number: i32,
    file_name: String,
    publication_id: Uuid,
    name: Option<String>,
    reference_date: Option<String>,
}

impl From<UseRow> for Use {
    fn from(row: UseRow) -> Self {
        Self {
            revision: RevisionId(row.id),
            number: row.number,
            file_name: row.file_name,
            publication: PublicationId(row.publication_id),
            product: row.name,
            reference_date: row.reference_date,
        }
    }
}

fn damaged(share: Share) -> Select<files::Entity> {
    use files::Column as F;
    let range = share.digests();
    let all = files::Entity::find().filter(F::DamagedAt.is_not_null()).filter(F::RemovedAt.is_null());
    if share == Share::ALL { all } else { all.filter(F::Digest.gte(range.first)).filter(F::Digest.lte(range.last)) }
}

fn found(share: Share) -> Result<Select<findings::Entity>, RecordError> {
    use findings::Column as C;
    let all = findings::Entity::find();
    if share == Share::ALL {
        return Ok(all);
    }
    Ok(all.filter(C::Point.gte(long(share.from)?)).filter(C::Point.lt(long(share.to)?)))
}

impl Verify {
    /// How much is broken in a share.
    pub async fn count_broken(&self, share: Share) -> Result<u64, RecordError> {
        Ok(damaged(share).count(self.db.reader()).await? + found(share)?.count(self.db.reader()).await?)
    }

    /// What is broken in a share, after the item with a key.
    pub async fn broken(&self, share: Share, after: Option<&str>, limit: u64) -> Result<Vec<BrokenItem>, RecordError> {
        let (file_after, finding_after) = match after.map(|key| (key, key.strip_prefix(FILE))) {
            None => (Some(None), None),
            Some((_, Some(digest))) => (Some(Some(digest.parse::<Digest>().map_err(|()| no_key(digest))?)), None),
            Some((key, None)) => (None, Some(key)),
        };
        let mut items = Vec::new();
        if let Some(after) = file_after {
            let mut some = damaged(share);
            if let Some(after) = after {
                some = some.filter(files::Column::Digest.gt(after));
            }
            let rows = some.order_by_asc(files::Column::Digest).limit(limit).all(self.db.reader()).await?;
            items = rows.into_iter().map(damaged_item).collect::<Result<_, _>>()?;
        }
        let left = limit.saturating_sub(items.len() as u64);
        if left > 0 {
            let mut some = found(share)?;
            if let Some(after) = finding_after {
                some = some.filter(findings::Column::Id.gt(after));
            }
            let rows = some.order_by_asc(findings::Column::Id).limit(left).all(self.db.reader()).await?;
            items.extend(rows.into_iter().map(found_item));
        }
        Ok(items)
    }

    /// The revisions that need a file, directly or through files that have it as a base, after one of them; and how many there are.
    pub async fn uses(
        &self,
        file: Digest,
        after: Option<RevisionId>,
        limit: u64,
    ) -> Result<(Vec<Use>, u64), RecordError> {
        use revisions::Column as R;
        let needing = self.needing(file).await?;
        let all = revisions::Entity::find().filter(R::Digest.is_in(needing)).filter(R::SweptAt.is_null());
        let total = all.clone().count(self.db.reader()).await?;
        let page = match after {
            Some(after) => all.filter(R::Id.gt(after.0)),
            None => all,
        };
        Ok((self.use_rows(page.limit(limit)).await?, total))
    }

    /// The newest revision that has a file and was not removed.
    pub async fn newest_with(&self, file: Digest) -> Result<Option<RevisionId>, RecordError> {
        use revisions::Column as R;
        let id: Option<Uuid> = revisions::Entity::find()
            .select_only()
            .column(R::Id)
            .filter(R::Digest.eq(file))
            .filter(R::PurgedAt.is_null())
            .order_by_desc(R::Id)
            .into_tuple()
            .one(self.db.reader())
            .await?;
        Ok(id.map(RevisionId))
    }

    /// The revision of a finding, or the revisions of its publication.
    pub async fn uses_of_rows(
        &self,
        publication: Option<PublicationId>,
        revision: Option<RevisionId>,
        limit: u64,
    ) -> Result<Vec<Use>, RecordError> {
        use revisions::Column as R;
        let of = match (revision, publication) {
            (Some(id), _) => R::Id.eq(id.0),
            (None, Some(id)) => R::PublicationId.eq(id.0),
            (None, None) => return Ok(Vec::new()),
        };
        self.use_rows(revisions::Entity::find().filter(of).limit(limit)).await
    }

    async fn use_rows(&self, some: Select<revisions::Entity>) -> Result<Vec<Use>, RecordError> {
        use revisions::Column as R;
        let of_publication = |column: &str| {
            let sql = format!(
                "(SELECT {column} FROM publications p LEFT JOIN products o ON o.id = p.product_id WHERE p.id = revisions.publication_id)"
            );
            Expr::cust(sql)
        };
        let rows: Vec<UseRow> = some
            .select_only()
            .columns([R::Id, R::Number, R::FileName, R::PublicationId])
            .column_as(of_publication("o.name"), "name")
            .column_as(of_publication("p.reference_date"), "reference_date")
            .order_by_asc(R::Id)
            .into_model()
            .all(self.db.reader())
            .await?;
        Ok(rows.into_iter().map(Use::from).collect())
    }

    /// A file, and all stored files that cannot be decoded without it.
    async fn needing(&self, file: Digest) -> Result<Vec<Digest>, RecordError> {
        use files::Column as F;
        let mut all = HashSet::from([file]);
        let mut last = vec![file];
        for _ in 0..CHAIN_MAX {
            let next: Vec<Digest> = files::Entity::find()
                .select_only()
                .column(F::Digest)
                .filter(F::Base.is_in(last))
                .filter(F::RemovedAt.is_null())
                .into_tuple()
                .all(self.db.reader())
                .await?;
            last = next.into_iter().filter(|digest| all.insert(*digest)).collect();
            if last.is_empty() {
                break;
            }
        }
        Ok(all.into_iter().collect())
    }
}

fn no_key(key: &str) -> RecordError {
    RecordError::Corrupt(format!("`{FILE}{key}` is not the key of a damaged file"))
}

fn damaged_item(row: files::Model) -> Result<BrokenItem, RecordError> {
    let no_time = || RecordError::Corrupt(format!("the file {} has no time of damage", row.digest));
    let since = timestamp(row.damaged_at.ok_or_else(no_time)?);
    // Found by an earlier version, which did not tell kinds apart.
    let kind = row.damage.unwrap_or(Breakage::Unreadable);
    Ok(BrokenItem {
        key: format!("{FILE}{}", row.digest),
        kind,
        digest: Some(row.digest),
        publication: None,
        revision: None,
        since,
        detail: String::new(),
        file: Some(stored_file(row)?),
    })
}

fn found_item(row: findings::Model) -> BrokenItem {
    BrokenItem {
        key: row.id,
        kind: row.kind,
        digest: row.digest,
        file: None,
        publication: row.publication_id.map(PublicationId),
        revision: row.revision_id.map(RevisionId),
        since: timestamp(row.found_at),
        detail: row.detail,
    }
}
