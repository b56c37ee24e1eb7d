//! Hooks: how far each has come, events that are not in the feed, dead letters, and the log of deliveries.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == sea_orm::DbBackend::Sqlite;
        let id = if is_sqlite { "integer NOT NULL PRIMARY KEY AUTOINCREMENT" } else { "bigserial PRIMARY KEY" };
        let statements = [
            // Of the feed all changes up to `feed`, and of `hook_events` all up to `event`, are delivered, dead letters, or not what
            // the hook is about. `pending` is the message that failed and is tried again, and the columns after it describe that.
            "CREATE TABLE hooks (
                name text NOT NULL PRIMARY KEY,
                created_at bigint NOT NULL,
                feed bigint NOT NULL,
                event bigint NOT NULL,
                pending text,
                pending_at bigint,
                attempts integer NOT NULL,
                failing_since bigint,
                next_attempt_at bigint,
                last_error text,
                delivered bigint NOT NULL,
                failed bigint NOT NULL,
                last_delivered_at bigint,
                disabled_at bigint
            )"
            .to_owned(),
            // Events that are not in the feed. `feed` is the last change that was committed before; `name` is the same for what
            // is found again, and so recorded once.
            format!(
                "CREATE TABLE hook_events (
                    id {id},
                    at bigint NOT NULL,
                    feed bigint NOT NULL,
                    kind text NOT NULL,
                    name text NOT NULL,
                    data text NOT NULL
                )"
            ),
            "CREATE UNIQUE INDEX hook_events_name ON hook_events (name)".to_owned(),
            "CREATE INDEX hook_events_at ON hook_events (at)".to_owned(),
            // An event that was given up: a change, or a row of `hook_events`. `redeliver_at`: when another attempt was requested.
            format!(
                "CREATE TABLE hook_letters (
                    id {id},
                    hook text NOT NULL,
                    kind text NOT NULL,
                    change bigint,
                    event bigint,
                    at bigint NOT NULL,
                    dead_at bigint NOT NULL,
                    attempts integer NOT NULL,
                    error text NOT NULL,
                    redeliver_at bigint
                )"
            ),
            "CREATE INDEX hook_letters_hook ON hook_letters (hook, id)".to_owned(),
            "CREATE INDEX hook_letters_requested ON hook_letters (hook, id) WHERE redeliver_at IS NOT NULL".to_owned(),
            // The last attempts of each hook.
            format!(
                "CREATE TABLE hook_deliveries (
                    id {id},
                    hook text NOT NULL,
                    message text NOT NULL,
                    kind text NOT NULL,
                    at bigint NOT NULL,
                    attempt integer NOT NULL,
                    outcome text NOT NULL,
                    status integer,
                    error text,
                    took bigint NOT NULL
                )"
            ),
            "CREATE INDEX hook_deliveries_hook ON hook_deliveries (hook, id)".to_owned(),
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
