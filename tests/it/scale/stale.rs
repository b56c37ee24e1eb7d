//! A replica that was paused for longer than its lease.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use serde_json::json;
use tokio::sync::watch;

use super::{Cluster, portal};
use crate::harness::{sha256, until};

const OLD: &[u8] = b"as it was before the pause\n";
const NEW: &[u8] = b"as it is after the pause\n";

struct Portal {
    requests: AtomicUsize,
    /// Whether the first response may go on.
    released: watch::Sender<bool>,
}

/// The first request is answered once it is released, all others at once and with other bytes.
async fn answer(State(portal): State<Arc<Portal>>) -> &'static [u8] {
    if portal.requests.fetch_add(1, Ordering::SeqCst) > 0 {
        return NEW;
    }
    let _ = portal.released.subscribe().wait_for(|released| *released).await;
    OLD
}

/// It is frozen in the middle of a download, another one takes its work over, and it goes on as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and s3s-fs"]
async fn what_a_replica_writes_that_was_paused_past_its_lease_is_refused() {
    let cluster = Cluster::new(2, 0).await;
    let portal = Arc::new(Portal { requests: AtomicUsize::new(0), released: watch::Sender::new(false) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(answer).with_state(portal.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    // It does not notice by a renewal that its lease is lost, so only its last write can be refused.
    let mut paused = cluster.start(0, "lease-lasts=return(1500);lease-renewed-every=return(3600000)").await;
    assert_eq!(paused.notify(&portal::body(&address, 0)).await.0, 202);
    let asked = |times| (portal.requests.load(Ordering::SeqCst) >= times).then_some(());
    until("a download", async || asked(1)).await;
    paused.pause();
    let other = cluster.start(1, "").await;
    until("a download by the other", async || asked(2)).await;
    other.settled(1).await;
    paused.resume();
    portal.released.send_replace(true);
    until("a refusal", async || paused.logged().contains("the lease was lost").then_some(())).await;

    let query = "{ revisions { nodes { sha256 } } notifications { nodes { status attempts } } }";
    let expected = json!({
        "revisions": { "nodes": [{ "sha256": sha256(NEW) }] },
        "notifications": { "nodes": [{ "status": "ARCHIVED", "attempts": 2 }] },
    });
    assert_eq!(other.query(query).await, expected);
    // The object that it stored is known to it, and removed.
    assert_eq!(tokio::task::block_in_place(|| paused.terminate()), Some(0));
    let paused = cluster.start(0, "").await;
    until("one object", async || (cluster.objects() == [sha256(NEW)]).then_some(())).await;
    for (replica, served) in [&paused, &other].into_iter().enumerate() {
        served.indexed().await;
        let verified = cluster.run(replica, &["verify"]).await;
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}
