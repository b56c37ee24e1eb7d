//! Putting the service in place: its first configuration, and what systemd is told.
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::PATIENCE;
use crate::harness::process::{Served, acervo, free_port};

/// The binary without the settings of other tests.
fn bare(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(acervo(folder).get_program());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ACERVO_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(args);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn ended_well(mut command: Command) -> String {
    let output = command.output().expect("a binary that starts");
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// What follows a word on its line.
fn after(text: &str, word: &str) -> String {
    let line =
        text.lines().find(|line| line.trim_start().starts_with(word)).unwrap_or_else(|| panic!("{word}: {text}"));
    line.rsplit(' ').next().expect("a word").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_writes_a_configuration_that_serves() {
    const INIT: [&str; 2] = ["init", "https://acervo.example.com/"];
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let printed = ended_well(bare(at, &INIT));
    let config = at.join("acervo.toml");
    assert_eq!(config.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(&config).expect("a file");
    assert_eq!(after(&printed, "URL"), "https://acervo.example.com/webhook");
    let (user, password) = (after(&printed, "user"), after(&printed, "password"));
    let key = after(&printed, "the key of the API");
    // The key itself is nowhere but on the terminal.
    assert!(!written.contains(&key) && written.contains(&password), "{written}");
    // What it says next works as it says.
    assert!(ended_well(bare(at, &["config", "check"])).contains("1 key"));
    assert!(printed.contains("\n  acervo config check\n  acervo serve\n  acervo status"), "{printed}");
    let mut serve = bare(at, &[]);
    serve.env("ACERVO_LOG_FORMAT", "json");
    let served = tokio::task::block_in_place(|| Served::spawn(serve, at.join("log.txt"), free_port(), "info"));
    let body = r#"{ "nome": "Acomph", "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x?token=y" }"#;
    let notify = async |password: &str| {
        let request =
            served.client.post(format!("{}/webhook", served.url)).basic_auth(&user, Some(password)).body(body);
        request.send().await.expect("a response").status().as_u16()
    };
    assert_eq!((notify(&password).await, notify("outra").await), (202, 401));
    let ask = served.client.get(format!("{}/graphql?query=%7Bstatus%7Bready%7D%7D", served.url)).bearer_auth(&key);
    assert_eq!(ask.send().await.expect("a response").status(), 200);
    assert!(at.join("acervo-data/acervo.db").is_file());
    // It never overwrites.
    let again = bare(at, &INIT).output().expect("a binary that starts");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("exists already") && !text(&again).contains("password"), "{}", text(&again));
    assert_eq!(std::fs::read_to_string(&config).expect("a file"), written);
}

#[test]
fn init_takes_a_token_another_file_and_folder_and_refuses_what_is_no_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let mut secrets = Vec::new();
    for name in ["a.toml", "b.toml"] {
        let args = [
            "--config",
            name,
            "init",
            "http://10.0.0.7:8080",
            "--token",
            "--data-dir",
            "dados",
            "--listen",
            "0.0.0.0:8080",
        ];
        let printed = ended_well(bare(at, &args));
        assert!(printed.contains(&format!("acervo --config {name} config check")), "{printed}");
        assert!(!printed.contains("password"), "{printed}");
        secrets.push((after(&printed, "token"), after(&printed, "the key of the API")));
        let checked = ended_well(bare(at, &["--config", name, "config", "check"]));
        assert!(checked.contains(&format!("{}/dados", at.display())) && checked.contains("0.0.0.0:8080"), "{checked}");
    }
    assert!(secrets[0].0 != secrets[1].0 && secrets[0].1 != secrets[1].1, "secrets are not fresh");
    for wrong in
        ["acervo.example.com", "ftp://acervo.example.com", "https://", "https://u:p@acervo.example.com", "https://a/?b"]
    {
        let output = bare(at, &["init", wrong]).output().expect("a binary that starts");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(text(&output).contains("is not a valid address"), "{}", text(&output));
    }
    assert!(!at.join("acervo.toml").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_when_the_service_is_ready_lives_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut command = acervo(folder.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000").env_remove("WATCHDOG_PID");
    let next = || {
        let mut buffer = [0; 256];
        let bytes = tokio::task::block_in_place(|| socket.recv(&mut buffer)).expect("a message of the service");
        String::from_utf8_lossy(&buffer[..bytes]).trim().to_owned()
    };
    let mut served =
        tokio::task::block_in_place(|| Served::spawn(command, folder.path().join("log.txt"), free_port(), "info"));
    assert_eq!(next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    served.ask_to_stop();
    let mut messages = std::iter::repeat_with(next).filter(|message| message != "WATCHDOG=1");
    assert_eq!(messages.next().as_deref(), Some("STOPPING=1"));
    assert_eq!(served.ended(), Some(0));
}

/// The unit leaves little to a service that was broken into. Where systemd is not installed there is nothing to ask.
#[test]
fn the_unit_is_confined() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/acervo.service");
    let written = std::fs::read_to_string(&unit).expect("the unit");
    for line in ["Type=notify", "StateDirectoryMode=0700", "UMask=0077", "After=network-online.target", "User=acervo"] {
        assert!(written.lines().any(|written| written.starts_with(line)), "{line}");
    }
    let analyze = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(&unit)
        .output();
    match analyze {
        Ok(output) => assert!(output.status.success(), "{}", text(&output)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => eprintln!("no systemd-analyze here"),
        Err(e) => panic!("{e}"),
    }
}

fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    std::fs::read_to_string(path).expect("a file of deploy/")
}

/// The image is built from what a build reads: what Cargo is configured with, and every target that it names.
#[test]
fn the_image_is_built_with_everything_that_a_build_reads() {
    let ignored = deployed("Dockerfile.dockerignore");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for needed in [".cargo", "Cargo.toml", "Cargo.lock", "src", "migrations", "vendor", "benches", "tests/not_run.rs"] {
        assert!(root.join(needed).exists(), "{needed}");
        assert!(ignored.lines().any(|line| line == format!("!{needed}")), "{needed}");
    }
}

#[test]
fn the_secrets_of_replicas_are_fresh_private_and_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    std::fs::write(at.join("replicas-secrets.sh"), deployed("replicas-secrets.sh")).expect("a file");
    let secrets = || {
        let mut script = Command::new("sh");
        script.arg("replicas-secrets.sh").current_dir(at);
        ended_well(script);
        let files =
            std::fs::read_dir(at.join("secrets")).expect("a folder").map(|entry| entry.expect("an entry").path());
        let found: std::collections::BTreeMap<String, String> = files
            .map(|path| {
                assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o077, 0, "{}", path.display());
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, std::fs::read_to_string(&path).expect("a file"))
            })
            .collect();
        found
    };
    let first = secrets();
    assert_eq!(secrets(), first);
    for secret in ["receiver.token", "api.token", "database.password"] {
        assert_eq!(first[secret].len(), 48, "{secret}");
        assert_eq!(first.values().filter(|other| **other == first[secret]).count(), 1, "{secret}");
    }
    assert_eq!(first["database.url"], format!("postgres://acervo:{}@postgres/acervo", first["database.password"]));
    let store: serde_json::Value = serde_json::from_str(&first["s3.json"]).expect("JSON");
    let credentials = &store["identities"][0]["credentials"][0];
    for (variable, key) in [("AWS_ACCESS_KEY_ID", "accessKey"), ("AWS_SECRET_ACCESS_KEY", "secretKey")] {
        let line = format!("{variable}={}\n", credentials[key].as_str().expect("a text"));
        assert!(first["s3.env"].contains(&line), "{variable}");
    }
    // All that the replicas are given are written by it.
    let compose = deployed("compose-replicas.yaml");
    let named = compose.lines().filter_map(|line| line.trim().rsplit_once("./secrets/").map(|(_, name)| name));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 5 && named.iter().all(|name| first.contains_key(*name)), "{named:?}");
}

/// The balancers know the replicas of the compose file. Where a program is installed, it accepts its files.
#[test]
fn balancers_and_compose_files_are_valid() {
    let compose = deployed("compose-replicas.yaml");
    let replicas: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| name.starts_with("acervo-"))
        .collect();
    assert_eq!(replicas, ["acervo-1", "acervo-2", "acervo-3"]);
    for file in ["Caddyfile.replicas", "haproxy.cfg"] {
        let text = deployed(file);
        assert!(text.contains("/readyz"), "{file}");
        for replica in &replicas {
            assert!(text.contains(&format!(" {replica}:8080")), "{file}: {replica}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let haproxy = folder.path().join("haproxy.cfg");
    // Without the certificate, which is not here.
    let without = deployed("haproxy.cfg").replace(" ssl crt \"${ACERVO_CERTIFICATE}\" alpn h2,http/1.1", "");
    std::fs::write(&haproxy, &without).expect("a file");
    assert!(!without.contains("ACERVO_CERTIFICATE} "), "{without}");
    for file in ["Caddyfile", "Caddyfile.replicas", "compose.yaml", "compose-replicas.yaml"] {
        std::fs::write(folder.path().join(file), deployed(file)).expect("a file");
    }
    // Which `replicas-secrets.sh` writes.
    std::fs::create_dir(folder.path().join("secrets")).expect("a folder");
    std::fs::write(folder.path().join("secrets/s3.env"), "").expect("a file");
    for (program, args) in [
        ("haproxy", "-c -f haproxy.cfg"),
        ("caddy", "validate --adapter caddyfile --config Caddyfile"),
        ("caddy", "validate --adapter caddyfile --config Caddyfile.replicas"),
        ("docker-compose", "-f compose.yaml config -q"),
        ("docker-compose", "-f compose-replicas.yaml config -q"),
    ] {
        let mut command = Command::new(program);
        command.args(args.split(' ')).current_dir(&folder);
        command.env("ACERVO_DOMAIN", "acervo.example.com").env("HOME", folder.path());
        match command.output() {
            Ok(output) => assert!(output.status.success(), "{program}: {}", text(&output)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => eprintln!("no {program} here"),
            Err(e) => panic!("{e}"),
        }
    }
}
