//! Holds, marks and sweeps; runs of retention and of other jobs.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = [
            "ALTER TABLE revisions ADD COLUMN held_by text",
            "ALTER TABLE revisions ADD COLUMN held_at bigint",
            "ALTER TABLE revisions ADD COLUMN purge_run text",
            "ALTER TABLE revisions ADD COLUMN purge_rule text",
            "ALTER TABLE revisions ADD COLUMN swept_at bigint",
            "ALTER TABLE files ADD COLUMN removed_at bigint",
            "CREATE INDEX revisions_purge ON revisions (purge_run, swept_at) WHERE purge_run IS NOT NULL",
            "CREATE TABLE retention_runs (id text NOT NULL PRIMARY KEY, dry_run boolean NOT NULL, started_at bigint NOT NULL, \
             ended_at bigint, removed bigint NOT NULL, bytes_freed bigint NOT NULL, sweep_after bigint, undone_at bigint, \
             swept_at bigint)",
            "CREATE TABLE job_runs (id text NOT NULL PRIMARY KEY, name text NOT NULL, slot bigint NOT NULL, \
             started_at bigint NOT NULL, ended_at bigint, outcome text, detail text NOT NULL)",
            // One replica takes each slot of a schedule.
            "CREATE UNIQUE INDEX job_runs_slot ON job_runs (name, slot)",
            "CREATE INDEX job_runs_started ON job_runs (started_at)",
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
