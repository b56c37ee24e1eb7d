//! Sessions of people who logged in on the page. A session belongs to a key of the API and has no more rights than the key has now.
//! The token in the browser's cookie is not stored, only its hash.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE TABLE sessions (hash TEXT PRIMARY KEY NOT NULL, key_hash TEXT NOT NULL, started_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
            "CREATE INDEX sessions_of_key ON sessions (key_hash, started_at)",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
