//! Holds: users protect revisions from retention.
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use crate::domain::{ChangeKind, PublicationId, RevisionId, millis};
use crate::engine::record::db::Db;
use crate::engine::record::entity::revisions;
use crate::engine::record::{RecordError, feed};

/// Why a hold cannot be set or lifted.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("the revision {0} does not exist")]
    Missing(RevisionId),
    #[error("the revision {0} is removed already; within the grace period `acervo retention undo {1}` restores it")]
    Purged(RevisionId, String),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<DbErr> for HoldError {
    fn from(error: DbErr) -> Self {
        Self::Record(error.into())
    }
}

/// Revisions that are protected from retention.
#[derive(Clone)]
pub struct Holds {
    pub(in crate::engine::record) db: Db,
}

impl Holds {
    /// Protects a revision from retention.
    pub async fn hold(&self, id: RevisionId, reason: &str, by: &str, now: Timestamp) -> Result<(), HoldError> {
        self.set_hold(id, Some((reason, by)), now).await
    }

    pub async fn release(&self, id: RevisionId, now: Timestamp) -> Result<(), HoldError> {
        self.set_hold(id, None, now).await
    }

    async fn set_hold(&self, id: RevisionId, hold: Option<(&str, &str)>, now: Timestamp) -> Result<(), HoldError> {
        use revisions::Column as C;
        let txn = self.db.begin().await?;
        let row = revisions::Entity::find_by_id(id.0).one(&txn).await?.ok_or(HoldError::Missing(id))?;
        if row.purged_at.is_some() && hold.is_some() {
            let run = row.purge_run;
            let run = run.ok_or_else(|| RecordError::Corrupt(format!("the revision {id} was removed by no run")))?;
            return Err(HoldError::Purged(id, run));
        }
        revisions::Entity::update_many()
            .col_expr(C::Held, Expr::value(hold.is_some()))
            .col_expr(C::HoldReason, Expr::value(hold.map(|(reason, _)| reason)))
            .col_expr(C::HeldBy, Expr::value(hold.map(|(_, by)| by)))
            .col_expr(C::HeldAt, Expr::value(hold.map(|_| millis(now))))
            .filter(C::Id.eq(id.0))
            .exec(&txn)
            .await?;
        let kind = if hold.is_some() { ChangeKind::Held } else { ChangeKind::Released };
        feed::append(&txn, millis(now), vec![(kind, PublicationId(row.publication_id), Some(id))]).await?;
        txn.commit().await?;
        self.db.notify_feed();
        Ok(())
    }
}
