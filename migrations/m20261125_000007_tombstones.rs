//! Tombstones: which files are about to be removed from the archive, and which could not be.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "ALTER TABLE files ADD COLUMN tombstone_at bigint",
            "ALTER TABLE files ADD COLUMN removal_failed_at bigint",
            "CREATE INDEX files_tombstone ON files (tombstone_at) WHERE tombstone_at IS NOT NULL",
            "CREATE INDEX files_removal_failed ON files (removal_failed_at) WHERE removal_failed_at IS NOT NULL",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
