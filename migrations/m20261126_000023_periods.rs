//! Finds the publications of a product by their period: coverage reads the newest ones of every product.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statement = "CREATE INDEX publications_period ON publications (product_id, period_start)";
        manager.get_connection().execute_unprepared(statement).await?;
        Ok(())
    }
}
