//! Paging through a long list while it changes.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::{Options, TestApp};
use crate::history_of_years as years;

/// Publications that are there before; `ACERVO_TEST_PUBLICATIONS` makes them more.
fn count() -> usize {
    std::env::var("ACERVO_TEST_PUBLICATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_skip_and_repeat_nothing_while_others_write() {
    let folder = TestApp::with(Options { without_jobs: true, ..Options::default() }).await.stop().await;
    let products = years::products(40);
    years::fill(&folder.path().join("data/acervo.db"), &products, count()).await;
    let app = Arc::new(TestApp::with(Options { folder: Some(folder), ..Options::default() }).await);
    app.until("{ publications { totalCount } }", |data| data["publications"]["totalCount"] == count()).await;

    let stop = Arc::new(AtomicBool::new(false));
    app.leaves_work_unsettled("what was written last may wait for its fetch");
    let writing = tokio::spawn(write(app.clone(), stop.clone(), products.iter().map(|p| p.name.clone()).collect()));
    let mut walks = Vec::new();
    for order in ["PERIOD_DESC", "NAME_ASC", "ARCHIVED_DESC"] {
        walks.push((order, walk(&app, order).await));
    }
    stop.store(true, Ordering::SeqCst);
    let changed = writing.await.expect("a writer");
    assert!(changed.len() > 20, "only {} written in the meantime", changed.len());
    let mut known = None;
    for (order, rows) in &walks {
        let ids: BTreeSet<&String> = rows.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), rows.len(), "{order}: a row came twice");
        let unchanged: BTreeSet<&String> =
            rows.iter().filter(|(_, key)| !changed.contains(key)).map(|(id, _)| id).collect();
        let before = known.get_or_insert(unchanged.clone());
        assert_eq!(unchanged.len() + touched(&changed, &products), count(), "{order}: a row is missing");
        assert_eq!(*before, unchanged, "{order}: other rows than before");
    }
    eprintln!("{} publications read in 3 orders, {} written in the meantime", count(), changed.len());
}

/// The written publications that existed before.
fn touched(changed: &BTreeSet<(String, String)>, products: &[years::Product]) -> usize {
    changed.iter().filter(|(name, _)| products.iter().any(|product| product.name == *name)).count()
}

/// All rows: id, and name and day.
async fn walk(app: &TestApp, order: &str) -> Vec<(String, (String, String))> {
    let query = format!(
        "query($after: String) {{ publications(first: 500, after: $after, orderBy: {order}) {{
            nodes {{ id name referenceDate }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut rows, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = app.query_with(&query, json!({ "after": after })).await["publications"].clone();
        for node in page["nodes"].as_array().expect("a list") {
            let text = |name: &str| node[name].as_str().expect("a text").to_owned();
            rows.push((text("id"), (text("name"), text("referenceDate"))));
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return rows;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Writes new products and new contents of old publications, all over the list, as fast as possible. Returns what was written.
async fn write(app: Arc<TestApp>, stop: Arc<AtomicBool>, names: Vec<String>) -> BTreeSet<(String, String)> {
    let links = FileServer::start().await;
    let today = acervo::domain::sao_paulo().to_datetime(jiff::Timestamp::now()).date();
    let days = i64::try_from(count() / names.len()).expect("a number");
    let mut written = BTreeSet::new();
    for turn in 0_i64.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let day = today.saturating_sub(jiff::Span::new().days(1 + (turn * 37) % days)).strftime("%d/%m/%Y").to_string();
        let old = &names[usize::try_from(turn * 7).expect("a number") % names.len()];
        for name in [format!("Novo {turn}"), old.clone()] {
            let path = format!("/w/{turn}-{}.txt", name.len());
            links.offer(&path, format!("{name} {turn}").as_bytes(), None);
            let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
            let body = Notice::new(&*name).reference(&*day).with("processo", "Processo").link(link);
            assert_eq!(app.notify(&body.to_string()).await.0, 202);
            written.insert((name, day.clone()));
        }
    }
    written
}
