//! Coverage of many products: GraphQL, the command line, exports and metrics.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::civil::{Date, date};
use jiff::{SignedDuration, ToSpan};
use serde_json::{Value, json};

use crate::harness::process::{acervo, imported};
use crate::harness::{Db, KEY, Options, TestApp, on_each_database};
use crate::history_of_years as years;

const OVERVIEW: &str = "query($filter: ProductFilter, $from: LocalDate!, $to: LocalDate!, $state: [CoverageState!], $first: Int, $after: String) {
    coverageOverview(filter: $filter, from: $from, to: $to, state: $state, first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor }
        nodes { productId name process granularity expected archived awaited late missing lost purged arrivedLate
            periods { periodStart periodEnd state dueAt arrivedLateBySeconds publication { name fileName } } } } }";

/// What is imported: a name, a process, a period's day, and how many hours after its start the file arrived.
type Arrival<'a> = (&'a str, &'a str, Date, i64);

/// Imports files with the times at which they arrived.
async fn import(app: &TestApp, arrivals: &[Arrival<'_>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lines = String::new();
    for (n, (name, process, day, hours)) in arrivals.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.txt")), format!("arquivo {n}")).expect("a file");
        let start = acervo::domain::sao_paulo().to_timestamp(day.at(0, 0, 0, 0)).expect("an instant");
        let line = json!({
            "path": format!("{n}.txt"), "nome": name, "processo": process,
            "dataProduto": day.strftime("%d/%m/%Y").to_string(),
            "receivedAt": (start + SignedDuration::from_hours(*hours)).to_string(),
        });
        lines.push_str(&format!("{line}\n"));
    }
    let manifest = folder.path().join("m.ndjson");
    std::fs::write(&manifest, lines).expect("a manifest");
    let (folder, manifest) = (folder.path().display().to_string(), manifest.display().to_string());
    let (code, out, err) = imported(app, &[&folder, "--manifest", &manifest]);
    assert_eq!(code, Some(0), "{out}{err}");
    app.indexed().await;
}

/// A daily product that came at ten each day, once five hours late, and that misses two days; one that came every day; one that
/// has a single file.
async fn some_products(app: &TestApp) {
    let days: Vec<Date> = date(2025, 1, 6).series(1.day()).take(40).collect();
    let mut all = Vec::new();
    for (n, day) in days.iter().enumerate() {
        if n != 30 && n != 31 {
            all.push(("IPDO", "Operação em Tempo Real", *day, if n == 35 { 17 } else { 10 }));
        }
        all.push(("Acomph", "Hidrologia", *day, 8));
    }
    all.push(("Relatório único", "Hidrologia", date(2025, 2, 3), 30));
    import(app, &all).await;
}

on_each_database!(the_overview_agrees_with_the_coverage_of_each_product, 2 threads);
async fn the_overview_agrees_with_the_coverage_of_each_product(db: Db) {
    let app = TestApp::on(db).await;
    some_products(&app).await;
    let span = json!({ "from": "2025-02-01", "to": "2025-02-14" });
    let found = app.query_with(OVERVIEW, span.clone()).await["coverageOverview"].clone();
    assert_eq!(found["totalCount"], 3);
    let rows = found["nodes"].as_array().expect("a list");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["Acomph", "IPDO", "Relatório único"], "by name");
    let one = "query($id: ID!) { coverage(productId: $id, from: \"2025-02-01\", to: \"2025-02-14\") {
        granularity expected archived late missing
        periods { periodStart periodEnd state dueAt arrivedLateBySeconds publication { name fileName } } } }";
    for row in rows {
        let alone = app.query_with(one, json!({ "id": row["productId"] })).await["coverage"].clone();
        for field in ["granularity", "expected", "archived", "late", "missing"] {
            assert_eq!(row[field], alone[field], "{db:?} {field} of {row}");
        }
        let is_noted = |period: &&Value| {
            period["state"] == "LATE"
                || period["state"] == "MISSING"
                || period["state"] == "LOST"
                || !period["arrivedLateBySeconds"].is_null()
        };
        let noted: Vec<&Value> = alone["periods"].as_array().expect("a list").iter().filter(is_noted).collect();
        assert_eq!(row["periods"].as_array().expect("a list").iter().collect::<Vec<_>>(), noted, "{db:?} {row}");
    }
    // The 5th and 6th are missing. The file of the 10th came at 17 h: due at noon, two hours after the usual time.
    let ipdo = &rows[1];
    assert_eq!((&ipdo["missing"], &ipdo["archived"], &ipdo["arrivedLate"]), (&json!(2), &json!(12), &json!(1)));
    let starts: Vec<(&str, &str)> = ipdo["periods"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["periodStart"].as_str().expect("a start")[..10], one["state"].as_str().expect("a state")))
        .collect();
    assert_eq!(starts, [("2025-02-05", "MISSING"), ("2025-02-06", "MISSING"), ("2025-02-10", "ARCHIVED")]);
    let late = &ipdo["periods"][2];
    assert_eq!(
        (&late["dueAt"], &late["arrivedLateBySeconds"]),
        (&json!("2025-02-10T15:00:00.000Z"), &json!(5 * 3_600))
    );
    assert_eq!(late["publication"]["name"], "IPDO");
    // Chosen states, a filter, pages.
    let mut chosen = span.clone();
    chosen["state"] = json!(["ARCHIVED"]);
    chosen["filter"] = json!({ "process": { "eq": "hidrologia" }, "name": { "contains": "acom" } });
    let found = app.query_with(OVERVIEW, chosen).await["coverageOverview"].clone();
    assert_eq!(
        (found["totalCount"].as_u64(), found["nodes"][0]["periods"].as_array().map(Vec::len)),
        (Some(1), Some(14))
    );
    let mut paged = span.clone();
    paged["first"] = 2.into();
    let first = app.query_with(OVERVIEW, paged.clone()).await["coverageOverview"].clone();
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    paged["after"] = first["pageInfo"]["endCursor"].clone();
    let second = app.query_with(OVERVIEW, paged).await["coverageOverview"].clone();
    assert_eq!(second["nodes"].as_array().map(Vec::len), Some(1));
    for (from, to) in [("2025-02-02", "2025-02-01"), ("2024-01-01", "2025-06-01")] {
        let answer = app.ask(OVERVIEW, json!({ "from": from, "to": to })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    }
}

/// What is late now, and what is not due yet, as the clock says it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overdue_is_late_and_then_missing() {
    let app = TestApp::start().await;
    let today = acervo::domain::sao_paulo().to_datetime(app.app.clock.now()).date();
    // Every day up to four days ago; from then on nothing.
    let days = (4..40).map(|ago| today.saturating_sub(i64::from(ago).days()));
    let all: Vec<Arrival<'_>> = days.map(|day| ("IPDO", "Processo Atrasado", day, 1)).collect();
    import(&app, &all).await;
    let span =
        json!({ "from": today.saturating_sub(6.days()).to_string(), "to": today.saturating_add(2.days()).to_string() });
    let found = app.query_with(OVERVIEW, span).await["coverageOverview"]["nodes"][0].clone();
    // Due three hours into the day, missing three days later: the day three days ago is one or the other by the hour.
    let (late, missing) = (found["late"].as_u64().expect("a count"), found["missing"].as_u64().expect("a count"));
    assert!(late >= 2 && missing <= 1, "{found}");
    assert_eq!(found["expected"].as_u64(), Some(9), "{found}");
    assert!(found["awaited"].as_u64() >= Some(2), "{found}");
    // The metric counts the last 31 days.
    let metrics = app.get("/metrics").await.text().await.expect("metrics");
    let lines =
        metrics.lines().filter(|line| line.starts_with("acervo_coverage_periods{process=\"Processo Atrasado\""));
    let counts: f64 =
        lines.map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("a number")).sum();
    assert_eq!(counts, (late + missing) as f64, "{metrics}");
}

/// A month of all products takes a few statements, however many products there are and however long their history is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_of_all_products_takes_few_statements() {
    let mut taken = Vec::new();
    for (count, publications) in [(30, 1_200), (300, 12_000)] {
        let folder = TestApp::with(Options { without_jobs: true, ..Options::default() }).await.stop().await;
        years::fill(&folder.path().join("data/acervo.db"), &years::products(count), publications).await;
        let app = TestApp::with(Options { folder: Some(folder), ..Options::default() }).await;
        app.until("{ publications { totalCount } }", |data| data["publications"]["totalCount"] == publications).await;
        let statements: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let seen = statements.clone();
        acervo::leaves::record(&app.app).watch_statements(move |statement| {
            let mut seen = seen.lock().expect("a lock");
            *seen.entry(statement.sql.split("IN (").next().unwrap_or_default().to_owned()).or_default() += 1;
        });
        let today = acervo::domain::sao_paulo().to_datetime(app.app.clock.now()).date();
        let span =
            json!({ "from": today.saturating_sub(30.days()).to_string(), "to": today.to_string(), "first": 1000 });
        let query = "query($from: LocalDate!, $to: LocalDate!, $first: Int) {
            coverageOverview(from: $from, to: $to, first: $first) { nodes { name expected archived late missing } } }";
        let found = app.query_with(query, span).await["coverageOverview"]["nodes"].clone();
        assert_eq!(found.as_array().map(Vec::len), Some(count));
        assert!(found.as_array().expect("a list").iter().all(|row| row["archived"].as_u64() >= Some(28)), "{found}");
        let seen = statements.lock().expect("a lock");
        let of_coverage: Vec<(&String, &usize)> =
            seen.iter().filter(|(sql, _)| sql.contains("period_start") || sql.contains("\"products\"")).collect();
        taken.push(of_coverage.iter().map(|(_, count)| **count).sum::<usize>());
        app.leaves_work_unsettled("the rows were written directly");
    }
    assert_eq!(taken[0], taken[1], "ten times as many products take as many statements");
    assert!(taken[0] <= 4, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coverage_is_exported_and_printed() {
    let app = TestApp::start().await;
    some_products(&app).await;
    let path = "/export/coverage.ndjson?from=2025-02-01&to=2025-02-14";
    let text = app.get(path).await.text().await.expect("text");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 14 + 14 + 1, "all periods, of the single file its own: {text}");
    let late =
        app.get(&format!("{path}&state=missing,Arrived_Late&process=tempo%20real")).await.text().await.expect("text");
    let late: Vec<Value> = late.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let states: Vec<&str> = late.iter().filter_map(|row| row["state"].as_str()).collect();
    assert_eq!(states, ["MISSING", "MISSING", "ARCHIVED"]);
    assert_eq!(late[2]["arrivedLateBySeconds"], 5 * 3_600);
    let csv = app.get("/export/coverage.csv?from=2025-02-05&to=2025-02-05&columns=name,periodStart,state").await;
    let expected =
        "name,periodStart,state\r\nAcomph,2025-02-05T00:00:00,ARCHIVED\r\nIPDO,2025-02-05T00:00:00,MISSING\r\n";
    assert_eq!(csv.text().await.expect("text"), expected);
    let parquet = app.get("/export/coverage.parquet?from=2025-02-01&to=2025-02-14").await;
    assert_eq!(&parquet.bytes().await.expect("bytes")[..4], b"PAR1");
    for (query, problem) in [
        ("from=2025-02-01", "`to` is missing"),
        ("from=2025-02-01&to=ontem", "`to` is `ontem`"),
        ("from=2025-02-01&to=2025-02-02&state=TARDE", "`TARDE`"),
        ("from=2025-02-01&to=2025-02-02&asOf=2025-02-01", "`asOf` is not a parameter"),
        ("from=2024-01-01&to=2025-02-02", "at most 366"),
    ] {
        let answer = app.get(&format!("/export/coverage.csv?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}");
        let detail = answer.text().await.expect("text");
        assert!(detail.contains(problem), "{query}: {detail}");
    }
    let folder = app.folder.clone();
    let url = app.url.clone();
    tokio::task::block_in_place(|| {
        let span = ["coverage", "--from", "2025-02-01", "--to", "2025-02-14"];
        let command = |more: &[&str]| {
            let output = acervo(folder.path())
                .env("COLUMNS", "100")
                .args(span)
                .args(more)
                .output()
                .expect("a binary that starts");
            assert_eq!(output.status.code(), Some(0), "a report: {output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        let table = command(&[]);
        assert!(table.contains("3 products") && table.contains("1 of them late"), "{table}");
        assert!(
            table.contains("archived late") && table.contains("5 h 0 min") && table.contains("05/02/2025"),
            "{table}"
        );
        assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
        let only = command(&["--state", "arrived-late,lost", "--product", "ipdo", "--format", "csv"]);
        let lines: Vec<&str> = only.lines().collect();
        assert!(lines.len() == 2 && lines[1].contains("2025-02-10T00:00:00") && lines[1].ends_with(",18000"), "{only}");
        let rows: Value = serde_json::from_str(&command(&["--format", "json"])).expect("JSON");
        assert_eq!(rows[1]["periods"].as_array().map(Vec::len), Some(3), "{rows}");
        // The same of a remote instance.
        let remote = command(&["--format", "json", "--url", &url, "--key", KEY]);
        assert_eq!(serde_json::from_str::<Value>(&remote).expect("JSON"), rows);
        let wrong = acervo(folder.path()).args(["coverage", "--from", "2025-02-02", "--to", "2025-02-01"]).output();
        assert_eq!(wrong.expect("a binary that starts").status.code(), Some(2));
    });
}
