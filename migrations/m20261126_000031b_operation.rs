//! What the operator's view lists without a scan: protected revisions, and the bytes archived since some day.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE INDEX revisions_held ON revisions (held_at) WHERE held",
            "CREATE INDEX revisions_archived ON revisions (archived_at, digest)",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
