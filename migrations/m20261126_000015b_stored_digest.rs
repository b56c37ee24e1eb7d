//! The digest of each object as it is stored.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let bytes = if manager.get_database_backend() == sea_orm::DbBackend::Sqlite { "blob" } else { "bytea" };
        // Null: the object was stored before this column existed, and was not verified since.
        let statement = format!("ALTER TABLE files ADD COLUMN stored_digest {bytes}");
        manager.get_connection().execute_unprepared(&statement).await?;
        Ok(())
    }
}
