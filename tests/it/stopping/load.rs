//! The same over a million publications, with a release build.
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{MARKED, count, expired_bodies, without_index};
use crate::harness::database;
use crate::harness::links::FileServer;
use crate::harness::polling::Polling;
use crate::harness::process::{Served, acervo_from, free_port};

/// Asks a command to stop once `holds`, and gives how long it took to end.
fn stop_once(mut child: Child, holds: impl Fn() -> bool) -> f64 {
    let polling = Polling::with_patience(Duration::from_secs(600));
    while !holds() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it was asked to");
        polling.pause_thread(|| "it does not come so far".to_owned());
    }
    let asked = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process");
    child.wait().expect("its end");
    asked.elapsed().as_secs_f64()
}

fn quietly(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a binary that starts")
}

/// `ACERVO_TEST_LOAD` names the binary; `ACERVO_TEST_PUBLICATIONS` says how many publications there are, else a million.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a release build"]
async fn over_a_million_rows_all_work_ends_in_time() {
    let binary = std::env::var("ACERVO_TEST_LOAD").expect("ACERVO_TEST_LOAD names a binary");
    // The service runs in a folder of its own.
    let binary = std::path::absolute(binary).expect("a path").display().to_string();
    let rows = std::env::var("ACERVO_TEST_PUBLICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let archive = without_index(rows).await;
    let folder = archive.folder.path().to_owned();
    std::fs::write(
        folder.join("acervo.toml"),
        "[retention]\ngrace = \"7d\"\n[[retention.policy]]\nname = \"all\"\nkeep_within = \"3y\"\nkeep_last = 1\n",
    )
    .expect("a file");
    let mut lines = Vec::new();
    let mut note = |what: &str, seconds: f64| {
        lines.push(format!("{what:8} ended {seconds:5.1} s after it was asked to stop"));
        assert!(seconds < 25.0, "{lines:?}");
    };

    let port = free_port();
    let served = |log: &str| Served::spawn(acervo_from(&binary, &folder), folder.join(log), port, "info");
    let mut first = served("first.txt");
    let indexed = "{ publications { totalCount } }";
    first.until(indexed, |data| data["publications"]["totalCount"].as_u64() > Some(rows as u64 / 10)).await;
    let asked_at = Instant::now();
    assert_eq!(first.terminate(), Some(0), "{}", first.logged());
    note("build", asked_at.elapsed().as_secs_f64());
    let mut second = served("second.txt");
    until_patiently(&second, indexed, |data| data["publications"]["totalCount"] == rows).await;
    assert!(!second.logged().contains("\"done\":0"), "it started again: {}", second.logged());
    assert_eq!(second.terminate(), Some(0));

    let began = Instant::now();
    let plan = quietly(acervo_from(&binary, &folder).args(["retention", "plan", "--format", "json"]));
    note("plan", stop_once(plan, || began.elapsed() > Duration::from_millis(1_500)));

    let retention_run = quietly(acervo_from(&binary, &folder).args(["retention", "run"]));
    let database = database::connect(&database::address(None, &folder)).await;
    let now = |query: &str| tokio::runtime::Handle::current().block_on(count(&database, query));
    let marks = || now(MARKED) > 0;
    note("run", tokio::task::block_in_place(|| stop_once(retention_run, marks)));

    let file = folder.join("a.ndjson");
    let bodies = expired_bodies(&FileServer::start().await, u32::try_from(rows).expect("a count"));
    std::fs::write(&file, bodies).expect("a file");
    let import = quietly(acervo_from(&binary, &folder).arg("import").arg(&file));
    let imported = || now("SELECT COUNT(*) FROM notifications") > 2_000;
    note("import", tokio::task::block_in_place(|| stop_once(import, imported)));
    database.close().await.expect("a closed connection");
    for line in lines {
        eprintln!("{line}");
    }
}

async fn until_patiently(served: &Served, query: &str, holds: impl Fn(&Value) -> bool) {
    let polling = Polling::with_patience(Duration::from_secs(900));
    while !holds(&served.query(query).await) {
        polling.pause(|| served.logged()).await;
    }
}
