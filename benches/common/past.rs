//! Years of settled notifications, written directly to the tables.
use std::path::Path;
use std::time::Instant;

use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use super::process::Process;
use super::stop::stop;

/// Notifications written per transaction.
const CHUNK: u64 = 100_000;

/// The maximum number of publications.
const PUBLICATIONS_MAX: u64 = 250_000;

/// Creates an archive with so many recorded notifications.
pub async fn create(data: &Path, notifications: u64) {
    // The first start creates the tables.
    stop(Process::acervo(data, &[("ACERVO_LOG", "warn")]).await);
    if notifications > 0 {
        let began = Instant::now();
        fill(&data.join("acervo.db"), notifications).await;
        println!("{notifications} notifications written in {:.0} s", began.elapsed().as_secs_f64());
    }
}

/// Most of them UNCHANGED, with bodies and without links.
async fn fill(database: &Path, notifications: u64) {
    let connection = Database::connect(format!("sqlite://{}", database.display())).await.expect("the database");
    connection.execute_unprepared("PRAGMA synchronous = OFF").await.expect("a setting");
    let publications = (notifications / 4).clamp(1, PUBLICATIONS_MAX);
    let body = format!("{{\"nome\": \"Produto\", \"texto\": \"{}\"}}", "x".repeat(700));
    let now = jiff::Timestamp::now().as_millisecond();
    let span = 3 * 365 * 86_400_000i64;
    let of = |kind: u8, n: &str| format!("unhex(printf('0{kind}%030x', {n}))");
    let product = of(1, "n % 280");
    let series = |from: u64, to: u64| {
        format!("WITH RECURSIVE s(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {to})")
    };
    let mut statements = vec![format!(
        "INSERT INTO products (id, identity, name, process, macro_process, publication_count, revision_count, size, stored_size)
         {} SELECT {}, 'name:antigo ' || n, 'Antigo ' || n, 'Processo', 'Macroprocesso', 0, 0, 0, 0 FROM s",
        series(0, 280),
        of(1, "n")
    )];
    for from in (0..publications).step_by(CHUNK as usize) {
        let series = series(from, (from + CHUNK).min(publications));
        statements.push(format!(
            "INSERT INTO publications (id, product_id, process, macro_process, reference_date, period_start, period_end, granularity, status, announced_at, received_at, latest_revision_id, revision_count)
             {series} SELECT {}, {product}, 'Processo', 'Macroprocesso', n, '2024-01-01T00:00:00', '2024-01-01T23:59:59', 'DAY', 'ARCHIVED', {now}, {now}, {}, 1 FROM s",
            of(2, "n"),
            of(3, "n")
        ));
        statements.push(format!(
            "INSERT INTO revisions (id, publication_id, number, notification_id, digest, file_name, announced_at, announced_by, received_at, archived_at, held, warnings)
             {series} SELECT {}, {}, 1, {n}, randomblob(32), 'a.txt', {now}, {n}, {now}, {now}, 0, '[]' FROM s",
            of(3, "n"),
            of(2, "n"),
            n = of(4, "n")
        ));
    }
    statements.push("INSERT INTO files (digest, size, stored_size, encoding, stored_at) SELECT digest, 1000, 600, 'zstd', archived_at FROM revisions".to_owned());
    for from in (0..notifications).step_by(CHUNK as usize) {
        let received = format!("{} + n * {span} / {notifications}", now - span - 86_400_000);
        statements.push(format!(
            "INSERT INTO notifications (id, source, received_at, status, attempts, file_key, list_path, is_file, link_expires_at, announced_at, priority, name, name_folded, process, macro_process, reference_date, period_start, period_end, body, body_digest, product_id, publication_id, revision_id, host)
             {} SELECT {}, 'default', {received}, CASE WHEN n % 20 = 0 THEN 'FAILED' WHEN n % 10 = 1 THEN 'EXPIRED' WHEN n % 4 = 2 THEN 'ARCHIVED' ELSE 'UNCHANGED' END, 1,
             '/sites/9/13/82/Produtos/' || n % 280 || '/arquivo_' || n, '/sites/9/13/82/Produtos', 1, {received} + 86640000, {received}, 0, 'Antigo ' || n % 280, 'antigo ' || n % 280, 'Processo', 'Macroprocesso', '01/01/2024', '2024-01-01T00:00:00', '2024-01-01T23:59:59', CAST('{body}' AS blob), randomblob(32), {product}, {}, {}, '127.0.0.1' FROM s",
            series(from, (from + CHUNK).min(notifications)),
            of(4, "n"),
            of(2, &format!("n % {publications}")),
            of(3, &format!("n % {publications}"))
        ));
    }
    for statement in statements {
        let txn = connection.begin().await.expect("a transaction");
        txn.execute_unprepared(&statement).await.unwrap_or_else(|e| panic!("{e}: {statement}"));
        txn.commit().await.expect("a commit");
    }
    connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("a short log");
    connection.close().await.expect("a closed connection");
}
