//! How long many notifications take until all are archived, by the number of replicas, and what they wait for.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};

use super::{Cluster, portal};
use crate::harness::TOKEN;
use crate::harness::polling::Polling;
use crate::harness::process::Served;

/// Connections of the portal.
const SENDERS: usize = 16;

/// How often the lock of the writers is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// Whether a writer has the lock, and how many wait for it.
const WRITERS: &str = "SELECT count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted) \
    FROM pg_locks WHERE locktype = 'advisory'";

/// Notifications that are to be fetched, or that have no publication yet.
const OPEN: &str =
    "SELECT count(*), 0::bigint FROM notifications WHERE next_attempt_at IS NOT NULL OR publication_id IS NULL";

/// `ACERVO_TEST_LOAD` names the binary; `ACERVO_TEST_NOTIFICATIONS` says how many there are, else 10,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a release build, PostgreSQL and s3s-fs"]
async fn time_until_all_is_archived_by_the_number_of_replicas() {
    assert!(std::env::var_os("ACERVO_TEST_LOAD").is_some(), "ACERVO_TEST_LOAD names a binary");
    let size = std::env::var("ACERVO_TEST_NOTIFICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    for replicas in 1..=3 {
        measure(replicas, size).await;
    }
}

async fn measure(count: usize, size: usize) {
    let cluster = Cluster::with(count, 0, true).await;
    let mut replicas = Vec::new();
    for replica in 0..count {
        replicas.push(cluster.start(replica, "").await);
    }
    let files = portal::serve_files(Duration::ZERO).await;
    let database = Database::connect(cluster.database_url()).await.expect("the database");
    let two = async |query: &str| {
        let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.expect("an answer");
        let row = row.expect("a row");
        let number = |n: usize| row.try_get_by_index::<i64>(n).expect("a number");
        (number(0), number(1))
    };
    let before = Used::now(&cluster, &replicas);
    let began = Instant::now();
    let urls: Vec<String> = (0..count).map(|replica| cluster.url(replica)).collect();
    let sending = tokio::spawn(send_all(urls, files, size));
    let (mut samples, mut held, mut waiting) = (0_u32, 0, 0);
    let polling = Polling::with_patience(Duration::from_secs(3600));
    loop {
        let (granted, waits) = two(WRITERS).await;
        (samples, held, waiting) = (samples + 1, held + i64::from(granted > 0), waiting + waits);
        if sending.is_finished() && two(OPEN).await.0 == 0 {
            break;
        }
        tokio::time::sleep(SAMPLE_EVERY).await;
        polling.pause(|| "all archived".to_owned()).await;
    }
    let archived = began.elapsed().as_secs_f64();
    let answered = sending.await.expect("a sender").as_secs_f64();
    let used = Used::now(&cluster, &replicas);
    for replica in &replicas {
        replica.settled(size as u64).await;
    }
    let indexed = began.elapsed().as_secs_f64();
    let total = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";
    assert_eq!(replicas[0].query(total).await["publications"]["totalCount"].as_u64(), Some(size as u64));
    let share = |n: i64| n as f64 / f64::from(samples);
    eprintln!(
        "{count} replicas, {size} notifications: answered {answered:.1} s, archived {archived:.1} s ({:.0}/s), in all indexes {indexed:.1} s; \
         writers' lock held {:.0} % of the time, {:.1} waiting; processor seconds: {}",
        size as f64 / archived,
        100.0 * share(held),
        share(waiting),
        used.since(&before),
    );
    database.close().await.expect("a closed connection");
}

/// Sends all, each until it is answered 202; returns how long that took.
async fn send_all(replicas: Vec<String>, files: String, size: usize) -> Duration {
    let (next, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let sender = |_| {
        let (next, replicas, files) = (next.clone(), replicas.clone(), files.clone());
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            loop {
                let publication = next.fetch_add(1, Ordering::Relaxed);
                if publication >= size {
                    return;
                }
                let (url, body) = (&replicas[publication % replicas.len()], portal::body(&files, publication));
                let post = || client.post(format!("{url}/webhook")).header("authorization", TOKEN);
                let sent = async || post().header("content-type", "application/json").body(body.clone()).send().await;
                while sent().await.expect("an answer").status() != 202 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        })
    };
    for sender in (0..SENDERS).map(sender).collect::<Vec<_>>() {
        sender.await.expect("a sender");
    }
    began.elapsed()
}

/// Processor time in seconds.
#[derive(Clone, Copy)]
struct Used {
    replicas: f64,
    database: f64,
    bucket: f64,
    /// This process: the portal, its files, and the proxy before the bucket.
    portal: f64,
}

impl Used {
    fn now(cluster: &Cluster, replicas: &[Served]) -> Self {
        let own = cluster.server.folder().join("data");
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        let ids: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        let is_database = |id: &&u32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == own);
        let is_bucket =
            |id: &&u32| std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "s3s-fs");
        let sum = |ids: &mut dyn Iterator<Item = u32>| ids.map(seconds).sum();
        Self {
            replicas: sum(&mut replicas.iter().map(Served::id)),
            database: sum(&mut ids.iter().filter(is_database).copied()),
            bucket: sum(&mut ids.iter().filter(is_bucket).copied()),
            portal: seconds(std::process::id()),
        }
    }

    fn since(self, before: &Self) -> String {
        format!(
            "replicas {:.0}, PostgreSQL {:.0}, s3s-fs {:.0}, portal and proxy {:.0}",
            self.replicas - before.replicas,
            self.database - before.database,
            self.bucket - before.bucket,
            self.portal - before.portal
        )
    }
}

/// Processor time of a process; 0 if it has ended.
fn seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // After the name, which may contain spaces: the 12th and 13th field.
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}
