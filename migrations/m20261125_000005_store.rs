//! Files that were found damaged, and files whose members are yet to be listed.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            // Since when the file is known not to read back as it was archived.
            "ALTER TABLE files ADD COLUMN damaged_at bigint",
            // When its members are to be listed next; null once they are, as those of all files before are.
            "ALTER TABLE files ADD COLUMN list_at bigint",
            "CREATE INDEX files_damaged ON files (damaged_at) WHERE damaged_at IS NOT NULL",
            "CREATE INDEX files_to_list ON files (list_at) WHERE list_at IS NOT NULL",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
