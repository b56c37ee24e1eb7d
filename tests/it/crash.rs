use std::path::Path;

use crate::harness::burst::{Burst, Loss, ask, rounds};
use crate::harness::power::Disk;
use crate::harness::process::{Served, acervo, free_port};

/// Notifications of a burst for each time that the service is ended.
const PER_ROUND: usize = 100;

/// Starts a service apart from the threads that play the portal.
async fn start(folder: &Path, port: u16, disk: Option<&Disk>) -> Served {
    let mut command = acervo(folder);
    if let Some(disk) = disk {
        disk.attach(&mut command);
    }
    let log = folder.join("log.txt");
    tokio::task::spawn_blocking(move || Served::spawn(command, log, port, "warn")).await.expect("a server")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_that_was_answered_202_is_lost() {
    let rounds = rounds(8);
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut served = start(folder.path(), port, None).await;
    let burst = Burst::start(rounds * PER_ROUND, &served.url).await;
    for round in 1..=rounds {
        burst.part(round, rounds).await;
        served.kill();
        served = start(folder.path(), port, None).await;
    }
    let acked = burst.check(&folder.path().join("data/archive")).await.expect("no loss");
    eprintln!("killed {rounds} times: {acked} answered 202, 0 lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_power_fails_nothing_that_was_answered_202_is_lost() {
    let rounds = rounds(4);
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::new(folder.path());
    let port = free_port();
    let mut served = start(folder.path(), port, Some(&disk)).await;
    let burst = Burst::start(rounds * PER_ROUND, &served.url).await;
    let mut forgotten = 0;
    for round in 1..=rounds {
        burst.part(round, rounds).await;
        served.kill();
        forgotten += disk.cut_power();
        served = start(folder.path(), port, Some(&disk)).await;
    }
    let acked = burst.check(&disk.folder.join("archive")).await.expect("no loss");
    assert!(forgotten > 0, "the disk forgot nothing: nothing was tested");
    eprintln!("power cut {rounds} times, {forgotten} files forgotten in part: {acked} answered 202, 0 lost");
}

/// The test above can fail: with one kind of sync left out, it reports what is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_is_detected() {
    let (log, archive) = tokio::join!(loss_with_a_lie("acervo.db-wal"), loss_with_a_lie("/archive"));
    assert!(matches!(log, Err(Loss::Notifications(1..))), "no sync of the write-ahead log was done: {log:?}");
    assert!(matches!(archive, Err(Loss::Files(1..))), "no sync in the archive was done: {archive:?}");
}

/// What is found when power is cut three times and the syncs of some files were promised and not done.
async fn loss_with_a_lie(about: &str) -> Result<usize, Loss> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = Disk::new(folder.path());
    disk.lie = about.to_owned();
    let port = free_port();
    let mut served = start(folder.path(), port, Some(&disk)).await;
    let burst = Burst::start(3 * PER_ROUND, &served.url).await;
    for round in 1..=3 {
        burst.part(round, 3).await;
        served.kill();
        disk.cut_power();
        served = start(folder.path(), port, Some(&disk)).await;
    }
    burst.check(&disk.folder.join("archive")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_no_request_breaks_off_and_no_file_is_half() {
    let rounds = rounds(8);
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut served = start(folder.path(), port, None).await;
    let burst = Burst::start(rounds * PER_ROUND, &served.url).await;
    for round in 1..=rounds {
        burst.part(round, rounds).await;
        assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0));
        assert!(!served.logged().contains("are cut off"), "{}", served.logged());
        served = start(folder.path(), port, None).await;
    }
    assert_eq!(burst.broken(), 0, "requests broke off");
    let acked = burst.check(&folder.path().join("data/archive")).await.expect("no loss");
    eprintln!("stopped {rounds} times: {acked} answered 202, 0 requests broken, 0 lost");
}

/// Writers and readers without a pause leave no moment in which the write-ahead log could be emptied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_the_write_ahead_log_stays_short() {
    const LOG_BYTES_MAX: u64 = 32 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let served = start(folder.path(), free_port(), None).await;
    let url = served.url.clone();
    let reader = tokio::spawn(async move {
        let query = "{ notifications(first: 500) { nodes { id status } } publications(first: 500) { totalCount } }";
        let client = reqwest::Client::new();
        loop {
            tokio::join!(ask(&client, &url, query), ask(&client, &url, query));
        }
    });
    let burst = Burst::start(1_500, &served.url).await;
    let log = folder.path().join("data/acervo.db-wal");
    let mut longest = 0;
    for part in 1..=100 {
        burst.part(part, 100).await;
        longest = longest.max(log.metadata().map_or(0, |log| log.len()));
    }
    reader.abort();
    burst.check(&folder.path().join("data/archive")).await.expect("no loss");
    assert!((1..LOG_BYTES_MAX).contains(&longest), "the log grew to {longest} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_fails_before_the_service_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let portal = crate::harness::portal(&format!("http://127.0.0.1:{port}/webhook"), Default::default()).await;
    for product in acervo::portal::builtin(60, jiff::Timestamp::now()) {
        portal.add(product);
    }
    let mut served = Served::start(folder.path(), port, "info");
    assert_eq!(portal.enviar_tudo().await.delivered, 60);
    let client = reqwest::Client::new();
    let ready = || async { Some(client.get(format!("http://127.0.0.1:{port}/readyz")).send().await.ok()?.status()) };
    assert_eq!(ready().await.map(|status| status.as_u16()), Some(200));
    served.ask_to_stop();
    let mut answers = Vec::new();
    while let Some(status) = ready().await {
        answers.push(status.as_u16());
    }
    assert_eq!(answers.last(), Some(&503), "{answers:?}");
    assert_eq!(tokio::task::block_in_place(|| served.ended()), Some(0));
    assert!(served.logged().contains("stopped"), "{}", served.logged());
    let served = Served::start(folder.path(), port, "info");
    let query = "{ publications(filter: { status: [ARCHIVED] }) { totalCount } }";
    served.until(query, |data| data["publications"]["totalCount"] == 60).await;
}
