//! Secrets of the configuration in files.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use acervo::config::{self, Overrides, Settings};
use secrecy::ExposeSecret;

use crate::harness::process::{Served, acervo, free_port};

const SECRET: &str = "segredo-7cXq";

fn load(config: Option<PathBuf>, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let environment: Vec<(String, String)> =
        environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let find = move |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    config::load(&Overrides { config, values: Vec::new() }, &find).map_err(|e| e.to_string())
}

fn write(path: &Path, content: &str, mode: u32) -> String {
    std::fs::write(path, content).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a file of ours");
    path.display().to_string()
}

/// Where a secret arrives in the settings.
fn arrived(settings: &Settings, key: &str) -> Option<String> {
    let receiver = &settings.receiver.credentials;
    let hash = |secret: &str| config::hash_of_key(secret).trim_start_matches("sha256:").to_owned();
    match key {
        "receiver.username" => receiver.basic.as_ref().map(|(user, _)| user.clone()),
        "receiver.password" => receiver.basic.as_ref().map(|(_, password)| password.expose_secret().to_owned()),
        "receiver.token" => receiver.tokens.first().map(|token| token.expose_secret().to_owned()),
        "api.token" => {
            let known = settings.api.keys.first()?.hash.to_string();
            [SECRET].into_iter().find(|secret| hash(secret) == known).map(str::to_owned)
        }
        "database_url" => settings.database_url.as_ref().map(|url| url.expose_secret().to_owned()),
        "fetch.proxy" => settings.fetch.proxy.as_ref().map(|url| url.expose_secret().to_owned()),
        _ => None,
    }
}

/// Each secret, its environment variable, its value, and what else the configuration then needs.
const SECRETS: [(&str, &str, &str, &str); 6] = [
    ("receiver.username", "ACERVO_RECEIVER_USERNAME", SECRET, "ACERVO_RECEIVER_PASSWORD"),
    ("receiver.password", "ACERVO_RECEIVER_PASSWORD", SECRET, "ACERVO_RECEIVER_USERNAME"),
    ("receiver.token", "ACERVO_RECEIVER_TOKEN", SECRET, ""),
    ("api.token", "ACERVO_API_TOKEN", SECRET, ""),
    ("database_url", "ACERVO_DATABASE_URL", "postgres://ana:segredo-7cXq@db/acervo", ""),
    ("fetch.proxy", "ACERVO_FETCH_PROXY", "http://ana:segredo-7cXq@proxy:3128", ""),
];

#[test]
fn every_secret_can_come_from_a_file_of_each_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, variable, value, needs) in SECRETS {
        let other = if needs.is_empty() { vec![] } else { vec![(needs, "outro")] };
        for end in ["", "\n", "\r\n"] {
            let path = write(&folder.path().join("secret"), &format!("{value}{end}"), 0o600);
            // A variable.
            let name = format!("{variable}_FILE");
            let mut environment = other.clone();
            environment.push((&name, &path));
            let settings = load(None, &environment).expect("valid settings");
            assert_eq!(arrived(&settings, key).as_deref(), Some(value), "{name}");
            assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
            // A key of the file.
            let (table, last) = key.split_once('.').map_or((String::new(), key), |(t, k)| (format!("[{t}]\n"), k));
            let config = folder.path().join("acervo.toml");
            write(&config, &format!("{table}{last}_file = {path:?}\n"), 0o600);
            let settings = load(Some(config), &other).expect("valid settings");
            assert_eq!(arrived(&settings, key).as_deref(), Some(value), "{key}_file");
            // A credential of systemd, which it makes readable for the unit's user by other means than its mode.
            for name in [key.to_owned(), key.replace('.', "_")] {
                let credentials = tempfile::tempdir().expect("a folder");
                write(&credentials.path().join(&name), &format!("{value}{end}"), 0o440);
                let shown = credentials.path().display().to_string();
                let mut environment = other.clone();
                environment.push(("CREDENTIALS_DIRECTORY", &shown));
                let settings = load(None, &environment).expect("valid settings");
                assert_eq!(arrived(&settings, key).as_deref(), Some(value), "credential {name}");
                assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
            }
        }
    }
}

#[test]
fn a_file_of_a_secret_that_cannot_be_used_is_named_by_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = |name: &str| folder.path().join(name);
    let missing = in_folder("absent").display().to_string();
    let empty = write(&in_folder("empty"), "\n", 0o600);
    let large = write(&in_folder("large"), &SECRET.repeat(10_000), 0o600);
    let two_lines = write(&in_folder("two"), &format!("{SECRET}\n{SECRET}\n"), 0o600);
    let at = folder.path().display().to_string();
    for (key, variable, ..) in SECRETS {
        let name = format!("{variable}_FILE");
        for (path, reason) in [
            (missing.as_str(), "cannot be read: No such file"),
            (&at, "cannot be read: Is a directory"),
            (&empty, "is empty"),
            (&large, "has more than 65536 bytes"),
        ] {
            let error = load(None, &[(&name, path)]).expect_err("a problem");
            assert!(error.contains(&format!("{key}_file: `{path}` {reason}")), "{name} {path}: {error}");
            assert_eq!(error.lines().count(), 2, "{error}");
            assert!(!error.contains("segredo"), "{error}");
        }
    }
    let error = load(None, &[("ACERVO_RECEIVER_TOKEN_FILE", &two_lines)]).expect_err("a problem");
    assert!(error.contains("receiver.token: contains a control character") && !error.contains("segredo"), "{error}");
    // A secret in the place of the path is not repeated either.
    let error = load(None, &[("ACERVO_API_TOKEN_FILE", SECRET)]).expect_err("a problem");
    assert!(error.contains("api.token_file: ") && !error.contains("segredo"), "{error}");
    // Both at once in one place is a mistake; in two places the one that comes first decides.
    let good = write(&in_folder("good"), SECRET, 0o600);
    let both = [("ACERVO_API_TOKEN_FILE", good.as_str()), ("ACERVO_API_TOKEN", "outra")];
    let error = load(None, &both).expect_err("a problem");
    assert!(error.contains("api.token_file: is given as well as api.token"), "{error}");
    let config = in_folder("acervo.toml");
    write(&config, &format!("[receiver]\ntoken_file = {missing:?}\n"), 0o600);
    let settings = load(Some(config), &[("ACERVO_RECEIVER_TOKEN", SECRET)]).expect("valid settings");
    assert_eq!(arrived(&settings, "receiver.token").as_deref(), Some(SECRET));
    // Others can read it.
    for mode in [0o640, 0o604] {
        let open = write(&in_folder("open"), SECRET, mode);
        let settings = load(None, &[("ACERVO_RECEIVER_TOKEN_FILE", &open)]).expect("valid settings");
        let warning = settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(warning.starts_with("receiver.token_file: ") && warning.contains("chmod 600"), "{warning}");
        assert!(!warning.contains("segredo"), "{warning}");
    }
}

#[test]
fn a_source_has_its_secrets_in_files_and_a_misspelt_key_is_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(&folder.path().join("secret"), &format!("{SECRET}\n"), 0o600);
    let config = folder.path().join("acervo.toml");
    write(&config, &format!("[receiver.sources.teste]\nusername = \"ana\"\npassword_file = {path:?}\n"), 0o600);
    let settings = load(Some(config.clone()), &[]).expect("valid settings");
    let (user, password) = settings.receiver.sources[0].1.basic.as_ref().expect("credentials");
    assert_eq!((user.as_str(), password.expose_secret()), ("ana", SECRET));
    write(&config, "[receiver]\ntokn_file = \"x\"\n", 0o600);
    let error = load(Some(config), &[]).expect_err("a problem");
    assert!(error.contains("receiver.tokn_file: is an unknown key; did you mean `receiver.token_file`?"), "{error}");
}

/// Sources and hooks have credentials of systemd by their names, and a bucket its keys in files.
#[test]
fn sources_hooks_and_buckets_have_credentials_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = tempfile::tempdir().expect("a folder");
    let at = |name: &str| credentials.path().join(name);
    let whsec = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    write(&at("receiver.sources.teste.token"), &format!("{SECRET}\n"), 0o440);
    write(&at("hook.avisos.secret"), &format!("{whsec}\n"), 0o440);
    write(&at("hook.avisos.url"), "https://hooks.example.com/segredo-7cXq\n", 0o440);
    write(&at("AWS_SECRET_ACCESS_KEY"), &format!("{SECRET}\n"), 0o440);
    let config = folder.path().join("acervo.toml");
    let text = "archive_url = \"s3://acervo/x\"\n[receiver.sources.teste]\n\
                [[hook]]\nname = \"outro\"\nevents = [\"lost\"]\nurl = \"https://outro.example.com\"\n\
                [[hook]]\nname = \"avisos\"\nevents = [\"lost\"]\n";
    write(&config, text, 0o600);
    let shown = credentials.path().display().to_string();
    let key = write(&folder.path().join("key"), "AKIA\n", 0o600);
    let environment = [("CREDENTIALS_DIRECTORY", shown.as_str()), ("AWS_ACCESS_KEY_ID_FILE", &key)];
    let settings = load(Some(config.clone()), &environment).expect("valid settings");
    let (name, source) = &settings.receiver.sources[0];
    assert_eq!((name.as_str(), source.tokens[0].expose_secret()), ("teste", SECRET));
    let hooks = settings.hooks.all.iter().map(|hook| match &hook.target {
        config::Target::Http(endpoint) => (hook.name.as_str(), endpoint.secrets.len(), endpoint.url.expose()),
        config::Target::Email(_) => panic!("a mailbox"),
    });
    let expected = [("outro", 0, "https://outro.example.com"), ("avisos", 1, "https://hooks.example.com/segredo-7cXq")];
    assert_eq!(hooks.collect::<Vec<_>>(), expected);
    let Some(config::ArchiveLocation::Bucket(bucket)) = &settings.archive else { panic!("no bucket") };
    let variable = |name: &str| {
        let found = bucket.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.expose_secret().to_owned())
    };
    assert_eq!(variable("AWS_ACCESS_KEY_ID").as_deref(), Some("AKIA"));
    assert_eq!(variable("AWS_SECRET_ACCESS_KEY").as_deref(), Some(SECRET));
    let both = [("AWS_ACCESS_KEY_ID_FILE", key.as_str()), ("AWS_ACCESS_KEY_ID", "outra"), environment[0]];
    let error = load(Some(config), &both).expect_err("a problem");
    assert!(error.contains("AWS_ACCESS_KEY_ID_FILE: is given as well as AWS_ACCESS_KEY_ID"), "{error}");
    assert!(!error.contains("segredo"), "{error}");
}

/// The service with all of its secrets in files: the credentials work, and no secret is in its log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_takes_its_secrets_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = write(&folder.path().join("key"), "uma-chave-longa\n", 0o644);
    write(&folder.path().join("receiver.token"), "um-token-longo\n", 0o400);
    let mut command = acervo(folder.path());
    command.env_remove("ACERVO_API_TOKEN").env_remove("ACERVO_RECEIVER_TOKEN");
    command.env("ACERVO_API_TOKEN_FILE", key).env("CREDENTIALS_DIRECTORY", folder.path());
    let served =
        tokio::task::block_in_place(|| Served::spawn(command, folder.path().join("log.txt"), free_port(), "info"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let status = async |key: &str| {
        let request = client.get(format!("{}/graphql?query=%7Bstatus%7Bready%7D%7D", served.url)).bearer_auth(key);
        request.send().await.expect("a response").status().as_u16()
    };
    assert_eq!(status("uma-chave-longa").await, 200);
    assert_eq!(status("outra").await, 401);
    let notify = async |token: &str| {
        let body = r#"{ "nome": "Acomph", "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x?token=segredo" }"#;
        let request = client.post(format!("{}/webhook", served.url)).header("x-token", token).body(body);
        request.send().await.expect("a response").status().as_u16()
    };
    assert_eq!(notify("um-token-longo").await, 202);
    assert_eq!(notify("outro").await, 401);
    let log = served.logged();
    assert!(log.contains("api.token_file"), "{log}");
    assert!(!log.contains("uma-chave-longa") && !log.contains("um-token-longo"), "{log}");
}
