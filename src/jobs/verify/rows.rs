//! Rows that refer to rows that do not exist. In the same order, the rows are compared with the search index.
use super::index::Comparison;
use super::run::Pass;
use crate::domain::{Breakage, PublicationId, RevisionId, Share};
use crate::engine::record::{Finding, OrphanRevision, PublicationRefs};

/// Publications compared at once.
const PAGE: u64 = 5000;

/// Publications read in one statement.
const AT_ONCE: usize = 500;

impl Pass<'_> {
    /// Compares rows with each other and with the index. Returns whether the index could be compared.
    pub async fn verify_rows(&mut self) -> anyhow::Result<bool> {
        let mut comparison = Comparison::begin(self).await?;
        let mut after = None;
        loop {
            self.check()?;
            let ids = self.app.record.history().publication_ids_after(after, PAGE).await?;
            let is_last = (ids.len() as u64) < PAGE;
            let to = ids.last().copied().filter(|_| !is_last);
            let own: Vec<PublicationId> = ids.into_iter().filter(|id| self.has(id.0)).collect();
            let rows = self.rows_of(&own).await?;
            self.find_dangling(&rows).await?;
            comparison.compare(self, &rows, to).await?;
            after = to;
            if is_last {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.find_lost_revisions().await?;
        comparison.end(self).await
    }

    /// Whether a row is in the share.
    pub fn has(&self, id: uuid::Uuid) -> bool {
        self.run.share.contains(Share::point_of_row(id))
    }

    pub async fn rows_of(&self, ids: &[PublicationId]) -> anyhow::Result<Vec<PublicationRefs>> {
        let mut rows = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            self.check()?;
            rows.extend(self.app.record.verify().publications(some).await?);
        }
        Ok(rows)
    }

    /// Publications that refer to a product or a revision that does not exist.
    async fn find_dangling(&self, rows: &[PublicationRefs]) -> anyhow::Result<()> {
        let mut found = Vec::new();
        for row in rows {
            let mut add = |what: &str, detail: String| {
                found.push(Finding {
                    id: format!("dangling:publication:{}:{what}", row.id),
                    kind: Breakage::Dangling,
                    point: Share::point_of_row(row.id.0),
                    digest: None,
                    publication: Some(row.id),
                    revision: None,
                    detail,
                });
            };
            if !row.has_product {
                add(
                    "product",
                    format!("the publication {} has the product {}, which does not exist", row.id, row.product),
                );
            }
            if let Some(latest) = row.latest.filter(|latest| !row.revisions.contains(latest)) {
                add(
                    "latest",
                    format!("the latest revision of the publication {} is {latest}, which it does not have", row.id),
                );
            }
        }
        self.save_findings(&found).await
    }

    /// Revisions whose publication does not exist.
    async fn find_lost_revisions(&self) -> anyhow::Result<()> {
        let mut after: Option<RevisionId> = None;
        loop {
            self.check()?;
            let lost = self.app.record.verify().without_publication(after, AT_ONCE as u64).await?;
            let own = lost.iter().filter(|row| self.has(row.publication.0));
            let finding = |row: &OrphanRevision| Finding {
                id: format!("dangling:revision:{}", row.revision),
                kind: Breakage::Dangling,
                point: Share::point_of_row(row.publication.0),
                digest: None,
                publication: None,
                revision: Some(row.revision),
                detail: format!(
                    "the revision {} has the publication {}, which does not exist",
                    row.revision, row.publication
                ),
            };
            self.save_findings(&own.map(finding).collect::<Vec<_>>()).await?;
            match lost.last() {
                Some(last) if lost.len() == AT_ONCE => after = Some(last.revision),
                Some(_) | None => return Ok(()),
            }
        }
    }
}
