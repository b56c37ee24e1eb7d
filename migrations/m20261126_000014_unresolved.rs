//! Notifications are recorded first and resolved afterwards: indexes of those that are not resolved yet.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            // In order of arrival. `record::intake` explains these values of `priority`.
            "CREATE INDEX notifications_unresolved ON notifications (received_at, id) WHERE priority = 2",
            "CREATE INDEX notifications_unresolvable ON notifications (received_at) WHERE priority = 3",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
