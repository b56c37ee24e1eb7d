//! What the service looks up all the time, without going through tables that grow.
//!
//! Indexes over the few rows among many that are worked on: what is leased, what waits, what carries a link; whatever is
//! settled leaves them. Totals, kept by triggers, for those who watch the service. The hours in which a source was heard,
//! which tell when its silence is odd.
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let triggers = match manager.get_database_backend() {
            sea_orm::DbBackend::Sqlite => SQLITE_TRIGGERS,
            _ => POSTGRES_TRIGGERS,
        };
        for statement in INDEXES.iter().chain(TABLES).chain(triggers) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

const INDEXES: &[&str] = &[
    // Heartbeats and settlements.
    "CREATE INDEX notifications_leased ON notifications (lease, file_key) WHERE lease IS NOT NULL",
    // What is due among what is tried again.
    "CREATE INDEX notifications_retrying ON notifications (next_attempt_at) WHERE status = 'RETRYING'",
    // Links that die while their files are still wanted.
    "CREATE INDEX notifications_expiring ON notifications (link_expires_at) WHERE next_attempt_at IS NOT NULL",
    // Whether a publication can still get a file.
    "CREATE INDEX notifications_awaiting ON notifications (publication_id) WHERE next_attempt_at IS NOT NULL",
    // Links that are to be erased.
    "CREATE INDEX notifications_linked ON notifications (link_expires_at, id) WHERE link IS NOT NULL",
    // Bodies that retention may empty.
    "CREATE INDEX notifications_bodies ON notifications (received_at) WHERE link IS NULL AND length(body) > 0",
    // A replay's counts come from the index alone.
    "DROP INDEX notifications_replay",
    "CREATE INDEX notifications_replay ON notifications (replay_id, status) WHERE replay_id IS NOT NULL",
];

const TABLES: &[&str] = &[
    // Rows of the tables that grow: notifications by status, files also by their bytes.
    "CREATE TABLE totals (name text NOT NULL PRIMARY KEY, n bigint NOT NULL)",
    "INSERT INTO totals (name, n) VALUES ('notifications/QUEUED', 0), ('notifications/FETCHING', 0), \
     ('notifications/RETRYING', 0), ('notifications/ARCHIVED', 0), ('notifications/UNCHANGED', 0), \
     ('notifications/EXPIRED', 0), ('notifications/FAILED', 0), ('notifications/REJECTED', 0), ('publications', 0), \
     ('revisions', 0), ('files', 0), ('files/size', 0), ('files/stored_size', 0)",
    "UPDATE totals SET n = (SELECT COUNT(*) FROM notifications WHERE 'notifications/' || status = totals.name) \
     WHERE name LIKE 'notifications/%'",
    "UPDATE totals SET n = (SELECT COUNT(*) FROM publications) WHERE name = 'publications'",
    "UPDATE totals SET n = (SELECT COUNT(*) FROM revisions) WHERE name = 'revisions'",
    "UPDATE totals SET n = (SELECT COUNT(*) FROM files) WHERE name = 'files'",
    "UPDATE totals SET n = (SELECT COALESCE(SUM(size), 0) FROM files WHERE removed_at IS NULL) WHERE name = 'files/size'",
    "UPDATE totals SET n = (SELECT COALESCE(SUM(stored_size), 0) FROM files WHERE removed_at IS NULL) \
     WHERE name = 'files/stored_size'",
    // Hours are counted from 1970, UTC.
    "CREATE TABLE source_hours (source text NOT NULL, hour bigint NOT NULL, n bigint NOT NULL, PRIMARY KEY (source, hour))",
    "INSERT INTO source_hours (source, hour, n) SELECT source, received_at / 3600000, COUNT(*) FROM notifications \
     WHERE source <> 'import' GROUP BY source, received_at / 3600000",
];

const SQLITE_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER notifications_counted AFTER INSERT ON notifications BEGIN \
     UPDATE totals SET n = n + 1 WHERE name = 'notifications/' || NEW.status; END",
    "CREATE TRIGGER notifications_recounted AFTER UPDATE OF status ON notifications WHEN OLD.status <> NEW.status BEGIN \
     UPDATE totals SET n = n - 1 WHERE name = 'notifications/' || OLD.status; \
     UPDATE totals SET n = n + 1 WHERE name = 'notifications/' || NEW.status; END",
    "CREATE TRIGGER publications_counted AFTER INSERT ON publications BEGIN \
     UPDATE totals SET n = n + 1 WHERE name = 'publications'; END",
    "CREATE TRIGGER revisions_counted AFTER INSERT ON revisions BEGIN \
     UPDATE totals SET n = n + 1 WHERE name = 'revisions'; END",
    "CREATE TRIGGER files_counted AFTER INSERT ON files BEGIN \
     UPDATE totals SET n = n + 1 WHERE name = 'files'; \
     UPDATE totals SET n = n + NEW.size WHERE name = 'files/size' AND NEW.removed_at IS NULL; \
     UPDATE totals SET n = n + NEW.stored_size WHERE name = 'files/stored_size' AND NEW.removed_at IS NULL; END",
    "CREATE TRIGGER files_recounted AFTER UPDATE OF size, stored_size, removed_at ON files BEGIN \
     UPDATE totals SET n = n - OLD.size WHERE name = 'files/size' AND OLD.removed_at IS NULL; \
     UPDATE totals SET n = n - OLD.stored_size WHERE name = 'files/stored_size' AND OLD.removed_at IS NULL; \
     UPDATE totals SET n = n + NEW.size WHERE name = 'files/size' AND NEW.removed_at IS NULL; \
     UPDATE totals SET n = n + NEW.stored_size WHERE name = 'files/stored_size' AND NEW.removed_at IS NULL; END",
];

/// Once for each statement: a row that is written once for each of hundreds of others would be slow to find.
const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION acervo_count_notifications() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE totals SET n = totals.n + d.n FROM \
     (SELECT 'notifications/' || status AS name, COUNT(*) AS n FROM new_rows GROUP BY status) d \
     WHERE totals.name = d.name; RETURN NULL; END $$",
    "CREATE FUNCTION acervo_recount_notifications() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE totals SET n = totals.n + d.n FROM \
     (SELECT 'notifications/' || status AS name, SUM(n) AS n FROM \
     (SELECT status, 1 AS n FROM new_rows UNION ALL SELECT status, -1 FROM old_rows) both_rows \
     GROUP BY status HAVING SUM(n) <> 0) d WHERE totals.name = d.name; RETURN NULL; END $$",
    "CREATE FUNCTION acervo_count_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE totals SET n = n + (SELECT COUNT(*) FROM new_rows) WHERE name = TG_TABLE_NAME; RETURN NULL; END $$",
    "CREATE FUNCTION acervo_count_bytes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE totals SET n = n + (SELECT COALESCE(SUM(size), 0) FROM new_rows WHERE removed_at IS NULL) \
     WHERE name = 'files/size'; \
     UPDATE totals SET n = n + (SELECT COALESCE(SUM(stored_size), 0) FROM new_rows WHERE removed_at IS NULL) \
     WHERE name = 'files/stored_size'; RETURN NULL; END $$",
    "CREATE FUNCTION acervo_recount_bytes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE totals SET n = n + (SELECT COALESCE(SUM(size), 0) FROM new_rows WHERE removed_at IS NULL) \
     - (SELECT COALESCE(SUM(size), 0) FROM old_rows WHERE removed_at IS NULL) WHERE name = 'files/size'; \
     UPDATE totals SET n = n + (SELECT COALESCE(SUM(stored_size), 0) FROM new_rows WHERE removed_at IS NULL) \
     - (SELECT COALESCE(SUM(stored_size), 0) FROM old_rows WHERE removed_at IS NULL) \
     WHERE name = 'files/stored_size'; RETURN NULL; END $$",
    "CREATE TRIGGER notifications_counted AFTER INSERT ON notifications REFERENCING NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_count_notifications()",
    "CREATE TRIGGER notifications_recounted AFTER UPDATE ON notifications \
     REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_recount_notifications()",
    "CREATE TRIGGER publications_counted AFTER INSERT ON publications REFERENCING NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_count_rows()",
    "CREATE TRIGGER revisions_counted AFTER INSERT ON revisions REFERENCING NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_count_rows()",
    "CREATE TRIGGER files_counted AFTER INSERT ON files REFERENCING NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_count_rows()",
    "CREATE TRIGGER files_bytes_counted AFTER INSERT ON files REFERENCING NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_count_bytes()",
    "CREATE TRIGGER files_recounted AFTER UPDATE ON files REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows \
     FOR EACH STATEMENT EXECUTE FUNCTION acervo_recount_bytes()",
];
