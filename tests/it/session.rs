//! Log-in on the page: sessions, their cookies and their ends; what a foreign page can do with them.
use std::path::{Path, PathBuf};
use std::time::Duration;

use acervo::config::hash_of_key;
use acervo::domain::Clock;
use serde_json::{Value, json};

use crate::harness::process::{Served, acervo, free_port};
use crate::harness::visitor::Visitor;
use crate::harness::{Db, KEY, Options, TestApp, on_each_database, postgres, raw};

const VERSION: &str = "/graphql?query=%7Bstatus%7Bversion%7D%7D";
const RETRY: &str = "mutation { retryNotifications(filter: {}) { matched } }";

/// A configuration with a key of each role, named after it.
fn keys(folder: &Path, more: &str) -> PathBuf {
    let key =
        |role: &str| format!("[[api.keys]]\nname = \"{role}\"\nrole = \"{role}\"\nhash = \"{}\"\n", hash_of_key(role));
    let text = format!("{}{}{}{more}", key("reader"), key("operator"), key("admin"));
    let path = folder.join("keys.toml");
    std::fs::write(&path, text).expect("a file");
    path
}

async fn service(values: Vec<(&'static str, String)>, clock: Clock, db: Db) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Some(keys(folder.path(), ""));
    let options = Options {
        values,
        clock,
        config,
        database_url: postgres::database(db),
        without_jobs: true,
        ..Options::default()
    };
    (TestApp::with(options).await, folder)
}

async fn status(visitor: &Visitor, path: &str) -> u16 {
    visitor.get(path).await.status().as_u16()
}

async fn log_in_and_out(db: Db) {
    let (app, _folder) = service(Vec::new(), Clock::default(), db).await;
    let mut visitor = Visitor::of(&app);
    assert_eq!(status(&visitor, VERSION).await, 401);
    let response = visitor.log_in("operator", "/files/x?a=b").await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/files/x?a=b");
    let cookie = response.headers()["set-cookie"].to_str().expect("text").to_owned();
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("operator"), "{cookie}");
    for path in [VERSION, "/export/publications.csv", "/files/01890000-0000-7000-8000-000000000000"] {
        assert!(!matches!(status(&visitor, path).await, 401 | 403), "{path}");
    }
    // Only the page and what it requests take the cookie.
    assert_eq!(status(&visitor, "/metrics").await, 401);
    // The database has the hash of the token alone.
    let token = visitor.cookie.clone().expect("a cookie").split_once('=').expect("a pair").1.to_owned();
    assert_eq!(token.len(), 64);
    assert!(crate::harness::holding(app.folder.path(), token.as_bytes()).is_empty());
    // Two log-ins are two sessions, and one ends without the other.
    let other = Visitor::with_key(&app, "operator").await;
    assert_ne!(other.cookie, visitor.cookie);
    let form = acervo_form_token(&token);
    for wrong in ["", "x", &acervo_form_token("x")] {
        assert_eq!(visitor.post("/logout", &[("token", wrong)], &[]).await.status(), 403);
    }
    assert_eq!(status(&visitor, VERSION).await, 200);
    let kept = visitor.cookie.clone();
    let response = visitor.post("/logout", &[("token", &form)], &[]).await;
    assert_eq!(response.status(), 303);
    visitor.keep_cookie(&response);
    assert_eq!(visitor.cookie, None);
    // On the server too.
    visitor.cookie = kept;
    assert_eq!((status(&visitor, VERSION).await, status(&other, VERSION).await), (401, 200));
}
on_each_database!(log_in_and_out);

/// As the page derives it.
fn acervo_form_token(token: &str) -> String {
    crate::harness::sha256(format!("form of the session {token}").as_bytes())
}

async fn roles(db: Db) {
    let (app, _folder) = service(Vec::new(), Clock::default(), db).await;
    for (key, may_operate) in [("reader", false), ("operator", true), ("admin", true)] {
        let visitor = Visitor::with_key(&app, key).await;
        let answer: Value = visitor.ask(RETRY, &[]).await.json().await.expect("JSON");
        assert_eq!(answer.get("errors").is_none(), may_operate, "{key}: {answer}");
    }
}
on_each_database!(roles);

/// A session ends with its own time, and with that of its key.
async fn expiry(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::default();
    let soon = clock.now() + jiff::SignedDuration::from_hours(3);
    let brief = format!(
        "[[api.keys]]\nname = \"brief\"\nrole = \"reader\"\nhash = \"{}\"\nexpires = \"{soon}\"\n",
        hash_of_key("brief")
    );
    let options = Options {
        values: vec![("api.session_lifetime", "5h".to_owned())],
        clock: clock.clone(),
        config: Some(keys(folder.path(), &brief)),
        database_url: postgres::database(db),
        without_jobs: true,
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let (reader, brief) = (Visitor::with_key(&app, "reader").await, Visitor::with_key(&app, "brief").await);
    clock.advance(Duration::from_secs(3 * 3600 - 60));
    assert_eq!((status(&reader, VERSION).await, status(&brief, VERSION).await), (200, 200));
    clock.advance(Duration::from_secs(120));
    assert_eq!((status(&reader, VERSION).await, status(&brief, VERSION).await), (200, 401));
    let mut again = Visitor::of(&app);
    let refused = again.log_in("brief", "/").await;
    assert_eq!(refused.status(), 401);
    assert!(refused.text().await.expect("a body").contains("expirou"));
    clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(status(&reader, VERSION).await, 401);
    again.log_in("reader", "/").await;
    assert_eq!(status(&again, VERSION).await, 200);
}
on_each_database!(expiry);

/// A session is still good after a restart, and ends with its key, for every session of that key and no other.
async fn restart_and_revocation(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::rename(keys(at, ""), at.join("acervo.toml")).expect("a file");
    let url = postgres::database(db);
    let command = || {
        let mut command = acervo(at);
        command.envs(url.iter().map(|url| ("ACERVO_DATABASE_URL", url)));
        command
    };
    let serve = |log: &str| {
        let mut command = command();
        command.env("ACERVO_LOG_ACCESS", "true");
        tokio::task::block_in_place(|| Served::spawn(command, at.join(log), free_port(), "info"))
    };
    let mut served = serve("first.log");
    let (mut reader, mut operator) = (Visitor::at(&served.url), Visitor::at(&served.url));
    reader.log_in("reader", "/").await;
    operator.log_in("operator", "/").await;
    let mut wrong = Visitor::at(&served.url);
    assert_eq!(wrong.log_in("chave-errada", "/?key=chave-errada").await.status(), 401);
    served.terminate();
    // The log names the keys, and has neither key nor cookie.
    let log = served.logged();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let log_ins = lines.iter().filter(|line| line["path"] == "/login");
    let log_ins: Vec<_> = log_ins.map(|line| (line["key"].clone(), line["status"].clone())).collect();
    assert_eq!(
        log_ins,
        [(json!("reader"), json!(303)), (json!("operator"), json!(303)), (json!("-"), json!(401))],
        "{log}"
    );
    let token = reader.cookie.as_ref().expect("a cookie").split_once('=').expect("a pair").1;
    assert!(!log.contains(token) && !log.contains("chave-errada"), "{log}");

    let served = serve("second.log");
    (reader.url, operator.url) = (served.url.clone(), served.url.clone());
    assert_eq!((status(&reader, VERSION).await, status(&operator, VERSION).await), (200, 200));
    let revoked = command().args(["token", "revoke", "reader"]).output().expect("a binary that starts");
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    assert_eq!((status(&reader, VERSION).await, status(&operator, VERSION).await), (401, 200));
    assert_eq!(reader.log_in("reader", "/").await.status(), 401);
    // A key that the configuration no longer has.
    std::fs::write(at.join("acervo.toml"), "").expect("a file");
    let reload = command().args(["config", "reload"]).output().expect("a binary that starts");
    assert!(reload.status.success(), "{}", String::from_utf8_lossy(&reload.stderr));
    assert_eq!(status(&operator, VERSION).await, 401);
}
on_each_database!(restart_and_revocation, 2 threads);

#[tokio::test]
async fn a_cookie_of_a_public_https_address_is_secure() {
    let values = vec![("public_url", "https://acervo.example.com/".to_owned())];
    let (app, _folder) = service(values, Clock::default(), Db::Sqlite).await;
    let mut visitor = Visitor::of(&app);
    let host = ("host", "acervo.example.com");
    let origin = ("origin", "https://acervo.example.com");
    let response = visitor.post("/login", &[("key", "reader")], &[host, origin]).await;
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/".parse().expect("a value")));
    let cookie = response.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.starts_with("__Host-acervo=") && cookie.contains("; Secure"), "{cookie}");
    visitor.keep_cookie(&response);
    assert_eq!(visitor.get_with(VERSION, &[host]).await.status(), 200);
}

#[tokio::test]
async fn wrong_keys_are_delayed_and_then_refused() {
    let (app, _folder) = service(Vec::new(), Clock::default(), Db::Sqlite).await;
    let attempt = async || {
        let mut visitor = Visitor::of(&app);
        let response = visitor.log_in("errada", "/").await;
        assert_eq!(visitor.cookie, None);
        (response.status().as_u16(), response.headers().contains_key("retry-after"))
    };
    assert_eq!(attempt().await, (401, false));
    // More than an address may send within the longest delay.
    let attempts: Vec<_> = futures_util::future::join_all((0..160).map(|_| attempt())).await;
    assert!(attempts.contains(&(429, true)), "{attempts:?}");
    // A right key is never delayed by wrong ones.
    assert_eq!(status(&Visitor::with_key(&app, "reader").await, VERSION).await, 200);
    let denied = app.query("{ status { deniedKeys } }").await["status"]["deniedKeys"].as_u64();
    assert_eq!(denied, Some(161));
}

/// A cookie counts for nothing that a foreign page sends.
#[tokio::test]
async fn a_foreign_page_does_nothing_with_a_session() {
    let values = vec![("api.cors_origins", "https://paineis.example.com".to_owned())];
    let (app, _folder) = service(values, Clock::default(), Db::Sqlite).await;
    let mut visitor = Visitor::with_key(&app, "operator").await;
    let own = app.url.clone();
    let port = own.rsplit(':').next().expect("a port");
    let neighbour = format!("http://localhost:{port}");
    for (headers, counts) in [
        (vec![], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (vec![("origin", own.as_str()), ("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], false),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", neighbour.as_str()), ("sec-fetch-site", "same-site")], false),
        // Such a page may use keys, but not the session of a person.
        (vec![("origin", "https://paineis.example.com")], false),
        (vec![("origin", "https://paineis.example.com"), ("sec-fetch-site", "same-origin")], false),
        (vec![("host", "evil.example")], false),
        (vec![("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")], false),
    ] {
        for path in [VERSION, "/export/publications.csv"] {
            let code = visitor.get_with(path, &headers).await.status().as_u16();
            assert_eq!(code, if counts { 200 } else { 401 }, "{path} {headers:?}");
        }
        let response = visitor.ask(RETRY, &headers).await;
        assert_eq!(response.status() == 200, counts, "{headers:?}");
        let form = [("key", "operator")];
        let response = visitor.post("/login", &form, &headers).await;
        assert_eq!(response.headers().contains_key("set-cookie"), counts, "{headers:?}");
        assert_eq!(response.status().as_u16(), if counts { 303 } else { 403 }, "{headers:?}");
        // A log-in ends the browser's earlier session.
        visitor.keep_cookie(&response);
    }
}

/// Keys work as before, beside a cookie too: a key decides.
#[tokio::test]
async fn keys_are_not_affected_by_cookies() {
    let (app, _folder) = service(Vec::new(), Clock::default(), Db::Sqlite).await;
    let visitor = Visitor::with_key(&app, "reader").await;
    let foreign = [("origin", "https://evil.example"), ("host", "evil.example"), ("authorization", "Bearer operator")];
    assert_eq!(visitor.get_with(VERSION, &foreign).await.status(), 200);
    assert_eq!(status(&visitor, &format!("{VERSION}&key={KEY}")).await, 200);
    assert_eq!(status(&visitor, &format!("{VERSION}&key=errada")).await, 401);
    let answer: Value = visitor.ask(RETRY, &[("authorization", "operator")]).await.json().await.expect("JSON");
    assert!(answer.get("errors").is_none(), "{answer}");
    assert_eq!(visitor.get_with(VERSION, &[("authorization", "Bearer errada")]).await.status(), 401);
}

/// Where no key is needed, a foreign page reads nothing: not under its own name (DNS rebinding), and not by embedding.
#[tokio::test]
async fn a_foreign_page_reads_nothing_that_is_open() {
    let open = |values: &[(&'static str, &str)]| {
        values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect::<Vec<_>>()
    };
    for values in [
        open(&[("api.token", ""), ("receiver.token", ""), ("metrics.open", "true")]),
        open(&[("api.open", "true"), ("metrics.open", "true")]),
    ] {
        let app = TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await;
        let ours = format!("Host: {}", app.url.trim_start_matches("http://"));
        for path in [VERSION, "/export/publications.csv", "/metrics"] {
            for (headers, code) in [
                (vec![ours.as_str()], 200),
                (vec!["Host: localhost"], 200),
                (vec![&ours, "Sec-Fetch-Site: same-origin"], 200),
                // A link that the user followed: its page sees nothing.
                (
                    vec![&ours, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
                    200,
                ),
                (vec!["Host: evil.example"], 403),
                (vec!["Host: evil.example", "Sec-Fetch-Site: same-origin"], 403),
                (vec!["Host: 127.0.0.1.evil.example"], 403),
                (vec![], 403),
                (vec![&ours, "Sec-Fetch-Site: cross-site"], 403),
                (vec![&ours, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"], 403),
                (vec![&ours, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], 403),
                (vec![&ours, "Origin: https://evil.example"], 403),
                (vec![&ours, "Origin: null"], 403),
            ] {
                let line = format!("GET {path} HTTP/1.1");
                assert_eq!(raw::status(&app, &line, &headers, "").await, code, "{path} {headers:?}");
            }
        }
    }
}
