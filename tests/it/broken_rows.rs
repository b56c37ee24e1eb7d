use std::time::Duration;

use acervo::leaves;
use acervo::leaves::record::Capacity;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::{Db, Options, TestApp, on_each_database, postgres};

async fn execute(app: &TestApp, sql: &str) {
    let connection = app.database().await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{e}: {sql}"));
    connection.close().await.expect("a closed connection");
}

async fn notify(app: &TestApp, links: &FileServer, name: &str) {
    let claims = json!({ "URL": format!("/sites/1/Produtos/1/{name}.txt"), "IsFile": "True" });
    let now = jiff::Timestamp::now().as_second();
    let link = links.link_at(&claims, now, now + 86_640);
    let body = json!({ "nome": name, "dataProduto": "09/05/2025", "url": link });
    assert_eq!(app.notify(&body.to_string()).await.0, 202);
    leaves::record(&app.app).intake().caught_up().await;
}

async fn without_jobs(db: Db) -> TestApp {
    TestApp::with(Options { without_jobs: true, database_url: postgres::database(db), ..Options::default() }).await
}

async fn notifications(app: &TestApp) -> Vec<Value> {
    let data = app.query("{ notifications { nodes { name source status error } } }").await;
    data["notifications"]["nodes"].as_array().expect("a list").clone()
}

on_each_database!(a_notification_whose_row_is_broken_keeps_no_other_from_being_fetched);
/// An open notification that lost what its fetch needs ends as FAILED and says why; the others are fetched.
async fn a_notification_whose_row_is_broken_keeps_no_other_from_being_fetched(db: Db) {
    for (broken, said) in
        [("link = NULL", "has no link"), ("name = NULL", "has no name"), ("attempts = -7", "has had -7 attempts")]
    {
        let app = without_jobs(db).await;
        let links = FileServer::start().await;
        notify(&app, &links, "whole").await;
        notify(&app, &links, "broken").await;
        execute(&app, &format!("UPDATE notifications SET source = 'broken', {broken} WHERE name = 'broken'")).await;
        let capacity = Capacity { total: 10, per_host: 10, hosts: Default::default() };
        let now = app.app.clock.now();
        let claims = leaves::record(&app.app).queue().claim(now, now, Duration::from_secs(60), capacity).await;
        let claims = claims.expect("claims");
        assert_eq!(claims.len(), 1, "{db:?}: {broken}");
        assert_eq!(claims[0].notifications[0].name, "whole", "{db:?}: {broken}");
        for row in notifications(&app).await {
            let is_broken = row["source"] == "broken";
            assert_eq!(row["status"], if is_broken { "FAILED" } else { "FETCHING" }, "{db:?}: {broken}: {row}");
            let error = row["error"].as_str().unwrap_or_default();
            assert_eq!(error.contains(said), is_broken, "{db:?}: {broken}: {row}");
        }
        leaves::record(&app.app).queue().release(&claims[0]).await.expect("a released claim");
    }
}

on_each_database!(a_status_that_does_not_exist_is_an_error_that_names_it);
/// A stored value that its type does not have is an error that names it, not another value.
async fn a_status_that_does_not_exist_is_an_error_that_names_it(db: Db) {
    let app = without_jobs(db).await;
    assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
    let ids = app.query("{ notifications { nodes { id } } }").await;
    let id = ids["notifications"]["nodes"][0]["id"].as_str().expect("an id").parse().expect("an id");
    execute(&app, "UPDATE notifications SET status = 'REJECTEDD'").await;
    let found = leaves::record(&app.app).history().notifications_by_id(&[id]).await;
    let error = found.expect_err("a broken row").to_string();
    assert!(error.contains("`REJECTEDD` is not one of QUEUED"), "{db:?}: {error}");
}
