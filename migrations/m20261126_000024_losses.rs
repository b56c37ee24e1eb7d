//! Lost publications: since when each is lost, and who has acknowledged it.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            // When it was last marked as LOST; null: never.
            "ALTER TABLE publications ADD COLUMN lost_at bigint",
            // Both are null, or none is: a loss that nobody has acknowledged.
            "ALTER TABLE publications ADD COLUMN lost_acknowledged_at bigint",
            "ALTER TABLE publications ADD COLUMN lost_acknowledged_by text",
            "UPDATE publications SET lost_at = losses.at FROM (SELECT publication_id, MAX(at) AS at FROM changes \
             WHERE kind = 'LOST' GROUP BY publication_id) losses \
             WHERE losses.publication_id = publications.id AND publications.status = 'LOST'",
            "CREATE INDEX publications_lost ON publications (lost_at) WHERE status = 'LOST'",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
