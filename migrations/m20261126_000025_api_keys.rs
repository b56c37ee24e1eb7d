//! Keys of the API: when each was last used, and which were revoked. The keys themselves are in the configuration.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE TABLE key_uses (name TEXT PRIMARY KEY NOT NULL, last_used_at BIGINT NOT NULL)",
            "CREATE TABLE revoked_keys (hash TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, revoked_at BIGINT NOT NULL)",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
