//! Keys of the API: when each was last used, and which were revoked.
use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, Set};

use super::db::Db;
use super::entity::{key_uses, revoked_keys};
use super::{RecordError, batch};
use crate::domain::{Digest, millis, timestamp};

/// A key that is refused although the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedKey {
    pub hash: Digest,
    pub at: Timestamp,
}

/// Keys of the API: when each was last used, and which were revoked.
#[derive(Clone)]
pub struct Keys {
    pub(super) db: Db,
}

impl Keys {
    /// When each key was last used, by name.
    pub async fn last_uses(&self) -> Result<HashMap<String, Timestamp>, RecordError> {
        let rows = key_uses::Entity::find().all(self.db.jobs_reader()).await?;
        Ok(rows.into_iter().map(|row| (row.name, timestamp(row.last_used_at))).collect())
    }

    pub async fn note_uses(&self, uses: &[(String, Timestamp)]) -> Result<(), RecordError> {
        let rows = uses
            .iter()
            .map(|(name, at)| key_uses::ActiveModel { name: Set(name.clone()), last_used_at: Set(millis(*at)) });
        let replace = OnConflict::column(key_uses::Column::Name).update_column(key_uses::Column::LastUsedAt).to_owned();
        let txn = self.db.begin().await?;
        batch::insert(&txn, rows.collect(), Some(replace)).await?;
        Ok(txn.commit().await?)
    }

    pub async fn revoked(&self) -> Result<Vec<RevokedKey>, RecordError> {
        let rows = revoked_keys::Entity::find().all(self.db.jobs_reader()).await?;
        let key = |row: revoked_keys::Model| {
            let hash = row.hash.parse();
            let hash =
                hash.map_err(|()| RecordError::Corrupt(format!("the hash of the revoked key `{}`", row.name)))?;
            Ok(RevokedKey { hash, at: timestamp(row.revoked_at) })
        };
        rows.into_iter().map(key).collect()
    }

    /// Revokes a key. One that was revoked before keeps its time.
    pub async fn revoke(&self, hash: Digest, name: &str, at: Timestamp) -> Result<(), RecordError> {
        let row = revoked_keys::ActiveModel {
            hash: Set(hash.to_string()),
            name: Set(name.to_owned()),
            revoked_at: Set(millis(at)),
        };
        let once = OnConflict::column(revoked_keys::Column::Hash).do_nothing().to_owned();
        let txn = self.db.begin().await?;
        batch::insert(&txn, vec![row], Some(once)).await?;
        Ok(txn.commit().await?)
    }
}
