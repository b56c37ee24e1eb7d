//! Products that an administrator removed: who, when and why. What was removed is a run of retention with the same id.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE TABLE product_removals (id text NOT NULL PRIMARY KEY, product_id uuid NOT NULL, name text NOT NULL, \
             reason text NOT NULL, requested_by text NOT NULL, requested_at bigint NOT NULL, completed_at bigint)",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
