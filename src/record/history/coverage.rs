//! What coverage is judged by: the newest publications of each product, and those of a span of days. However long the history of a
//! product is, a bounded number of its rows is read, and however many products, one statement reads them.
use jiff::Timestamp;
use jiff::civil::Date;
use sea_orm::{DbBackend, Statement};

use super::History;
use crate::domain::{Period, ProductId, PublicationId, PublicationStatus};
use crate::engine::record::RecordError;
use crate::engine::record::pack::{PackedRow, packed};

packed! {
    /// A publication as coverage sees it.
    pub struct CoveredPublication from "publications p" {
        id: PublicationId = "p.id",
        product_id: ProductId = "p.product_id",
        period: Period = "p.period",
        /// Of the latest revision.
        status: PublicationStatus = "p.status",
        /// When the last notification was received.
        received_at: Timestamp = "p.received_at",
        /// When its first file was archived.
        archived_at: Option<Timestamp> = "(SELECT MIN(r.archived_at) FROM revisions r WHERE r.publication_id = p.id)",
    }
}

impl History {
    /// The newest publications of each of some products, `each` at most, by the start of their periods.
    pub async fn newest_publications(
        &self,
        products: &[ProductId],
        each: usize,
    ) -> Result<Vec<CoveredPublication>, RecordError> {
        let backend = self.db.reader().get_database_backend();
        let newest = format!("FROM publications q WHERE q.product_id = o.id ORDER BY q.period_start DESC LIMIT {each}");
        let from = match backend {
            DbBackend::Sqlite => {
                format!("products o JOIN publications p ON p.rowid IN (SELECT q.rowid {newest})")
            }
            _ => format!("products o CROSS JOIN LATERAL (SELECT q.* {newest}) p"),
        };
        let condition = format!("o.id IN ({})", placeholders(backend, 1, products.len()));
        self.covered(&from, &condition, products, &[]).await
    }

    /// The publications of some products whose periods start within a span of days, both included.
    pub async fn publications_within(
        &self,
        products: &[ProductId],
        from: Date,
        to: Date,
    ) -> Result<Vec<CoveredPublication>, RecordError> {
        let backend = self.db.reader().get_database_backend();
        let parameters = placeholders(backend, 1, products.len());
        let [first, last] = [1, 2].map(|n| placeholders(backend, products.len() + n, 1));
        // Periods are stored as ISO 8601, so they sort as texts: no time of the last day comes after its 24th hour.
        let condition =
            format!("p.product_id IN ({parameters}) AND p.period_start >= {first} AND p.period_start < {last}");
        let days = [from.to_string(), format!("{to}T24")];
        self.covered(CoveredPublication::FROM, &condition, products, &days).await
    }

    async fn covered(
        &self,
        from: &str,
        condition: &str,
        products: &[ProductId],
        texts: &[String],
    ) -> Result<Vec<CoveredPublication>, RecordError> {
        if products.is_empty() {
            return Ok(Vec::new());
        }
        let backend = self.db.reader().get_database_backend();
        let sql = format!("{} WHERE {condition}", CoveredPublication::select_from(backend, from));
        let values: Vec<sea_orm::Value> =
            products.iter().map(|id| id.0.into()).chain(texts.iter().map(|text| text.as_str().into())).collect();
        self.read_packed(Statement::from_sql_and_values(backend, sql, values)).await
    }
}

/// The parameters of a statement from a number on.
fn placeholders(backend: DbBackend, first: usize, count: usize) -> String {
    let names: Vec<String> = match backend {
        // SQLite compares the names of all parameters for each that has one.
        DbBackend::Sqlite => vec!["?".to_owned(); count],
        _ => (first..first + count).map(|n| format!("${n}")).collect(),
    };
    names.join(",")
}
