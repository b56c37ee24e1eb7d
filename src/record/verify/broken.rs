//! Everything that is broken: damaged files, each after those that it is decoded with, then findings in the order of their ids. So a
//! repair in this order mends the base of a file before the file.
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::Verify;
use crate::domain::{Breakage, Digest, PublicationId, RevisionId, Share, StoredFile, timestamp};
use crate::engine::record::RecordError;
use crate::engine::record::entity::{files, findings};
use crate::engine::record::files::stored_file;
use crate::engine::record::rows::long;

/// The key of a damaged file begins with this; then come its depth (the number of bases decoded before it) and its digest. Findings
/// have other keys.
const FILE: &str = "file:";

/// The longest key of a finding.
const KEY_MAX: usize = 300;

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

impl BrokenItem {
    /// Whether a text can be the key of an item.
    pub fn is_key(text: &str) -> bool {
        match text.strip_prefix(FILE) {
            Some(place) => parse_place(place).is_some(),
            None => !text.is_empty() && text.len() <= KEY_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()),
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
        use files::Column as F;
        let (file_after, finding_after) = match after.map(|key| (key, key.strip_prefix(FILE))) {
            None => (Some(None), None),
            Some((_, Some(place))) => (Some(Some(parse_place(place).ok_or_else(|| no_key(place))?)), None),
            Some((key, None)) => (None, Some(key)),
        };
        let mut items = Vec::new();
        if let Some(after) = file_after {
            let mut some = damaged(share);
            if let Some((depth, digest)) = after {
                let same_depth = Condition::all().add(F::Depth.eq(depth)).add(F::Digest.gt(digest));
                some = some.filter(Condition::any().add(F::Depth.gt(depth)).add(same_depth));
            }
            let ordered = some.order_by_asc(F::Depth).order_by_asc(F::Digest);
            let rows = ordered.limit(limit).all(self.db.reader()).await?;
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
}

fn place(row: &files::Model) -> String {
    format!("{FILE}{}:{}", row.depth, row.digest)
}

fn parse_place(text: &str) -> Option<(i32, Digest)> {
    let (depth, digest) = text.split_once(':')?;
    Some((depth.parse().ok()?, digest.parse().ok()?))
}

fn no_key(place: &str) -> RecordError {
    RecordError::Corrupt(format!("`{FILE}{place}` is not the key of a damaged file"))
}

fn damaged_item(row: files::Model) -> Result<BrokenItem, RecordError> {
    let no_time = || RecordError::Corrupt(format!("the file {} has no time of damage", row.digest));
    let since = timestamp(row.damaged_at.ok_or_else(no_time)?);
    // Found by an earlier version, which did not tell kinds apart.
    let kind = row.damage.unwrap_or(Breakage::Unreadable);
    Ok(BrokenItem {
        key: place(&row),
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
