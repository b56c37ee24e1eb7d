//! Products, publications, revisions, files and their members, notifications, and the feed of changes.
//!
//! Instants are milliseconds since 1970 in UTC; wall clock readings are text of 19 characters, which sorts.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        // Of what still wants a file, and so of a few rows among many.
        let open = "CREATE INDEX notifications_file ON notifications (file_key) WHERE next_attempt_at IS NOT NULL";
        manager.get_connection().execute_unprepared(open).await?;
        Ok(())
    }
}

fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).uuid().not_null().primary_key().to_owned()
}

fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).uuid().not_null().to_owned()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).text().not_null().to_owned()
}

fn long(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).big_integer().not_null().to_owned()
}

fn int(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).integer().not_null().to_owned()
}

fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).boolean().not_null().to_owned()
}

fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).binary().not_null().to_owned()
}

fn optional(mut column: ColumnDef) -> ColumnDef {
    column.null().to_owned()
}

fn table(name: &'static str, columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create().table(Alias::new(name)).to_owned();
    for column in columns {
        table.col(column);
    }
    table
}

fn tables() -> Vec<TableCreateStatement> {
    let products = table(
        "products",
        vec![
            id("id"),
            text("identity").unique_key().to_owned(),
            optional(text("list_path")),
            text("name"),
            text("process"),
            text("macro_process"),
            int("publication_count"),
            int("revision_count"),
            long("size"),
            long("stored_size"),
            optional(text("first_period_start")),
            optional(text("last_period_end")),
        ],
    );
    let mut aliases = table(
        "product_aliases",
        vec![uuid("product_id"), text("name"), text("name_folded"), long("first_seen_at"), long("last_seen_at")],
    );
    aliases.primary_key(Index::create().col(Alias::new("product_id")).col(Alias::new("name")));
    let publications = table(
        "publications",
        vec![
            id("id"),
            uuid("product_id"),
            text("process"),
            text("macro_process"),
            text("reference_date"),
            text("period_start"),
            text("period_end"),
            text("granularity"),
            text("status"),
            long("announced_at"),
            // Of the last notification; what is shown while there is no revision.
            long("received_at"),
            optional(uuid("latest_revision_id")),
            int("revision_count"),
        ],
    );
    let revisions = table(
        "revisions",
        vec![
            id("id"),
            uuid("publication_id"),
            int("number"),
            uuid("notification_id"),
            bytes("digest"),
            text("file_name"),
            optional(text("extension")),
            optional(text("content_type")),
            // When its content was announced last, and by which notification.
            long("announced_at"),
            uuid("announced_by"),
            long("received_at"),
            long("archived_at"),
            optional(long("superseded_at")),
            optional(long("purged_at")),
            flag("held"),
            optional(text("hold_reason")),
            // A JSON list of texts.
            text("warnings"),
        ],
    );
    // What the archive holds: one row for equal bytes, whatever number of revisions has them.
    let files = table(
        "files",
        vec![
            ColumnDef::new(Alias::new("digest")).binary().not_null().primary_key().to_owned(),
            long("size"),
            long("stored_size"),
            text("encoding"),
            long("stored_at"),
        ],
    );
    let mut members = table(
        "members",
        vec![
            bytes("digest"),
            int("position"),
            text("path"),
            long("size"),
            optional(long("compressed_size")),
            optional(text("modified_at")),
        ],
    );
    members.primary_key(Index::create().col(Alias::new("digest")).col(Alias::new("position")));
    let notifications = table(
        "notifications",
        vec![
            id("id"),
            text("source"),
            long("received_at"),
            text("status"),
            int("attempts"),
            optional(long("next_attempt_at")),
            optional(long("lease_until")),
            // The fencing token: who holds it may settle the notification.
            optional(uuid("lease")),
            optional(text("error")),
            // The secret, until its file is archived or it is dead.
            optional(text("link")),
            // What the token tells that is no secret.
            optional(text("file_key")),
            optional(text("list_path")),
            optional(flag("is_file")),
            optional(long("not_before")),
            optional(long("link_expires_at")),
            long("announced_at"),
            // 0: of a publication without a file; 1: of one that has some.
            int("priority"),
            optional(text("name")),
            optional(text("name_folded")),
            optional(text("process")),
            optional(text("macro_process")),
            optional(text("reference_date")),
            optional(text("period_start")),
            optional(text("period_end")),
            bytes("body"),
            bytes("body_digest"),
            optional(uuid("product_id")),
            optional(uuid("publication_id")),
            optional(uuid("revision_id")),
        ],
    );
    // The feed: numbers grow in commit order and are never used again.
    let changes = table(
        "changes",
        vec![
            ColumnDef::new(Alias::new("number")).big_integer().not_null().auto_increment().primary_key().to_owned(),
            long("at"),
            text("kind"),
            uuid("publication_id"),
            optional(uuid("revision_id")),
        ],
    );
    // Single values of the whole archive.
    let settings = table(
        "state",
        vec![ColumnDef::new(Alias::new("key")).text().not_null().primary_key().to_owned(), text("value")],
    );
    vec![products, aliases, publications, revisions, files, members, notifications, changes, settings]
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(Alias::new(table)).to_owned();
    for column in columns {
        index.col(Alias::new(*column));
    }
    index
}

fn indexes() -> Vec<IndexCreateStatement> {
    let publication_key = ["product_id", "reference_date", "period_start", "period_end"];
    vec![
        index("publications_key", "publications", &publication_key).unique().to_owned(),
        index("revisions_publication", "revisions", &["publication_id", "number"]).unique().to_owned(),
        index("revisions_digest", "revisions", &["digest"]),
        index("aliases_name", "product_aliases", &["name_folded"]),
        index("notifications_received", "notifications", &["received_at", "id"]),
        index("notifications_status", "notifications", &["status", "priority", "link_expires_at", "id"]),
        index("notifications_product", "notifications", &["product_id", "received_at"]),
    ]
}
