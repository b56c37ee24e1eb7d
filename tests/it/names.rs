use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::{Db, TestApp, on_each_database};

const PATH: &str = "/sites/9/1/Produtos/1/a.txt";

/// Announces the same file with a token issued so many seconds ago, and waits until `count` notifications are settled. Gives the
/// names of the product and of its publication.
async fn announce(app: &TestApp, links: &FileServer, ago: i64, (name, process): (&str, &str), count: u64) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let link = links.link_at(&json!({ "URL": PATH, "IsFile": "True" }), now - ago, now + 80_000);
    let body = Notice::new(name).with("processo", process).link(link).to_string();
    assert_eq!(app.notify(&body).await.0, 202);
    app.settled(count).await;
    app.indexed().await;
    let data = app.query("{ products { nodes { name process } } publications { nodes { name process } } }").await;
    json!([data["products"]["nodes"], data["publications"]["nodes"]])
}

on_each_database!(names_announced_last_apply_whenever_they_arrive);
async fn names_announced_last_apply_whenever_they_arrive(db: Db) {
    let app = TestApp::on(db).await;
    let links = FileServer::start().await;
    links.offer(PATH, b"x", None);
    let expected = |name: &str, process: &str| {
        let row = json!([{ "name": name, "process": process }]);
        json!([row, row])
    };
    let names = [
        // Announced twice with the same names, and in between with others, which arrive last.
        (3_000, ("Novo", "P novo"), ("Novo", "P novo")),
        (1_000, ("Novo", "P novo"), ("Novo", "P novo")),
        (2_000, ("Novo", "P velho"), ("Novo", "P novo")),
        (2_000, ("Velho", "P velho"), ("Novo", "P novo")),
        (500, ("Novo", "P novíssimo"), ("Novo", "P novíssimo")),
        (400, ("Novíssimo", "P novíssimo"), ("Novíssimo", "P novíssimo")),
    ];
    for (count, (ago, announced, (name, process))) in (1..).zip(names) {
        let found = announce(&app, &links, ago, announced, count).await;
        assert_eq!(found, expected(name, process), "{db:?}: {announced:?} {ago} s ago");
    }
}
