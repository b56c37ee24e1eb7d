//! Verification: what is wrong with damaged files, what else was found, the runs and the cycles.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let is_sqlite = manager.get_database_backend() == sea_orm::DbBackend::Sqlite;
        let (bytes, uuid) = if is_sqlite { ("blob", "uuid_text") } else { ("bytea", "uuid") };
        let statements = [
            // What is wrong with a damaged file. Null: it is not damaged, or was found to be before this column existed.
            "ALTER TABLE files ADD COLUMN damage text".to_owned(),
            // What verification found apart from damaged files. `point` is that of the file or row (see `domain::Share`), and
            // `run` the last run that found it.
            format!(
                "CREATE TABLE findings (
                    id text NOT NULL PRIMARY KEY,
                    kind text NOT NULL,
                    point bigint NOT NULL,
                    digest {bytes},
                    publication_id {uuid},
                    revision_id {uuid},
                    detail text NOT NULL,
                    found_at bigint NOT NULL,
                    run text NOT NULL
                )"
            ),
            "CREATE INDEX findings_point ON findings (point)".to_owned(),
            // A run that has not ended is continued at `next`, the next digest; null once all files of its share are verified.
            format!(
                "CREATE TABLE verify_runs (
                    id text NOT NULL PRIMARY KEY,
                    scheduled boolean NOT NULL,
                    from_point bigint NOT NULL,
                    to_point bigint NOT NULL,
                    started_at bigint NOT NULL,
                    updated_at bigint NOT NULL,
                    ended_at bigint,
                    next {bytes},
                    files bigint NOT NULL,
                    bytes bigint NOT NULL,
                    broken bigint
                )"
            ),
            "CREATE INDEX verify_runs_open ON verify_runs (started_at) WHERE ended_at IS NULL".to_owned(),
            // Everything up to `point` is verified.
            "CREATE TABLE verify_cycles (
                id text NOT NULL PRIMARY KEY,
                started_at bigint NOT NULL,
                ended_at bigint,
                point bigint NOT NULL
            )"
            .to_owned(),
        ];
        for statement in statements {
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
