use acervo::config::{self, Overrides};
use secrecy::ExposeSecret;

use crate::harness::process;

fn load(values: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<config::Settings, String> {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let environment: Vec<(String, String)> =
        environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let find = move |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    config::load(&Overrides { config: None, values }, &find).map_err(|e| e.to_string())
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let settings = load(&[], &[]).expect("valid defaults");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data_dir.to_str(), Some("./acervo-data"));
    assert_eq!(settings.fetch.max_bytes, 4 << 30);
    assert_eq!(settings.fetch.retry_first.as_secs(), 5);
    assert_eq!(settings.fetch.retry_max.as_secs(), 900);
    assert_eq!(settings.fetch.stall.as_secs(), 60);
    assert!(!settings.fetch.allow_private);
    assert!(settings.fetch.allowed_hosts[0].matches("apps08.ons.org.br"));
    assert!(!settings.fetch.allowed_hosts[0].matches("evilons.org.br"));
}

#[test]
fn flags_override_the_environment_and_the_environment_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[fetch]\nretry_first = \"1s\"\n")
        .expect("a file");
    let file = file.display().to_string();
    let environment =
        [("ACERVO_CONFIG", file.as_str()), ("ACERVO_LISTEN", "127.0.0.1:2"), ("ACERVO_DATA_DIR", "environment")];
    let settings = load(&[("listen", "127.0.0.1:3")], &environment).expect("valid settings");
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.data_dir.to_str(), Some("environment"));
    assert_eq!(settings.fetch.retry_first.as_secs(), 1);
}

#[test]
fn every_problem_names_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    let text = r#"
        lisen = "x"
        [fetch]
        max_bytes = "many"
        retry_first = "soon"
        concurrency = 0
        [receiver]
        username = "u"
        [[api.keys]]
        name = "a"
        role = "boss"
        hash = "x"
    "#;
    std::fs::write(&file, text).expect("a file");
    let error =
        load(&[], &[("ACERVO_CONFIG", &file.display().to_string()), ("ACERVO_DATABASE_URL", "mysql://u:segredo@h/x")])
            .expect_err("problems");
    for expected in [
        "lisen: is an unknown key; did you mean `listen`?",
        "fetch.max_bytes: `many` is not a valid size",
        "fetch.retry_first: `soon` is not a valid duration",
        "fetch.concurrency: `0` is not a valid number; expected a whole number above 0",
        "receiver.password: is missing; a username needs one",
        "api.keys.0.role: `boss` is not one of reader, operator, admin",
        "api.keys.0.hash: is not a valid hash",
        "database_url: is not a valid database URL; expected one that begins with sqlite:// or postgres://",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
    assert_eq!(error.matches("api.keys.0.role: ").count(), 1, "{error}");
    assert_eq!(error.matches("api.keys.0.hash: ").count(), 1, "{error}");
    assert!(!error.contains("segredo"), "{error}");
}

/// The keys of a table, with dots.
fn keys(table: &toml::Table, before: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let key = format!("{before}{name}");
        match value {
            toml::Value::Table(table) => keys(table, &format!("{key}."), found),
            _ => found.push(key),
        }
    }
}

#[test]
fn an_invalid_value_is_the_only_problem_that_is_reported() {
    let mut all = Vec::new();
    keys(&config::DEFAULTS.parse().expect("TOML"), "", &mut all);
    let mut refused = 0;
    for key in &all {
        let Err(error) = load(&[(key, "\u{1}?")], &[]) else { continue };
        refused += 1;
        assert_eq!(error.lines().skip(1).count(), 1, "{key}: {error}");
        assert!(error.contains(&format!("{key}: ")), "{key}: {error}");
    }
    assert!(refused > 20, "{refused} of {}", all.len());
}

#[test]
fn settings_that_would_lose_files_or_lock_out_are_refused() {
    let refused = |values: &[(&str, &str)], key: &str| {
        let error = load(values, &[]).expect_err("a problem");
        assert!(error.contains(&format!("{key}: ")) && !error.contains("segredo"), "{values:?}: {error}");
    };
    for (key, value) in [
        ("fetch.max_bytes", "0"),
        ("fetch.max_bytes", "0 GiB"),
        ("fetch.allowed_hosts", ","),
        ("receiver.token", ","),
        ("receiver.token", " "),
        ("receiver.token", "segredo\nx"),
        ("receiver.token", "a,segredo\u{7}"),
        ("api.token", "segredo\nx"),
        ("api.token", " "),
        ("api.token", "Bearer segredo"),
        ("api.token", "bearer segredo"),
        ("api.token", "BASIC segredo"),
        ("api.token", &"segredo".repeat(1000)),
        ("receiver.token", &"segredo".repeat(1000)),
        ("receiver.username", "segredo:x"),
    ] {
        refused(&[(key, value)], key);
    }
    refused(&[("receiver.username", "u"), ("receiver.password", "segredo\n")], "receiver.password");
    let tokens = load(&[("receiver.token", " a , b\n")], &[]).expect("valid settings").receiver.credentials.tokens;
    assert_eq!(tokens.iter().map(|token| token.expose_secret()).collect::<Vec<_>>(), ["a", "b"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    for (key, value) in [
        ("name", "[\"\"]"),
        ("name", "\"  \""),
        ("name", "[]"),
        ("process", "[\"a\", \"\"]"),
        ("macro_process", "\"a,,b\""),
        ("extension", "[\" \"]"),
    ] {
        let text = format!("[[retention.policy]]\nname = \"p\"\nmatch.{key} = {value}\nkeep_daily = 1\n");
        std::fs::write(&file, text).expect("a file");
        let error = load(&[], &[("ACERVO_CONFIG", &file.display().to_string())]).expect_err("a problem");
        let expected = format!("retention.policy.0.match.{key}: has a blank pattern");
        assert!(error.contains(&expected), "{value}: {error}");
    }
}

#[test]
fn a_reachable_address_needs_credentials() {
    let open = load(&[("listen", "0.0.0.0:8080")], &[])
        .expect("valid settings")
        .exposure()
        .expect_err("a refusal")
        .to_string();
    assert!(open.contains("ACERVO_RECEIVER_TOKEN") && open.contains("ACERVO_API_TOKEN"), "{open}");
    let guarded = [("listen", "0.0.0.0:8080"), ("receiver.token", "a"), ("api.token", "b")];
    load(&guarded, &[]).expect("valid settings").exposure().expect("no refusal");
    let meant = [("listen", "[::]:8080"), ("receiver.open", "true"), ("api.open", "true")];
    load(&meant, &[]).expect("valid settings").exposure().expect("no refusal");
    // A proxy in front of loopback.
    let public = ("public_url", "https://acervo.example.com");
    let proxied = load(&[public], &[]).expect("valid settings").exposure().expect_err("a refusal").to_string();
    assert!(proxied.contains("ACERVO_RECEIVER_TOKEN") && proxied.contains("ACERVO_API_TOKEN"), "{proxied}");
    let half = [public, ("api.token", "b")];
    let half = load(&half, &[]).expect("valid settings").exposure().expect_err("a refusal").to_string();
    assert!(half.contains("ACERVO_RECEIVER_TOKEN") && !half.contains("ACERVO_API_TOKEN"), "{half}");
    for public in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
        load(&[("public_url", public)], &[]).expect("valid settings").exposure().expect("no refusal");
    }
    let webhook = load(&[], &[("ACERVO_WEBHOOK_LISTEN", "0.0.0.0:8081")]).expect("valid settings");
    let webhook = webhook.exposure().expect_err("a refusal").to_string();
    assert!(webhook.contains("ACERVO_RECEIVER_TOKEN") && !webhook.contains("ACERVO_API_TOKEN"), "{webhook}");
    let folder = tempfile::tempdir().expect("a folder");
    let output = process::acervo(folder.path())
        .env_remove("ACERVO_API_TOKEN")
        .args(["serve", "--listen", "0.0.0.0:0"])
        .output()
        .expect("a binary");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("api.token"));
}

#[test]
fn secrets_do_not_print() {
    let settings = load(
        &[
            ("receiver.token", "segredo-um"),
            ("api.token", "segredo-dois"),
            ("database_url", "postgres://u:segredo-tres@h/x"),
        ],
        &[],
    );
    let printed = format!("{settings:?}");
    assert!(!printed.contains("segredo"), "{printed}");
}

#[tokio::test]
async fn listed_origins_may_query_and_wrong_keys_are_delayed() {
    let values = vec![("api.cors_origins", "https://paineis.example.com".to_owned())];
    let app = crate::harness::TestApp::with(crate::harness::Options { values, ..Default::default() }).await;
    let url = format!("{}/graphql", app.url);
    let preflight = |origin: &'static str| {
        let request = app.client.request(reqwest::Method::OPTIONS, &url).header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization")
            .send()
    };
    let allowed = preflight("https://paineis.example.com").await.expect("a response");
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://paineis.example.com");
    let other = preflight("https://evil.example").await.expect("a response");
    assert!(other.headers().get("access-control-allow-origin").is_none());
    let wrong = app
        .client
        .get(format!("{url}?query={{status{{version}}}}"))
        .bearer_auth("errada")
        .send()
        .await
        .expect("a response");
    assert_eq!(wrong.status().as_u16(), 401);
    let problems = acervo::config::load(
        &acervo::config::Overrides { config: None, values: vec![("api.cors_origins".into(), "*".into())] },
        &|_| None,
    );
    assert!(problems.expect_err("a problem").to_string().contains("api.cors_origins: `*` is not a valid origin"));
}
