//! Replays, what is known of each source, what the portal said of each file, and the host of each link.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (uuid, bytes) = match manager.get_database_backend() {
            sea_orm::DbBackend::Sqlite => ("uuid_text", "blob"),
            _ => ("uuid", "bytea"),
        };
        let statements = [
            "ALTER TABLE notifications ADD COLUMN host text".to_owned(),
            format!("ALTER TABLE notifications ADD COLUMN replay_id {uuid}"),
            "CREATE INDEX notifications_replay ON notifications (replay_id) WHERE replay_id IS NOT NULL".to_owned(),
            // What was imported is looked up by its bytes, so that a second time adds nothing.
            "CREATE INDEX notifications_imported ON notifications (body_digest) WHERE source = 'import'".to_owned(),
            format!(
                "CREATE TABLE sources (name text NOT NULL PRIMARY KEY, last_at bigint, run_started_at bigint, \
                 run_count bigint NOT NULL, run_known bigint NOT NULL, run_replay {uuid}, denied bigint NOT NULL, \
                 denied_at bigint)"
            ),
            format!(
                "CREATE TABLE replays (id {uuid} NOT NULL PRIMARY KEY, source text NOT NULL, started_at bigint NOT NULL, \
                 last_at bigint NOT NULL, ended_at bigint, told boolean NOT NULL)"
            ),
            "CREATE INDEX replays_open ON replays (told) WHERE NOT told".to_owned(),
            format!(
                "CREATE TABLE validators (file_key text NOT NULL PRIMARY KEY, etag text, last_modified text, \
                 digest {bytes} NOT NULL)"
            ),
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
