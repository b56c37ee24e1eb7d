//! Findings: what is broken apart from damaged files.
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::Verify;
use crate::domain::{Breakage, Digest, PublicationId, RevisionId, Share, millis};
use crate::engine::record::entity::findings;
use crate::engine::record::rows::long;
use crate::engine::record::{RecordError, batch};
use findings::Column as C;

/// Something broken that is not a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The same for what is found again.
    pub id: String,
    pub kind: Breakage,
    /// Its point, see [`Share`].
    pub point: u64,
    pub digest: Option<Digest>,
    pub publication: Option<PublicationId>,
    pub revision: Option<RevisionId>,
    pub detail: String,
}

/// What findings of a run are marked with once it was interrupted.
fn before_interruption(run: &str) -> String {
    format!("{run}/before")
}

impl Verify {
    /// Records findings of a run; what was found before keeps its time.
    pub async fn save_findings(&self, run: &str, found: &[Finding], now: Timestamp) -> Result<(), RecordError> {
        if found.is_empty() {
            return Ok(());
        }
        let row = |finding: &Finding| {
            Ok(findings::ActiveModel {
                id: Set(finding.id.clone()),
                kind: Set(finding.kind),
                point: Set(long(finding.point)?),
                digest: Set(finding.digest),
                publication_id: Set(finding.publication.map(|id| id.0)),
                revision_id: Set(finding.revision.map(|id| id.0)),
                detail: Set(finding.detail.clone()),
                found_at: Set(millis(now)),
                run: Set(run.to_owned()),
            })
        };
        let rows: Vec<_> = found.iter().map(row).collect::<Result<_, RecordError>>()?;
        let known = OnConflict::column(C::Id).update_columns([C::Kind, C::Point, C::Detail, C::Run]).to_owned();
        let txn = self.db.begin().await?;
        batch::insert(&txn, rows, Some(known)).await?;
        Ok(txn.commit().await?)
    }

    /// Marks the findings of a run as those of its part before an interruption. What it finds again is marked as its own, and
    /// [`Verify::forget_others`] forgets the rest.
    pub async fn doubt_findings(&self, run: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        findings::Entity::update_many()
            .col_expr(C::Run, Expr::value(before_interruption(run)))
            .filter(C::Run.eq(run))
            .exec(&txn)
            .await?;
        Ok(txn.commit().await?)
    }

    /// The files of which a run found something before it was interrupted, and has not found it again; after one, in order.
    pub async fn doubted_files(
        &self,
        run: &str,
        after: Option<Digest>,
        limit: u64,
    ) -> Result<Vec<Digest>, RecordError> {
        let mut found = findings::Entity::find()
            .select_only()
            .column(C::Digest)
            .distinct()
            .filter(C::Run.eq(before_interruption(run)))
            .filter(C::Digest.is_not_null());
        if let Some(after) = after {
            found = found.filter(C::Digest.gt(after));
        }
        Ok(found.order_by_asc(C::Digest).limit(limit).into_tuple().all(self.db.reader()).await?)
    }

    /// Forgets a finding that was repaired.
    pub async fn forget_finding(&self, id: &str) -> Result<(), RecordError> {
        let txn = self.db.begin().await?;
        findings::Entity::delete_by_id(id).exec(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Forgets what a finished run did not find any more in its share. If the index could not be checked, findings of the index stay.
    pub async fn forget_others(&self, run: &str, share: Share, was_index_checked: bool) -> Result<(), RecordError> {
        let mut gone = findings::Entity::delete_many()
            .filter(C::Point.gte(long(share.from)?))
            .filter(C::Point.lt(long(share.to)?))
            .filter(C::Run.ne(run));
        if !was_index_checked {
            gone = gone.filter(C::Kind.is_not_in([Breakage::NotIndexed, Breakage::NotRecorded]));
        }
        let txn = self.db.begin().await?;
        gone.exec(&txn).await?;
        Ok(txn.commit().await?)
    }
}
