use std::sync::Arc;

use acervo::domain::Clock;
use axum::http::StatusCode;
use secrecy::ExposeSecret;

use crate::fetch::{HeldServer, announce, announce_file};
use crate::harness::{Db, Options, PATIENCE, TestApp, on_each_database, postgres};

const HOUR: i64 = 3_600_000;

const NODES: &str = "{ notifications { nodes { status error } } }";

async fn until_status(app: &TestApp, status: &str) {
    app.until(NODES, |data| {
        let nodes = data["notifications"]["nodes"].as_array().expect("a list");
        nodes.iter().all(|node| node["status"] == status)
    })
    .await;
}

/// These attempts take several seconds: whatever is done every second has been done.
async fn tried_on(server: &mut HeldServer) {
    let asked = server.times();
    server.asked(asked + 25).await;
}

on_each_database!(a_clock_that_jumps_ahead_expires_no_link);
async fn a_clock_that_jumps_ahead_expires_no_link(db: Db) {
    let app = TestApp::on(db).await;
    let mut server = HeldServer::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    announce(&app, &server.address, 0, 86_000).await;
    until_status(&app, "RETRYING").await;
    app.app.clock.set_wrong(25 * HOUR);
    tried_on(&mut server).await;
    let data = app.query(NODES).await;
    assert_ne!(data["notifications"]["nodes"][0]["status"], "EXPIRED", "{db:?}");
    server.answer(StatusCode::OK, "enfim");
    until_status(&app, "ARCHIVED").await;
    app.settled(1).await;
}

on_each_database!(a_start_with_a_clock_far_ahead_expires_no_link_until_confirmed);
/// The same at a start: the last process was there a moment ago, by a clock that was right.
async fn a_start_with_a_clock_far_ahead_expires_no_link_until_confirmed(db: Db) {
    for confirmed in [false, true] {
        let app = TestApp::on(db).await;
        let mut server = HeldServer::start(StatusCode::INTERNAL_SERVER_ERROR).await;
        announce(&app, &server.address, 0, 86_000).await;
        until_status(&app, "RETRYING").await;
        let database_url = app.app.settings.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        app.leaves_work_unsettled("the next service continues it");
        let folder = Some(app.stop().await);
        let clock = Clock::default();
        clock.set_wrong(25 * HOUR);
        let app = TestApp::with(Options { folder, database_url, clock, ..Options::default() }).await;
        tried_on(&mut server).await;
        let data = app.query(NODES).await;
        assert_ne!(data["notifications"]["nodes"][0]["status"], "EXPIRED", "{db:?}");
        if confirmed {
            // The portal's clock agrees: a day has passed.
            let good = HeldServer::start(StatusCode::OK).await;
            good.offer("outro");
            announce_file(&app, &good.address, "outro.txt", 25 * 3600, 49 * 3600).await;
            app.until(NODES, |data| {
                let nodes = data["notifications"]["nodes"].as_array().expect("a list");
                nodes.iter().any(|node| node["status"] == "EXPIRED")
            })
            .await;
        } else {
            server.answer(StatusCode::OK, "enfim");
            until_status(&app, "ARCHIVED").await;
        }
        app.settled(1).await;
    }
}

on_each_database!(attempts_delayed_by_a_wrong_clock_are_made_once_it_is_right);
async fn attempts_delayed_by_a_wrong_clock_are_made_once_it_is_right(db: Db) {
    let database_url = postgres::database(db);
    let clock = Clock::default();
    clock.set_wrong(3 * HOUR);
    let app = TestApp::with(Options { database_url, clock, ..Options::default() }).await;
    let mut server = HeldServer::start(StatusCode::INTERNAL_SERVER_ERROR).await;
    announce(&app, &server.address, 0, 86_000).await;
    until_status(&app, "RETRYING").await;
    server.asked(2).await;
    app.app.clock.set_wrong(0);
    server.answer(StatusCode::OK, "enfim");
    until_status(&app, "ARCHIVED").await;
    app.settled(1).await;
}

#[tokio::test]
async fn notifications_received_by_a_wrong_clock_are_fetched_once_it_is_right() {
    let clock = Clock::default();
    clock.set_wrong(3 * HOUR);
    let app = TestApp::with(Options { clock, without_jobs: true, ..Options::default() }).await;
    let server = HeldServer::start(StatusCode::OK).await;
    server.offer("enfim");
    announce(&app, &server.address, 0, 86_000).await;
    app.app.clock.set_wrong(0);
    let jobs = acervo::jobs::Jobs::start(&app.app).await.expect("jobs");
    until_status(&app, "ARCHIVED").await;
    jobs.stop().await;
}

/// Two replicas on one database, one with a clock that is ahead by more than a lease.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn replicas_whose_clocks_differ_fetch_a_file_once() {
    let database_url = postgres::database(Db::Postgres);
    let first = TestApp::with(Options { database_url: database_url.clone(), ..Options::default() }).await;
    for wrong in [90_000, -90_000] {
        let clock = Clock::default();
        clock.set_wrong(wrong);
        let options = Options { database_url: database_url.clone(), clock, ..Options::default() };
        let second = TestApp::with(options).await;
        let mut held = HeldServer::start(StatusCode::OK).await;
        held.offer("primeiro");
        held.open.send_replace(false);
        announce_file(&first, &held.address, &format!("{wrong}.txt"), 0, 86_000).await;
        held.asked(1).await;
        // The other one, whichever it is, polls several times in the meantime.
        for n in 0..4 {
            let other = HeldServer::start(StatusCode::OK).await;
            other.offer("segundo");
            announce_file(&second, &other.address, &format!("{wrong}-{n}.txt"), 0, 86_000).await;
            let mut other = other;
            other.asked(1).await;
        }
        assert_eq!(held.times(), 1, "{wrong}");
        held.open.send_replace(true);
        second.settled(1).await;
        assert_eq!(held.times(), 1, "{wrong}");
        drop(Arc::new(second.stop().await));
    }
    first.settled(10).await;
    tokio::time::timeout(PATIENCE, first.stop()).await.expect("an end");
}
