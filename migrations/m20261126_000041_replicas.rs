//! The services that share the database, and which of them has taken a run of a scheduled job.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "CREATE TABLE replicas (id text NOT NULL PRIMARY KEY, name text NOT NULL, version text NOT NULL, \
             started_at bigint NOT NULL, seen_at bigint NOT NULL, index_feed bigint NOT NULL, record_feed bigint NOT NULL)",
            "ALTER TABLE job_runs ADD COLUMN replica text",
            "CREATE INDEX job_runs_open ON job_runs (replica) WHERE ended_at IS NULL",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
