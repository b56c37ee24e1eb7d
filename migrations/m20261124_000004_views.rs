//! The views for tools that read only SQL: `bi_products`, `bi_publications`, `bi_revisions`, `bi_notifications`, with the
//! columns of the API in snake case, alike on SQLite and PostgreSQL. No link is in them. `bi_version` counts up whenever a
//! column changes its meaning; columns are added without that.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let dialect = match manager.get_database_backend() {
            sea_orm::DbBackend::Sqlite => Dialect::Sqlite,
            _ => Dialect::Postgres,
        };
        for view in views(dialect) {
            manager.get_connection().execute_unprepared(&view).await?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// An id as text, with its dashes.
    fn id(self, column: &str) -> String {
        match self {
            // Kept as sixteen bytes there.
            Self::Sqlite => format!(
                "lower(substr(hex({column}), 1, 8) || '-' || substr(hex({column}), 9, 4) || '-' || \
                 substr(hex({column}), 13, 4) || '-' || substr(hex({column}), 17, 4) || '-' || substr(hex({column}), 21))"
            ),
            Self::Postgres => format!("CAST({column} AS text)"),
        }
    }

    /// The same where it may be absent.
    fn optional_id(self, column: &str) -> String {
        format!("CASE WHEN {column} IS NULL THEN NULL ELSE {} END", self.id(column))
    }

    fn digest(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("CASE WHEN {column} IS NULL THEN NULL ELSE lower(hex({column})) END"),
            Self::Postgres => format!("encode({column}, 'hex')"),
        }
    }

    /// Milliseconds as an instant: ISO 8601 in UTC on SQLite, which has no type for it.
    fn instant(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"),
            Self::Postgres => format!("to_timestamp({column} / 1000.0)"),
        }
    }

    /// São Paulo wall clock.
    fn wall(self, column: &str) -> String {
        match self {
            Self::Sqlite => column.to_owned(),
            Self::Postgres => format!("CAST({column} AS timestamp)"),
        }
    }
}

fn views(d: Dialect) -> Vec<String> {
    let products = format!(
        "CREATE VIEW bi_products AS SELECT {id} AS id, p.name, p.process, p.macro_process, p.list_path, \
         p.publication_count, p.revision_count, p.size, p.stored_size, {first} AS first_period_start, \
         {last} AS last_period_end FROM products p",
        id = d.id("p.id"),
        first = d.wall("p.first_period_start"),
        last = d.wall("p.last_period_end"),
    );
    let publications = format!(
        "CREATE VIEW bi_publications AS SELECT {id} AS id, {product} AS product_id, o.name, p.process, p.macro_process, \
         p.reference_date, {start} AS period_start, {end} AS period_end, p.granularity, \
         CASE WHEN r.id IS NULL THEN p.status WHEN r.purged_at IS NOT NULL THEN 'PURGED' ELSE 'ARCHIVED' END AS status, \
         {revision} AS revision_id, r.number AS revision_number, p.revision_count, r.file_name, \
         r.extension AS file_extension, r.content_type, f.size, f.stored_size, {sha256} AS sha256, \
         CASE WHEN r.id IS NOT NULL AND r.purged_at IS NULL THEN '/files/' || {revision} END AS file_url, \
         {received} AS received_at, {archived} AS archived_at \
         FROM publications p JOIN products o ON o.id = p.product_id \
         LEFT JOIN revisions r ON r.id = p.latest_revision_id LEFT JOIN files f ON f.digest = r.digest",
        id = d.id("p.id"),
        product = d.id("p.product_id"),
        start = d.wall("p.period_start"),
        end = d.wall("p.period_end"),
        revision = d.optional_id("r.id"),
        sha256 = d.digest("r.digest"),
        received = d.instant("COALESCE(r.received_at, p.received_at)"),
        archived = d.instant("r.archived_at"),
    );
    let revisions = format!(
        "CREATE VIEW bi_revisions AS SELECT {id} AS id, {publication} AS publication_id, r.number, o.name, p.process, \
         p.reference_date, {start} AS period_start, {end} AS period_end, r.file_name, r.extension AS file_extension, \
         r.content_type, f.size, f.stored_size, {sha256} AS sha256, \
         CASE WHEN r.purged_at IS NULL THEN '/files/' || {id} END AS file_url, {announced} AS announced_at, \
         {received} AS received_at, {archived} AS archived_at, {superseded} AS superseded_at, {purged} AS purged_at, \
         r.held, r.hold_reason FROM revisions r JOIN publications p ON p.id = r.publication_id \
         JOIN products o ON o.id = p.product_id JOIN files f ON f.digest = r.digest",
        id = d.id("r.id"),
        publication = d.id("r.publication_id"),
        start = d.wall("p.period_start"),
        end = d.wall("p.period_end"),
        sha256 = d.digest("r.digest"),
        announced = d.instant("r.announced_at"),
        received = d.instant("r.received_at"),
        archived = d.instant("r.archived_at"),
        superseded = d.instant("r.superseded_at"),
        purged = d.instant("r.purged_at"),
    );
    let notifications = format!(
        "CREATE VIEW bi_notifications AS SELECT {id} AS id, {received} AS received_at, n.source, n.status, n.attempts, \
         {next} AS next_attempt_at, {expires} AS link_expires_at, n.error, n.name, n.process, n.macro_process, \
         n.reference_date, {start} AS period_start, {end} AS period_end, {product} AS product_id, \
         {publication} AS publication_id, {revision} AS revision_id FROM notifications n",
        id = d.id("n.id"),
        received = d.instant("n.received_at"),
        next = d.instant("n.next_attempt_at"),
        expires = d.instant("n.link_expires_at"),
        start = d.wall("n.period_start"),
        end = d.wall("n.period_end"),
        product = d.optional_id("n.product_id"),
        publication = d.optional_id("n.publication_id"),
        revision = d.optional_id("n.revision_id"),
    );
    let version = "CREATE VIEW bi_version AS SELECT 1 AS version".to_owned();
    vec![products, publications, revisions, notifications, version]
}
