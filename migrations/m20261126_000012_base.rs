//! The base of files in an encoding that needs another file for decoding.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let bytes = if manager.get_database_backend() == sea_orm::DbBackend::Sqlite { "blob" } else { "bytea" };
        let statements = [
            // The digest of the base; null for all files that are decoded without one, as all files before are.
            format!("ALTER TABLE files ADD COLUMN base {bytes}"),
            "CREATE INDEX files_base ON files (base) WHERE base IS NOT NULL".to_owned(),
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
