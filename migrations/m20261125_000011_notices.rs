//! Warnings of notifications, and what a replay announced that was known before it. Folded names lose the characters that
//! have no width, as names that are folded from now on do.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Characters without width that turn up in names: soft hyphen, zero width space and joiners, directional marks, word joiner,
/// byte order mark.
const INVISIBLE: &[char] = &[
    '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2060}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{feff}',
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == sea_orm::DbBackend::Sqlite;
        let mut statements: Vec<String> = [
            // A JSON list of texts; absent where there is none.
            "ALTER TABLE notifications ADD COLUMN warnings text",
            "CREATE INDEX notifications_warned ON notifications (received_at) WHERE warnings IS NOT NULL",
            // When the first notification of it came; absent where that was before this column.
            "ALTER TABLE publications ADD COLUMN first_received_at bigint",
            "ALTER TABLE replays ADD COLUMN known bigint NOT NULL DEFAULT 0",
            "UPDATE replays SET known = (SELECT count(*) FROM notifications n WHERE n.replay_id = replays.id \
             AND EXISTS (SELECT 1 FROM notifications e WHERE e.product_id = n.product_id \
             AND e.received_at < replays.started_at AND e.publication_id = n.publication_id))",
        ]
        .map(str::to_owned)
        .into();
        statements.push(folded_again("notifications", "name_folded", ""));
        statements.push(folded_again("product_aliases", "name_folded", ""));
        // Two products that differ only in such characters stay two.
        let free = |bare: &str| format!("AND NOT EXISTS (SELECT 1 FROM products o WHERE o.identity = {bare})");
        statements.push(folded_again("products", "identity", &free(&bare("products.identity"))));
        statements.push("DROP VIEW bi_notifications".to_owned());
        statements.push(view(is_sqlite));
        for statement in statements {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}

/// A column without the invisible characters.
fn bare(column: &str) -> String {
    INVISIBLE.iter().fold(column.to_owned(), |inner, c| format!("replace({inner}, '{c}', '')"))
}

/// Takes the invisible characters out of a column, where the rest holds.
fn folded_again(table: &str, column: &str, and: &str) -> String {
    let bare = bare(column);
    format!("UPDATE {table} SET {column} = {bare} WHERE {column} <> {bare} {and}")
}

/// The view as it was, with the warnings.
fn view(is_sqlite: bool) -> String {
    let id = |column: &str| match is_sqlite {
        true => format!(
            "CASE WHEN {column} IS NULL THEN NULL ELSE lower(substr(hex({column}), 1, 8) || '-' || \
             substr(hex({column}), 9, 4) || '-' || substr(hex({column}), 13, 4) || '-' || substr(hex({column}), 17, 4) || \
             '-' || substr(hex({column}), 21)) END"
        ),
        false => format!("CAST({column} AS text)"),
    };
    let instant = |column: &str| match is_sqlite {
        true => format!("strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"),
        false => format!("to_timestamp({column} / 1000.0)"),
    };
    let wall = |column: &str| match is_sqlite {
        true => column.to_owned(),
        false => format!("CAST({column} AS timestamp)"),
    };
    format!(
        "CREATE VIEW bi_notifications AS SELECT {id} AS id, {received} AS received_at, n.source, n.status, n.attempts, \
         {next} AS next_attempt_at, {expires} AS link_expires_at, n.error, n.name, n.process, n.macro_process, \
         n.reference_date, {start} AS period_start, {end} AS period_end, {product} AS product_id, \
         {publication} AS publication_id, {revision} AS revision_id, COALESCE(n.warnings, '[]') AS warnings \
         FROM notifications n",
        id = id("n.id"),
        received = instant("n.received_at"),
        next = instant("n.next_attempt_at"),
        expires = instant("n.link_expires_at"),
        start = wall("n.period_start"),
        end = wall("n.period_end"),
        product = id("n.product_id"),
        publication = id("n.publication_id"),
        revision = id("n.revision_id"),
    )
}
