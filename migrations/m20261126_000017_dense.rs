//! What compaction has to know about each file.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            // How many bases are decoded one after another before the file is: 0 for all files before, which have none.
            "ALTER TABLE files ADD COLUMN depth integer NOT NULL DEFAULT 0",
            // When compaction last looked at the file as it is stored now; null: it has not.
            "ALTER TABLE files ADD COLUMN compacted_at bigint",
            "CREATE INDEX files_to_compact ON files (stored_at) WHERE compacted_at IS NULL AND removed_at IS NULL",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
