//! Sessions of people who logged in on the page.
use jiff::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::db::Db;
use super::entity::sessions::{self, Column};
use super::{RecordError, batch};
use crate::domain::{Digest, millis, timestamp};

/// A session: whoever has its token acts with the rights of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of the token in the browser's cookie.
    pub hash: Digest,
    /// The hash of the key that was logged in with.
    pub key: Digest,
    pub started_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Sessions of people who logged in on the page.
#[derive(Clone)]
pub struct Sessions {
    pub(super) db: Db,
}

impl Sessions {
    pub async fn find(&self, hash: Digest) -> Result<Option<Session>, RecordError> {
        let row = sessions::Entity::find_by_id(hash.to_string()).one(self.db.reader()).await?;
        row.map(session).transpose()
    }

    /// Begins a session. Deletes those that have expired, and the oldest ones of the same key beyond `per_key`.
    pub async fn begin(&self, new: &Session, per_key: u64) -> Result<(), RecordError> {
        let row = sessions::ActiveModel {
            hash: Set(new.hash.to_string()),
            key_hash: Set(new.key.to_string()),
            started_at: Set(millis(new.started_at)),
            expires_at: Set(millis(new.expires_at)),
        };
        let txn = self.db.begin().await?;
        sessions::Entity::delete_many().filter(Column::ExpiresAt.lte(millis(new.started_at))).exec(&txn).await?;
        let of_key = sessions::Entity::find().filter(Column::KeyHash.eq(new.key.to_string()));
        let surplus = (of_key.clone().count(&txn).await? + 1).saturating_sub(per_key);
        if surplus > 0 {
            let oldest = of_key.order_by_asc(Column::StartedAt).order_by_asc(Column::Hash).limit(surplus);
            let hashes = oldest.all(&txn).await?.into_iter().map(|row| row.hash);
            sessions::Entity::delete_many().filter(Column::Hash.is_in(hashes)).exec(&txn).await?;
        }
        batch::insert(&txn, vec![row], None).await?;
        Ok(txn.commit().await?)
    }

    /// Ends a session, if there is such a one.
    pub async fn end(&self, hash: Digest) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        sessions::Entity::delete_by_id(hash.to_string()).exec(&txn).await?;
        Ok(txn.commit().await?)
    }
}

fn session(row: sessions::Model) -> Result<Session, RecordError> {
    let digest = |hash: &str| hash.parse().map_err(|()| RecordError::Corrupt("the hash of a session".to_owned()));
    Ok(Session {
        hash: digest(&row.hash)?,
        key: digest(&row.key_hash)?,
        started_at: timestamp(row.started_at),
        expires_at: timestamp(row.expires_at),
    })
}
