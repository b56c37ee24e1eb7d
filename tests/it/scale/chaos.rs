//! Replicas that are killed and paused, and a database and a bucket that go away, all at random and under load.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

use rand::RngExt;
use rand::rngs::StdRng;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};

use super::Cluster;
use super::portal::{self, Load};
use crate::harness::burst::rounds;
use crate::harness::process::Served;
use crate::harness::{random, until};

const REPLICAS: usize = 3;

/// So short that a pause past it does not take a minute.
const LEASE: &str = "lease-lasts=return(2000)";

/// Notifications that are answered between two events, at least.
const BETWEEN: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// `kill -9`, and a new start.
    Kill(usize),
    /// SIGSTOP, until others have all that it worked on.
    Pause(usize),
    /// The server ends as in a crash and starts again.
    Database,
    /// Requests to the bucket get no answer for a while.
    Bucket,
}

impl Event {
    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..4) {
            0 => Self::Kill(random.random_range(0..REPLICAS)),
            1 => Self::Pause(random.random_range(0..REPLICAS)),
            2 => Self::Database,
            _ => Self::Bucket,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Pause(_) => "pause",
            Self::Database => "database",
            Self::Bucket => "bucket",
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and s3s-fs"]
async fn whatever_fails_among_replicas_nothing_is_lost_and_nothing_is_stored_twice() {
    let cluster = Cluster::new(REPLICAS, 40).await;
    let mut replicas = Vec::new();
    for replica in 0..REPLICAS {
        replicas.push(cluster.start(replica, LEASE).await);
    }
    let mut random = random();
    let urls = (0..REPLICAS).map(|replica| cluster.url(replica)).collect();
    let load = Load::start(urls, crate::harness::random()).await;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    // Each kind of event at least once, and then as drawn.
    let first = random.random_range(0..REPLICAS);
    let all = [Event::Bucket, Event::Kill(first), Event::Pause((first + 1) % REPLICAS), Event::Database];
    for round in 0..rounds(all.len()) {
        let event = all.get(round).copied().unwrap_or_else(|| Event::draw(&mut random));
        eprintln!("round {round}: {event:?}, {} answered", load.answered());
        *counts.entry(event.name()).or_default() += 1;
        happens(&cluster, &mut replicas, event).await;
        let answered = load.answered() + BETWEEN;
        until("answers after an event", async || (load.answered() >= answered).then_some(())).await;
    }
    // One of them is gone for good, with whatever it was working on.
    let gone = random.random_range(0..REPLICAS);
    replicas[gone].kill();
    let acked = load.end().await;
    let others: Vec<&Served> = (0..REPLICAS).filter(|n| *n != gone).map(|n| &replicas[n]).collect();
    nothing_is_lost(others[0], &acked).await;
    // What it stored and did not record, it knows at its next start.
    replicas[gone] = cluster.start(gone, LEASE).await;
    for replica in &replicas {
        replica.settled(acked.len() as u64).await;
    }
    stored_once(&cluster, &acked).await;
    equal_answers(&replicas).await;
    for replica in 0..REPLICAS {
        let verified = cluster.run(replica, &["verify"]).await;
        let (printed, errors) = (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert!(verified.status.success(), "replica {replica}: {printed}{errors}");
        let panicked: Vec<String> =
            cluster.logged(replica).lines().filter(|line| line.contains("panicked")).map(str::to_owned).collect();
        assert!(panicked.is_empty(), "replica {replica}: {panicked:?}");
    }
    let refused: usize = (0..REPLICAS).map(|n| cluster.logged(n).matches("the lease was lost").count()).sum();
    let publications = acked.values().collect::<HashSet<_>>().len();
    eprintln!(
        "{counts:?}: {} answered 202, 0 lost; {publications} files, each stored once; {refused} leases of stale replicas refused",
        acked.len()
    );
}

async fn happens(cluster: &Cluster, replicas: &mut [Served], event: Event) {
    match event {
        Event::Kill(replica) => {
            replicas[replica].kill();
            replicas[replica] = cluster.start(replica, LEASE).await;
        }
        Event::Pause(replica) => {
            let database = Database::connect(cluster.database_url()).await.expect("the database");
            replicas[replica].pause();
            // Those of the others end by themselves.
            let leases = leases(&database).await;
            until("new leases", async || leases.is_disjoint(&self::leases(&database).await).then_some(())).await;
            replicas[replica].resume();
            database.close().await.expect("a closed connection");
        }
        Event::Database => tokio::task::block_in_place(|| cluster.server.crash_and_restart()),
        Event::Bucket => {
            let refused = cluster.proxy.refused.load(Ordering::Relaxed) + 20;
            cluster.proxy.is_away.store(true, Ordering::Relaxed);
            let missed = async || (cluster.proxy.refused.load(Ordering::Relaxed) >= refused).then_some(());
            until("requests to a bucket that is away", missed).await;
            cluster.proxy.is_away.store(false, Ordering::Relaxed);
        }
    }
}

/// The leases of all replicas.
async fn leases(database: &DatabaseConnection) -> HashSet<String> {
    let query = "SELECT DISTINCT lease::text FROM notifications WHERE status = 'FETCHING' AND lease IS NOT NULL";
    texts(database, query).await.into_iter().collect()
}

async fn texts(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Postgres, query)).await.expect("rows");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

/// Every notification that was answered 202 is recorded, and its file archived.
async fn nothing_is_lost(replica: &Served, acked: &HashMap<String, usize>) {
    replica.settled(acked.len() as u64).await;
    let mut found = HashSet::new();
    for node in all(replica, "notifications", "id status error").await {
        let is_archived = matches!(node["status"].as_str(), Some("ARCHIVED" | "UNCHANGED"));
        assert!(is_archived, "{node}");
        found.insert(node["id"].as_str().expect("an id").to_owned());
    }
    let lost: Vec<&String> = acked.keys().filter(|id| !found.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acked.len());
}

/// Every publication has one revision, with its bytes, and the bucket has one object for each and nothing else.
async fn stored_once(cluster: &Cluster, acked: &HashMap<String, usize>) {
    // One whose 202 was lost with the connection is archived as well.
    let last = acked.values().max().expect("a publication");
    let expected: HashSet<String> = (0..=*last + 8).map(portal::digest).collect();
    let database = Database::connect(cluster.database_url()).await.expect("the database");
    let revisions = texts(&database, "SELECT encode(digest, 'hex') FROM revisions").await;
    let files = texts(&database, "SELECT encode(digest, 'hex') FROM files").await;
    let publications = texts(&database, "SELECT id::text FROM publications").await;
    database.close().await.expect("a closed connection");
    let distinct: HashSet<&String> = revisions.iter().collect();
    assert_eq!(distinct.len(), revisions.len(), "a file is archived twice");
    assert_eq!(publications.len(), revisions.len(), "a publication has no revision or two");
    assert_eq!(files.len(), revisions.len(), "files without revisions");
    let strange: Vec<&&String> = distinct.iter().filter(|digest| !expected.contains(**digest)).collect();
    assert!(strange.is_empty(), "bytes that were never published: {strange:?}");
    for publication in acked.values() {
        assert!(distinct.contains(&portal::digest(*publication)), "publication {publication} is missing");
    }
    until("one object for each file", async || (cluster.objects().len() == files.len()).then_some(())).await;
    assert_eq!(cluster.objects().iter().collect::<HashSet<_>>(), distinct);
}

/// Every replica answers the same.
async fn equal_answers(replicas: &[Served]) {
    let fields =
        "totalCount nodes { id name status revisionId revisionCount sha256 size fileName periodStart archivedAt }";
    let queries = [
        format!("{{ publications(first: 1000) {{ {fields} }} }}"),
        format!("{{ publications(first: 1000, search: \"deck 7\", orderBy: ARCHIVED_ASC) {{ {fields} }} }}"),
        format!("{{ publications(first: 1000, search: \"arquivo_11\") {{ {fields} }} }}"),
        format!(
            "{{ publications(first: 500, filter: {{ name: {{ eq: \"Deck 3\" }} }}, orderBy: SIZE_DESC) {{ {fields} }} }}"
        ),
        "{ revisions(first: 1000) { totalCount nodes { id sha256 number archivedAt supersededAt } } }".to_owned(),
        "{ products(first: 1000) { totalCount nodes { id name } } }".to_owned(),
        "{ publicationStats(groupBy: [PRODUCT]) { product publications revisions size } }".to_owned(),
        "{ changes(first: 1000) { edges { cursor node { kind publication { id } revision { id } } } } }".to_owned(),
    ];
    for query in queries {
        let mut answers = Vec::new();
        for replica in replicas {
            answers.push(replica.ask(&query, json!({})).await);
        }
        assert!(answers[0].get("errors").is_none(), "{query}: {}", answers[0]);
        for (replica, answer) in answers.iter().enumerate() {
            assert_eq!(*answer, answers[0], "replica {replica}: {query}");
        }
    }
}

async fn all(replica: &Served, list: &str, fields: &str) -> Vec<Value> {
    let mut nodes = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = format!(
            "{{ {list}(first: 1000, after: {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = replica.query(&query).await[list].clone();
        nodes.extend(page["nodes"].as_array().expect("a list").iter().cloned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
    }
}
