use std::sync::Arc;

use sea_orm::sea_query::{Alias, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement, Value};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use crate::harness::{Db, Options, TestApp, database, on_each_database, postgres};

#[path = "../../migrations/mod.rs"]
mod steps;

/// Migrations before the ones that give old rows new values: totals, source hours, what replays knew, folded names.
const BEFORE_BACKFILLS: u32 = 5;

const HOUR_MS: i64 = 3_600_000;

/// When the replay of the old archive began.
const REPLAY_AT: i64 = 1_740_000_000_000;

on_each_database!(an_archive_of_an_earlier_version_has_the_right_values_after_its_migration);
async fn an_archive_of_an_earlier_version_has_the_right_values_after_its_migration(db: Db) {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let url = postgres::database(db);
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("data/acervo.db").display());
    let address = url.clone().unwrap_or(file);
    let connection = Database::connect(&address).await.expect("a database");
    steps::Migrator::up(&connection, Some(BEFORE_BACKFILLS)).await.expect("the earlier migrations");
    old_rows(&connection).await;
    let app = TestApp::with(Options { database_url: url, folder: Some(folder), ..Options::default() }).await;
    app.indexed().await;
    has_right_values(&app, &connection, db).await;
    connection.close().await.expect("a closed connection");
}

on_each_database!(views_are_replaced_when_their_definition_has_changed);
/// Views of an earlier version: one with fewer columns, and one that a migration has dropped.
async fn views_are_replaced_when_their_definition_has_changed(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    let address = database::address(postgres::database(db).as_deref(), folder.path());
    drop(database::open_record(&address).await);
    let connection = database::connect(&address).await;
    let columns = async |view: &str| {
        let sql = match db {
            Db::Sqlite => format!("SELECT name FROM pragma_table_info('{view}') ORDER BY cid"),
            Db::Postgres => format!(
                "SELECT CAST(column_name AS text) FROM information_schema.columns \
                 WHERE table_name = '{view}' ORDER BY ordinal_position"
            ),
        };
        let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await;
        rows.expect("names").iter().map(|row| row.try_get_by_index(0).expect("a name")).collect::<Vec<String>>()
    };
    let views = ["bi_products", "bi_publications", "bi_revisions", "bi_members", "bi_notifications", "bi_version"];
    let mut expected = Vec::new();
    for view in views {
        expected.push(columns(view).await);
        assert!(!expected.last().is_some_and(Vec::is_empty), "{db:?}: {view}");
    }
    for earlier in [
        "DROP VIEW bi_publications",
        "CREATE VIEW bi_publications AS SELECT CAST(id AS text) AS id, CAST(product_id AS text) AS product_id FROM publications",
        "UPDATE state SET value = 'earlier' WHERE key = 'view:bi_publications'",
        "DROP VIEW bi_notifications",
    ] {
        connection.execute_unprepared(earlier).await.unwrap_or_else(|e| panic!("{db:?}: {e}: {earlier}"));
    }
    if db == Db::Postgres {
        connection.execute_unprepared("GRANT SELECT ON bi_publications TO PUBLIC").await.expect("a grant");
    }
    assert_eq!(columns("bi_publications").await, ["id", "product_id"], "{db:?}");
    drop(database::open_record(&address).await);
    for (view, expected) in views.iter().zip(&expected) {
        assert_eq!(columns(view).await, *expected, "{db:?}: {view}");
    }
    if db == Db::Postgres {
        let granted = "SELECT has_table_privilege('public', 'bi_publications', 'SELECT')";
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), granted)).await;
        assert!(row.expect("a row").expect("a row").try_get_by_index::<bool>(0).expect("a flag"), "the grant is gone");
    }
    connection.close().await.expect("a closed connection");
}

async fn has_right_values(app: &TestApp, connection: &DatabaseConnection, db: Db) {
    let texts = async |sql: &str| -> Vec<Option<String>> {
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await.unwrap_or_else(|e| panic!("{db:?}: {e}: {sql}"));
        rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    // Names lose the characters without width, and two products that differ in these alone stay two.
    assert_eq!(texts("SELECT name_folded FROM product_aliases").await, [text("carga diaria")], "{db:?}");
    let folded = texts("SELECT DISTINCT name_folded FROM notifications").await;
    assert_eq!(folded, [text("carga diaria")], "{db:?}");
    let identities = texts("SELECT identity FROM products ORDER BY name").await;
    assert_eq!(identities, [text("carga diaria"), text("deck"), text("de\u{ad}ck")], "{db:?}");
    // Counts of old rows.
    let totals = texts("SELECT name || ' ' || n FROM totals WHERE n > 0 ORDER BY name").await;
    let expected = [
        "files 1",
        "files/size 9",
        "files/stored_size 5",
        "notifications/ARCHIVED 1",
        "notifications/EXPIRED 1",
        "notifications/UNCHANGED 1",
        "publications 2",
        "revisions 1",
    ];
    assert_eq!(totals, expected.map(text), "{db:?}");
    let hour = REPLAY_AT / HOUR_MS;
    let hours = texts("SELECT source || ' ' || hour || ' ' || n FROM source_hours ORDER BY hour").await;
    assert_eq!(hours, [text(&format!("portal {} 1", hour - 24)), text(&format!("portal {hour} 2"))], "{db:?}");
    let lost = texts("SELECT CAST(lost_at AS text) FROM publications WHERE status = 'LOST'").await;
    assert_eq!(lost, [text(&(REPLAY_AT + HOUR_MS).to_string())], "{db:?}");
    // Of the two in the replay, one is of a publication that was announced before.
    let replays = app.query("{ replays { nodes { announced known } } }").await;
    assert_eq!(replays["replays"]["nodes"][0]["known"], 1, "{db:?}: {replays}");
    assert_eq!(replays["replays"]["nodes"][0]["announced"], 2, "{db:?}: {replays}");
    // Old rows have no warnings, and the views show the columns that came later.
    assert_eq!(texts("SELECT DISTINCT warnings FROM bi_notifications").await, [text("[]")], "{db:?}");
    let columns = "SELECT file_name || ' ' || warnings || ' ' || COALESCE(held_by, 'none') FROM bi_revisions";
    assert_eq!(texts(columns).await, [text("carga.csv [] none")], "{db:?}");
    let found = app.query("{ notifications(filter: { name: { eq: \"carga diaria\" } }) { totalCount } }").await;
    assert_eq!(found["notifications"]["totalCount"], 3, "{db:?}");
}

/// As the earlier version wrote them: names folded with the characters that have no width.
async fn old_rows(connection: &DatabaseConnection) {
    let ids = OldIds {
        product: Uuid::now_v7(),
        publication: Uuid::now_v7(),
        other: Uuid::now_v7(),
        revision: Uuid::now_v7(),
        notification: Uuid::now_v7(),
    };
    old_products(connection, &ids).await;
    old_publications(connection, &ids).await;
    old_notifications(connection, &ids).await;
    old_revision(connection, &ids).await;
}

/// What the rows of the old archive refer to.
struct OldIds {
    product: Uuid,
    publication: Uuid,
    /// A publication without a file.
    other: Uuid,
    revision: Uuid,
    /// The one that the revision came with.
    notification: Uuid,
}

const OLD_DIGEST: [u8; 32] = [7; 32];

async fn old_products(connection: &DatabaseConnection, ids: &OldIds) {
    for (id, identity, name) in [
        (ids.product, "carga\u{200b} diaria", "Carga"),
        (Uuid::now_v7(), "deck", "Deck"),
        (Uuid::now_v7(), "de\u{ad}ck", "Deck 2"),
    ] {
        let counts = ["publication_count", "revision_count", "size", "stored_size"].map(|name| (name, Value::from(0)));
        let texts = [("identity", identity), ("name", name), ("process", "P"), ("macro_process", "M")];
        let row = texts.map(|(column, text)| (column, Value::from(text)));
        let row: Vec<_> = [("id", id.into())].into_iter().chain(row).chain(counts).collect();
        insert(connection, "products", row).await;
    }
    let alias = vec![
        ("product_id", ids.product.into()),
        ("name", "Carga\u{200b} Diária".into()),
        ("name_folded", "carga\u{200b} diaria".into()),
        ("first_seen_at", 1_i64.into()),
        ("last_seen_at", 2_i64.into()),
    ];
    insert(connection, "product_aliases", alias).await;
}

async fn old_publications(connection: &DatabaseConnection, ids: &OldIds) {
    for (id, day, status, latest) in
        [(ids.publication, "20", "ARCHIVED", Some(ids.revision)), (ids.other, "21", "LOST", None)]
    {
        let row = vec![
            ("id", id.into()),
            ("product_id", ids.product.into()),
            ("process", "P".into()),
            ("macro_process", "M".into()),
            ("reference_date", format!("{day}/02/2025").into()),
            ("period_start", format!("2025-02-{day}T00:00:00").into()),
            ("period_end", format!("2025-02-{day}T23:59:59").into()),
            ("granularity", "DAY".into()),
            ("status", status.into()),
            ("announced_at", REPLAY_AT.into()),
            ("received_at", REPLAY_AT.into()),
            ("latest_revision_id", latest.into()),
            ("revision_count", i32::from(latest.is_some()).into()),
        ];
        insert(connection, "publications", row).await;
    }
    // It was lost twice.
    for at in [REPLAY_AT, REPLAY_AT + HOUR_MS] {
        let row = vec![("at", at.into()), ("kind", "LOST".into()), ("publication_id", ids.other.into())];
        insert(connection, "changes", row).await;
    }
}

async fn old_notifications(connection: &DatabaseConnection, ids: &OldIds) {
    let replay = Uuid::now_v7();
    let row = vec![
        ("id", replay.into()),
        ("source", "portal".into()),
        ("started_at", REPLAY_AT.into()),
        ("last_at", REPLAY_AT.into()),
        ("ended_at", Some(REPLAY_AT).into()),
        ("told", true.into()),
    ];
    insert(connection, "replays", row).await;
    for (id, received_at, publication, status, replay) in [
        (ids.notification, REPLAY_AT - 24 * HOUR_MS, ids.publication, "ARCHIVED", None),
        (Uuid::now_v7(), REPLAY_AT, ids.publication, "UNCHANGED", Some(replay)),
        (Uuid::now_v7(), REPLAY_AT, ids.other, "EXPIRED", Some(replay)),
    ] {
        let row = vec![
            ("id", id.into()),
            ("source", "portal".into()),
            ("received_at", received_at.into()),
            ("status", status.into()),
            ("attempts", 1.into()),
            ("announced_at", received_at.into()),
            ("priority", 0.into()),
            ("name", "Carga\u{200b} Diária".into()),
            ("name_folded", "carga\u{200b} diaria".into()),
            ("body", b"{}".to_vec().into()),
            ("body_digest", OLD_DIGEST.to_vec().into()),
            ("product_id", ids.product.into()),
            ("publication_id", publication.into()),
            ("replay_id", replay.into()),
        ];
        insert(connection, "notifications", row).await;
    }
}

async fn old_revision(connection: &DatabaseConnection, ids: &OldIds) {
    let file = vec![
        ("digest", OLD_DIGEST.to_vec().into()),
        ("size", 9_i64.into()),
        ("stored_size", 5_i64.into()),
        ("encoding", "zstd".into()),
        ("stored_at", REPLAY_AT.into()),
    ];
    insert(connection, "files", file).await;
    let row = vec![
        ("id", ids.revision.into()),
        ("publication_id", ids.publication.into()),
        ("number", 1.into()),
        ("notification_id", ids.notification.into()),
        ("digest", OLD_DIGEST.to_vec().into()),
        ("file_name", "carga.csv".into()),
        ("announced_at", REPLAY_AT.into()),
        ("announced_by", ids.notification.into()),
        ("received_at", REPLAY_AT.into()),
        ("archived_at", REPLAY_AT.into()),
        ("held", false.into()),
        ("warnings", "[]".into()),
    ];
    insert(connection, "revisions", row).await;
}

async fn insert(connection: &DatabaseConnection, table: &'static str, row: Vec<(&'static str, Value)>) {
    let (columns, values): (Vec<Alias>, Vec<SimpleExpr>) =
        row.into_iter().map(|(column, value)| (Alias::new(column), SimpleExpr::from(value))).unzip();
    let insert = Query::insert().into_table(Alias::new(table)).columns(columns).values_panic(values).to_owned();
    connection.execute(&insert).await.unwrap_or_else(|e| panic!("{table}: {e}"));
}
