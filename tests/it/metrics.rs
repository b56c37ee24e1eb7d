//! Metrics: what is exposed, by which conventions, and what the document, the alerts and the dashboard say of it.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::{product, zip};
use crate::harness::{Options, TestApp, until};

/// One family of a scrape.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// The labels of each series (without `le`) and its value.
    series: Vec<(BTreeMap<String, String>, f64)>,
}

impl Family {
    fn labels(&self) -> BTreeSet<&str> {
        self.series.iter().flat_map(|(labels, _)| labels.keys().map(String::as_str)).collect()
    }
}

type Families = BTreeMap<String, Family>;

/// Reads the text format of Prometheus, which lists the series of a family after its head.
fn parsed(text: &str) -> Families {
    let mut families = Families::new();
    let mut seen = BTreeSet::new();
    let mut present = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').expect("a help text");
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').expect("a type");
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.kind.is_empty(), "{name} has two heads");
            family.kind = kind.to_owned();
            present = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            assert!(seen.insert(series.to_owned()), "{series} occurs twice");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let family = families.get_mut(&present).expect("a head before the series");
            let part = name.strip_prefix(present.as_str()).expect("series of their family");
            let is_known = if family.kind == "histogram" {
                ["_bucket", "_sum", "_count"].contains(&part)
            } else {
                part.is_empty()
            };
            assert!(is_known, "{series} is not of the {} {present}", family.kind);
            let mut labels = labels_of(labels.trim_end_matches('}'));
            assert_eq!(labels.remove("le").is_some(), part == "_bucket", "{series}");
            family.series.push((labels, value.parse().expect("a number")));
        }
    }
    families
}

fn labels_of(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once("=\"").expect("a label");
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect()
}

/// Whether a name breaks a rule of the conventions: those that `promtool check metrics` has, and what instants and types need.
fn broken_rule(name: &str, family: &Family) -> Option<&'static str> {
    let words: Vec<&str> = name.split('_').collect();
    let is_counter = family.kind == "counter";
    let units = [
        "ms",
        "millis",
        "milliseconds",
        "minutes",
        "hours",
        "days",
        "kb",
        "mb",
        "kib",
        "mib",
        "kilobytes",
        "megabytes",
        "percent",
    ];
    let rules = [
        (family.help.is_empty(), "it has no help text"),
        (!["counter", "gauge", "histogram"].contains(&family.kind.as_str()), "it has no type"),
        (family.series.is_empty(), "it has no series"),
        (!name.starts_with("acervo_"), "it has another prefix"),
        (name.contains(':') || name.bytes().any(|b| b.is_ascii_uppercase()), "it is not in snake case"),
        (is_counter != name.ends_with("_total"), "`_total` is for counters, and counters have it"),
        (["_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end)), "the end is reserved for histograms"),
        (
            words.iter().any(|word| ["gauge", "counter", "histogram", "metric"].contains(word)),
            "its type is in its name",
        ),
        (words.iter().any(|word| units.contains(word)), "its unit is not a base unit"),
        (name.contains("timestamp") != name.ends_with("_timestamp_seconds"), "instants end in `_timestamp_seconds`"),
        (
            name.ends_with("_timestamp_seconds") && family.series.iter().any(|(_, value)| *value < 1e9),
            "an instant is not in seconds since 1970",
        ),
        (name.ends_with("_info") && family.series.iter().any(|(_, value)| *value != 1.0), "an info metric is always 1"),
        (family.kind == "histogram" && !name.ends_with("_seconds"), "a histogram names its unit"),
        (family.series.len() > 3_000, "it has too many series"),
    ];
    rules.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, rule)| rule)
}

#[test]
fn the_checker_finds_what_breaks_the_conventions() {
    let rule_of = |text: &str| parsed(text).iter().find_map(|(name, family)| broken_rule(name, family));
    let good = "# HELP acervo_x_total X\n# TYPE acervo_x_total counter\nacervo_x_total{a=\"b\"} 1\n";
    assert_eq!(rule_of(good), None);
    for (bad, expected) in [
        ("# TYPE acervo_x_total counter\nacervo_x_total 1\n", "help"),
        ("# HELP acervo_x X\n# TYPE acervo_x counter\nacervo_x 1\n", "_total"),
        ("# HELP acervo_x_total X\n# TYPE acervo_x_total gauge\nacervo_x_total 1\n", "_total"),
        ("# HELP acervo_x_ms X\n# TYPE acervo_x_ms gauge\nacervo_x_ms 1\n", "base unit"),
        ("# HELP acervo_x_count X\n# TYPE acervo_x_count gauge\nacervo_x_count 1\n", "reserved"),
        ("# HELP acervo_x_timestamp X\n# TYPE acervo_x_timestamp gauge\nacervo_x_timestamp 1\n", "_timestamp_seconds"),
        (
            "# HELP acervo_x_timestamp_seconds X\n# TYPE acervo_x_timestamp_seconds gauge\nacervo_x_timestamp_seconds 0\n",
            "1970",
        ),
    ] {
        assert!(rule_of(bad).is_some_and(|rule| rule.contains(expected)), "{bad}: {:?}", rule_of(bad));
    }
}

async fn scraped(app: &TestApp) -> (String, Families) {
    let text = app.get("/metrics").await.text().await.expect("text");
    let families = parsed(&text);
    (text, families)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the project")
}

/// The type and the labels of each metric in the document.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `acervo_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 8, "{row}");
        assert!(!cells[3].is_empty() && !cells[5].is_empty(), "no unit or no meaning: {row}");
        let labels = cells[4].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    })
    .collect()
}

/// A service that has seen most of what can happen.
async fn some_history() -> TestApp {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("acervo.toml");
    // Nothing answers there, so its first event waits.
    let hook =
        "[[hook]]\nname = \"decks\"\nevents = [\"archived\"]\nurl = \"http://127.0.0.1:1/\"\nallow_private = true\n";
    std::fs::write(&config, hook).expect("a file");
    let app = TestApp::with(Options {
        config: Some(config),
        values: vec![("receiver.replay_at_least", "2".to_owned()), ("retention.jitter", "0s".to_owned())],
        ..Options::default()
    })
    .await;
    app.leaves_work_unsettled("a notification waits for a file that never comes");
    for number in 1..=3 {
        app.portal.add(product(number, &format!("Deck {number}"), "deck.zip", zip(&[("SISTEMA.DAT", b"dados")])));
        app.portal.enviar(number).await.expect("a product of that number");
    }
    app.settled(3).await;
    let verified = acervo(app.folder.path()).arg("verify").output().expect("a binary that starts");
    assert!(verified.status.success(), "{verified:?}");
    // The scheduled jobs run once, and begin a cycle of verification.
    app.app.clock.advance(Duration::from_secs(86_400));
    until("a run of each job", async || {
        let (_, families) = scraped(&app).await;
        let runs = families.get("acervo_job_runs_total")?;
        let has_run = |job: &str| runs.series.iter().any(|(labels, _)| labels["name"] == job);
        // Other services of this process count runs too.
        let has_cycle = families.contains_key("acervo_verify_cycle_start_timestamp_seconds");
        (has_run("verify") && has_run("compact") && has_cycle).then_some(())
    })
    .await;
    assert_eq!(app.notify("{\"nome\": \"x\"}").await.0, 422);
    assert_eq!(app.notify(&Notice::full("Que espera").to_string()).await.0, 202);
    let denied = app.client.post(format!("{}/webhook", app.url)).header("authorization", "errada").body("{}");
    assert_eq!(denied.send().await.expect("a response").status(), 401);
    until("a denial that is counted", async || {
        scraped(&app).await.1.contains_key("acervo_source_denied_total").then_some(())
    })
    .await;
    // As one whose rows are broken.
    let database = app.database().await;
    let aside = "UPDATE notifications SET priority = 3 WHERE status = 'REJECTED'";
    database.execute_unprepared(aside).await.expect("a row");
    database.close().await.expect("a closed connection");
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_exists_and_follows_the_conventions() {
    let app = some_history().await;
    let revisions = app.query("{ revisions(first: 1) { nodes { id } } }").await;
    let revision = revisions["revisions"]["nodes"][0]["id"].as_str().expect("an id").to_owned();
    for path in
        [format!("/files/{revision}"), format!("/files/{revision}/members/SISTEMA.DAT"), "/nothing/here".to_owned()]
    {
        app.get(&path).await;
    }
    let (text, families) = until("a value that waits", async || {
        let (text, families) = scraped(&app).await;
        (families.contains_key("acervo_queue_age_seconds")
            && families.contains_key("acervo_oldest_unresolved_timestamp_seconds")
            && families.contains_key("acervo_hook_waiting_seconds"))
        .then_some((text, families))
    })
    .await;
    let documented = documented();
    let exposed: BTreeSet<&String> = families.keys().collect();
    assert_eq!(exposed, documented.keys().collect::<BTreeSet<_>>(), "what is exposed and what is documented");
    for (name, family) in &families {
        assert_eq!(broken_rule(name, family), None, "{name}");
        let (kind, labels) = &documented[name];
        assert_eq!(&family.kind, kind, "{name}");
        assert_eq!(family.labels(), labels.iter().map(String::as_str).collect::<BTreeSet<_>>(), "{name}");
    }
    // OpenMetrics names the family of a counter without `_total`.
    for counter in families.keys().filter_map(|name| name.strip_suffix("_total")) {
        assert!(!families.contains_key(counter), "{counter} is the name of a counter and of something else");
    }
    assert!(
        !text.contains(&revision) && !text.contains("SISTEMA.DAT") && !text.contains("/nothing/here"),
        "a path is a label"
    );
    let count = |route: &str, method: &str, status: &str| {
        let matching = families["acervo_http_requests_total"]
            .series
            .iter()
            .filter(|(labels, _)| labels["route"] == route && labels["method"] == method && labels["status"] == status);
        matching.map(|(_, value)| *value).sum::<f64>()
    };
    // Other tests of this process count as well.
    for (route, method, status, least) in [
        ("/webhook", "POST", "202", 4.0),
        ("/webhook", "POST", "422", 1.0),
        ("/webhook", "POST", "401", 1.0),
        ("/files/{revision}", "GET", "200", 1.0),
        ("/files/{revision}/members/{*path}", "GET", "200", 1.0),
        ("unmatched", "GET", "404", 1.0),
    ] {
        assert!(count(route, method, status) >= least, "{route} {method} {status}: {}", count(route, method, status));
    }
    let stages =
        families["acervo_notification_stage_seconds"].series.iter().map(|(labels, _)| labels["stage"].as_str());
    let stages: BTreeSet<&str> = stages.collect();
    assert_eq!(stages, BTreeSet::from(["durable", "resolved", "fetched", "archived", "indexed"]));
    assert!(text.contains(&format!("acervo_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))), "{text}");
    promtool(&["check", "metrics"], Some(&text));
}

/// How many notifications have reached each stage.
fn reached(text: &str) -> BTreeMap<String, f64> {
    let counts = text.lines().filter_map(|line| line.strip_prefix("acervo_notification_stage_seconds_count{stage=\""));
    counts
        .map(|rest| {
            let (stage, count) = rest.split_once("\"} ").expect("a label and a value");
            (stage.to_owned(), count.parse().expect("a number"))
        })
        .collect()
}

/// A process of its own has only its own counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_service_has_no_series_that_read_zero_for_none_and_counts_each_stage_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Served::start(folder.path(), free_port(), "warn");
    let text = service.get("/metrics").await.text().await.expect("text");
    let families = parsed(&text);
    for absent in [
        "acervo_last_notification_timestamp_seconds",
        "acervo_next_link_expiry_timestamp_seconds",
        "acervo_oldest_unresolved_timestamp_seconds",
        "acervo_last_verified_timestamp_seconds",
        "acervo_verify_cycle_progress_ratio",
        "acervo_queue_age_seconds",
        "acervo_replay_waiting",
        "acervo_source_silent",
    ] {
        assert!(!families.contains_key(absent), "{absent} of a service without a history: {text}");
    }
    let instants = families.iter().filter(|(name, _)| name.ends_with("_timestamp_seconds"));
    let instants: Vec<_> = instants.map(|(name, _)| name.as_str()).collect();
    assert_eq!(instants, ["acervo_replica_seen_timestamp_seconds", "acervo_start_timestamp_seconds"]);
    for (name, family) in families.iter().filter(|(name, _)| *name != "acervo_notification_stage_seconds") {
        let is_unused_histogram = family.kind == "histogram" && family.series.is_empty();
        assert!(is_unused_histogram || broken_rule(name, family).is_none(), "{name}: {:?}", broken_rule(name, family));
    }
    let portal = crate::harness::portal(&format!("{}/webhook", service.url), acervo::domain::Clock::default()).await;
    portal.add(product(7, "IPDO", "ipdo.txt", b"ordem".to_vec()));
    portal.enviar(7).await.expect("a product of that number");
    service.settled(1).await;
    let all =
        BTreeMap::from(["durable", "resolved", "fetched", "archived", "indexed"].map(|stage| (stage.to_owned(), 1.0)));
    until("every stage", async || {
        let text = service.get("/metrics").await.text().await.expect("text");
        (reached(&text) == all).then_some(())
    })
    .await;
    let text = service.get("/metrics").await.text().await.expect("text");
    assert!(!text.contains("acervo_queue_age_seconds"), "nothing waits: {text}");
}

/// While the database is away, what the process counts is exposed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_service_exposes_what_it_counts_itself() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let (_, families) = scraped(&app).await;
    assert_eq!(families["acervo_database_reachable"].series[0].1, 1.0);
    app.app.close().await.expect("a closed database");
    app.leaves_work_unsettled("its database is closed");
    let response = app.get("/metrics").await;
    assert_eq!(response.status(), 200);
    let families = parsed(&response.text().await.expect("text"));
    for away in ["acervo_database_reachable", "acervo_ready"] {
        assert_eq!(families[away].series[0].1, 0.0, "{away}");
    }
    assert!(families.contains_key("acervo_http_requests_total") && !families.contains_key("acervo_revisions"));
}

/// The names of metrics in a text; parts of histograms count as their family.
fn names_in(text: &str) -> BTreeSet<String> {
    let documented = documented();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("acervo_"));
    words
        .map(|word| {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            let histogram = family.filter(|name| documented.get(*name).is_some_and(|(kind, _)| kind == "histogram"));
            histogram.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn the_alerts_and_the_dashboard_name_metrics_that_exist() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    for (path, least) in [
        ("deploy/prometheus/rules.yml", 8),
        ("deploy/prometheus/rules_test.yml", 8),
        ("deploy/grafana/acervo.json", 20),
    ] {
        let named = names_in(&read(path));
        let unknown: Vec<&String> = named.difference(&documented).collect();
        assert!(unknown.is_empty(), "{path} names {unknown:?}");
        assert!(named.len() >= least, "{path} names only {named:?}");
    }
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/acervo.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "two panels have one id: {panel}");
        assert!(panel["title"].is_string() && panel["gridPos"].is_object(), "{panel}");
        if panel["type"] != "row" {
            let targets = panel["targets"].as_array().expect("targets");
            assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
}

/// Every alert has a test of its own, which `promtool` runs where it is installed.
#[test]
fn every_alert_is_tested() {
    let names = |text: &str, key: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
        lines.map(|name| name.trim().to_owned()).collect()
    };
    let alerts = names(&read("deploy/prometheus/rules.yml"), "alert:");
    let tested = names(&read("deploy/prometheus/rules_test.yml"), "alertname:");
    assert!(alerts.len() >= 8, "{alerts:?}");
    assert_eq!(alerts, tested);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let path = |name: &str| folder.join(name).display().to_string();
    promtool(&["check", "rules", &path("rules.yml")], None);
    promtool(&["test", "rules", &path("rules_test.yml")], None);
}

/// Runs `promtool`; a machine without it only has the checks of this file.
fn promtool(args: &[&str], input: Option<&str>) {
    let command =
        Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match command {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return eprintln!("promtool is not installed"),
        Err(e) => panic!("{e}"),
    };
    let mut stdin = child.stdin.take().expect("an input");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("a process that reads");
    drop(stdin);
    let output = child.wait_with_output().expect("a process");
    assert!(output.status.success(), "promtool {args:?}: {output:?}");
}
