//! A full disk: what continues, what waits, and how space is freed.
use acervo::portal::Portal;
use serde_json::Value;

use crate::harness::disk::SmallDisk;
use crate::harness::process::{self, Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{KEY, bytes_in, portal};
use crate::retention::{DECKS, days, history_of};

/// Waits until `count` publications have their file.
async fn archived(served: &Served, count: u64) -> Value {
    let query = "{ publications(filter: { status: [ARCHIVED] }) { totalCount nodes { revisionId } } }";
    served.until(query, |data| data["publications"]["totalCount"] == count).await
}

async fn status(served: &Served, path: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}{path}", served.url)).bearer_auth(KEY);
    request.send().await.expect("a response").status().as_u16()
}

/// Has the portal send a product and gives the status of the response.
async fn send(portal: &Portal, number: u32) -> Option<u16> {
    portal.enviar(number).await.expect("a product").status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the right to mount a disk"]
async fn fetching_stops_first_and_receiving_last() {
    let disk = SmallDisk::mount("64m");
    let mut command = acervo(disk.path());
    command.args(["--set", "disk.fetch_floor=12 MiB", "--set", "disk.receive_floor=3 MiB"]);
    let log = tempfile::NamedTempFile::new().expect("a log");
    let served = Served::spawn(command, log.path().to_owned(), free_port(), "info");
    let portal = portal(&format!("{}/webhook", served.url), Default::default()).await;
    for number in 1..=4 {
        portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("conteúdo {number}").repeat(100)));
    }
    assert_eq!(send(&portal, 1).await, Some(202));
    let revision = archived(&served, 1).await["publications"]["nodes"][0]["revisionId"].clone();
    let file = format!("/files/{}", revision.as_str().expect("an id"));
    // Between the floors: recorded, not fetched.
    disk.leave(6 << 20);
    served.until("{ status { fetchingWaits } }", |data| data["status"]["fetchingWaits"].is_string()).await;
    assert_eq!(send(&portal, 2).await, Some(202));
    assert_eq!(status(&served, "/readyz").await, 200);
    assert_eq!(served.query("{ status { queued } }").await["status"]["queued"], 1);
    // Below both limits: the portal keeps the notification. What is archived can still be read.
    disk.leave(1 << 20);
    assert_eq!(send(&portal, 3).await, Some(503));
    assert_eq!((status(&served, "/readyz").await, status(&served, &file).await), (503, 200));
    disk.fill();
    assert_eq!(send(&portal, 4).await, Some(503));
    assert_eq!(status(&served, &file).await, 200);
    // With space again, work continues without a restart, and the portal sends what it kept.
    disk.empty();
    let resent = portal.reenviar_pendentes().await;
    assert_eq!((resent.sent, resent.delivered), (2, 2));
    archived(&served, 4).await;
    assert_eq!(status(&served, "/readyz").await, 200);
    let logged = served.logged();
    assert!(logged.contains("fetching waits") && logged.contains("there is disk space again"), "{logged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the right to mount a disk"]
async fn a_retention_run_frees_it() {
    let disk = SmallDisk::mount("120m");
    let app = history_of(12, &DECKS.replace("7d", "0s")).await;
    let folder = app.stop().await;
    for name in ["data", "acervo.toml"] {
        let copied = std::process::Command::new("cp").arg("-a").arg(folder.path().join(name)).arg(disk.path()).status();
        assert!(copied.expect("cp").success());
    }
    disk.fill();
    let archive = disk.path().join("data/archive");
    let before = bytes_in(&archive);
    let output = tokio::task::block_in_place(|| process::run(disk.path(), &["retention", "run"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = bytes_in(&archive);
    assert!(after < before, "{before} bytes before, {after} after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the right to mount a disk"]
async fn a_retention_run_frees_it_while_a_server_runs() {
    let disk = SmallDisk::mount("48m");
    std::fs::write(disk.path().join("acervo.toml"), DECKS.replace("7d", "0s")).expect("a file");
    let mut served = Served::start(disk.path(), free_port(), "info");
    let portal = portal(&format!("{}/webhook", served.url), Default::default()).await;
    portal.add(days(12));
    for _ in 0..12 {
        assert_eq!(portal.publish(1).await.and_then(|delivery| delivery.status), Some(202));
    }
    archived(&served, 12).await;
    disk.fill();
    let archive = disk.path().join("data/archive");
    let before = bytes_in(&archive);
    let output = tokio::task::block_in_place(|| process::run(disk.path(), &["retention", "run"]));
    let after = bytes_in(&archive);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && after < before, "{before} bytes before, {after} after: {message}");
    // With space again, the index follows and notifications are accepted.
    disk.empty();
    let query = "{ publications(filter: { status: [PURGED] }) { totalCount } }";
    served.until(query, |data| data["publications"]["totalCount"] == 9).await;
    served.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    assert_eq!(send(&portal, 1).await, Some(202), "{}", served.logged());
    served.kill();
}
