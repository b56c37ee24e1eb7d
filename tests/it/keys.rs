//! Keys of the API while a service runs: revoked, expired, rotated, and what is known of their use.
use std::path::Path;
use std::process::Command;

use acervo::domain::Clock;
use serde_json::{Value, json};

use crate::harness::polling::Polling;
use crate::harness::process::{Served, acervo, free_port, printed, run};
use crate::harness::socket::Socket;
use crate::harness::{Db, KEY, Options, TestApp, postgres};

const FEED: &str = "subscription { changes(after: \"0\") { cursor } }";

/// A new key and the lines of its configuration.
fn new_key(folder: &Path, args: &[&str]) -> (String, String) {
    let text = printed(folder, &[&["token", "new"], args].concat());
    let key = text.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a key").to_owned();
    (key, text.split("for acervo.toml:").nth(1).expect("lines").trim().to_owned())
}

fn signal(served: &Served, signal: rustix::process::Signal) {
    let id = i32::try_from(served.id()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(id).expect("a process");
    rustix::process::kill_process(pid, signal).expect("a process of ours");
}

async fn status(url: &str, key: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("{url}/graphql?query=%7Bstatus%7Bready%7D%7D")).bearer_auth(key);
    let response = request.send().await.expect("a response");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

fn serve(command: Command, folder: &Path, log: &str) -> Served {
    tokio::task::block_in_place(|| Served::spawn(command, folder.join(log), free_port(), "info"))
}

async fn revoke_on(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (key, lines) = new_key(at, &["--role", "reader", "--name", "power-bi"]);
    let (other, more) = new_key(at, &["--role", "operator", "--name", "outra"]);
    std::fs::write(at.join("acervo.toml"), format!("{lines}\n\n{more}\n")).expect("a file");
    let url = postgres::database(db);
    let command = || {
        let mut command = acervo(at);
        command.envs(url.iter().map(|url| ("ACERVO_DATABASE_URL", url)));
        command
    };
    let served = serve(command(), at, "first.log");
    assert_eq!(status(&served.url, &key).await.0, 200);
    let mut socket =
        Socket::open_with(&served.url, &[("authorization", &format!("Bearer {key}"))]).await.expect("a socket");
    socket.introduce(json!({})).await;
    socket.subscribe("1", FEED).await;
    // The service writes the uses before they are listed.
    let listed = command().args(["token", "list", "--format", "json"]).output().expect("a binary that starts");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let keys: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!((&keys[1]["name"], &keys[1]["role"]), (&json!("power-bi"), &json!("reader")), "{keys}");
    assert!(keys[1]["lastUsedAt"].is_string() && keys[2]["lastUsedAt"].is_null(), "{keys}");
    let keys = served.query("{ status { keys { name lastUsedAt revokedAt } } }").await["status"]["keys"].clone();
    assert!(keys[1]["lastUsedAt"].is_string() && keys[1]["revokedAt"].is_null(), "{keys}");
    // Readers do not see who else has a key.
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let asked = client.get(format!("{}/graphql?query=%7Bstatus%7Bkeys%7Bname%7D%7D%7D", served.url)).bearer_auth(&key);
    let seen: Value = asked.send().await.expect("a response").json().await.expect("JSON");
    assert_eq!(seen, json!({ "data": { "status": { "keys": null } } }));

    let unknown = command().args(["token", "revoke", "nenhuma"]).output().expect("a binary that starts");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("it has api.token, power-bi, outra"));
    let revoked = command().args(["token", "revoke", "power-bi"]).output().expect("a binary that starts");
    let text = String::from_utf8_lossy(&revoked.stdout).into_owned();
    assert!(revoked.status.success(), "{text}{}", String::from_utf8_lossy(&revoked.stderr));
    assert!(text.contains("the running service refuses it") && text.contains(&lines), "{text}");
    // At once: the command has ended, so nothing is waited for.
    let (code, body) = status(&served.url, &key).await;
    assert_eq!(code, 401);
    assert!(body.contains("the key was revoked"), "{body}");
    assert_eq!(status(&served.url, &other).await.0, 200);
    assert_eq!(status(&served.url, KEY).await.0, 200);
    assert_eq!(socket.closed().await.0, 4403);
    let opened = Socket::open_with(&served.url, &[("authorization", &format!("Bearer {key}"))]).await;
    assert_eq!(opened.err(), Some(401));
    // It stays revoked after a restart, whatever the file says, and `status` says so.
    drop(served);
    let served = serve(command(), at, "second.log");
    assert_eq!(status(&served.url, &key).await.0, 401);
    assert!(!served.logged().contains(&key) && !text.contains(&key));
    let shown = command().arg("status").output().expect("a binary that starts");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("power-bi") && shown.contains("revoked"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_at_once() {
    for db in Db::all() {
        revoke_on(db).await;
    }
}

/// Without a service a key is revoked for the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_while_no_service_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = serve(acervo(folder.path()), folder.path(), "first.log");
    served.terminate();
    let text = printed(folder.path(), &["token", "revoke", "api.token"]);
    assert!(text.contains("no service runs") && text.contains("ACERVO_API_TOKEN"), "{text}");
    let served = serve(acervo(folder.path()), folder.path(), "second.log");
    assert_eq!(status(&served.url, KEY).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_expires_at_the_end_of_its_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, lines) = new_key(folder.path(), &["--role", "reader", "--name", "curta", "--expires", "2031-01-31"]);
    assert!(lines.ends_with("expires = 2031-01-31"), "{lines}");
    let config = folder.path().join("keys.toml");
    std::fs::write(&config, lines).expect("a file");
    let clock = Clock::default();
    let app =
        TestApp::with(Options { config: Some(config), clock: clock.clone(), without_jobs: true, ..Options::default() })
            .await;
    let until = |at: &str| {
        let at: jiff::Timestamp = at.parse().expect("an instant");
        clock.advance(std::time::Duration::try_from(at.duration_since(clock.now())).expect("a later instant"));
    };
    // 23:59 in São Paulo.
    until("2031-02-01T02:59:00Z");
    assert_eq!(status(&app.url, &key).await.0, 200);
    until("2031-02-01T03:00:01Z");
    let (code, body) = status(&app.url, &key).await;
    assert_eq!(code, 401);
    assert!(body.contains("the key has expired"), "{body}");
    assert_eq!(
        app.query("{ status { keys { name expiresAt } } }").await["status"]["keys"][1]["expiresAt"],
        "2031-02-01T03:00:00.000Z"
    );
    for wrong in ["2031-02-30", "amanhã", "2031-01-31T12:00:00", ""] {
        let output = run(folder.path(), &["token", "new", "--role", "reader", "--expires", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

/// Keys and credentials are rotated without a restart, by a signal and by the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_keys_and_credentials_are_taken_over_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let mut command = acervo(at);
    command.env_remove("ACERVO_RECEIVER_TOKEN");
    let secret = at.join("token");
    let write = |token: &str, rest: &str| {
        std::fs::write(&secret, token).expect("a file");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, private).expect("a file of ours");
        let text = format!("[receiver]\ntoken_file = {:?}\n{rest}", secret.display().to_string());
        std::fs::write(at.join("acervo.toml"), text).expect("a file");
    };
    write("primeiro-token", "");
    let served = serve(command, at, "log.txt");
    let notify = async |token: &str| {
        let body = r#"{ "nome": "Acomph", "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x?token=segredo" }"#;
        let request = served.client.post(format!("{}/webhook", served.url)).header("x-token", token).body(body);
        request.send().await.expect("a response").status().as_u16()
    };
    let reload = || {
        let mut command = acervo(at);
        command.env_remove("ACERVO_RECEIVER_TOKEN");
        let output = command.args(["config", "reload"]).output().expect("a binary that starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    assert_eq!(notify("primeiro-token").await, 202);
    let (key, lines) = new_key(at, &["--role", "reader", "--name", "nova"]);
    write("segundo-token\n", &lines);
    assert_eq!(notify("segundo-token").await, 401);
    let (code, text) = reload();
    assert_eq!((code, text.as_str()), (Some(0), "taken over: api.keys, receiver.token\n"));
    assert_eq!((notify("segundo-token").await, notify("primeiro-token").await), (202, 401));
    assert_eq!(status(&served.url, &key).await.0, 200);
    // A key that is no longer in the file ends, also on an open socket; what needs a restart is named.
    let mut socket =
        Socket::open_with(&served.url, &[("authorization", &format!("Bearer {key}"))]).await.expect("a socket");
    socket.introduce(json!({})).await;
    write("segundo-token\n", "[fetch]\nconcurrency = 3\n[receiver.sources.teste]\ntoken = \"terceiro\"\n");
    let (code, text) = reload();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("taken over: api.keys, receiver.sources.teste\n"), "{text}");
    assert!(text.contains("changed, and needs a restart: fetch.concurrency\n"), "{text}");
    assert_eq!(status(&served.url, &key).await.0, 401);
    assert_eq!(socket.closed().await.0, 4403);
    let (code, text) = reload();
    assert!(code == Some(0) && text.starts_with("nothing changed") && text.contains("fetch.concurrency"), "{text}");
    // A configuration that cannot be used changes nothing, and the reason is given without a secret.
    write("quarto-token", "[fetch]\nconcurrency = 0\n");
    let (code, text) = reload();
    assert_eq!(code, Some(2));
    assert!(text.contains("fetch.concurrency: `0` is not a valid number") && !text.contains("quarto-token"), "{text}");
    signal(&served, rustix::process::Signal::HUP);
    let polling = Polling::start();
    while !served.logged().contains("the service keeps its own") {
        polling.pause(|| served.logged()).await;
    }
    assert!(served.logged().contains("fetch.concurrency: `0` is not a valid number"), "{}", served.logged());
    assert_eq!((notify("segundo-token").await, notify("quarto-token").await), (202, 401));
    // The signal takes over as well, and CORS and host names with it.
    write("quarto-token", "");
    let text = std::fs::read_to_string(at.join("acervo.toml")).expect("a file");
    let origins = "host_names = [\"acervo.internal\"]\napi.cors_origins = [\"https://paineis.example.com\"]\n";
    std::fs::write(at.join("acervo.toml"), format!("{origins}{text}")).expect("a file");
    signal(&served, rustix::process::Signal::HUP);
    let polling = Polling::start();
    while notify("quarto-token").await != 202 {
        polling.pause(|| served.logged()).await;
    }
    let page =
        served.get_with("/graphql?query=%7Bstatus%7Bready%7D%7D", &[("origin", "https://paineis.example.com")]).await;
    assert_eq!(page.headers()["access-control-allow-origin"], "https://paineis.example.com");
    assert!(!served.logged().contains("-token"), "{}", served.logged());
}

/// A configuration that would open the service is refused, and the old one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_does_not_open_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let mut command = acervo(at);
    command.env_remove("ACERVO_RECEIVER_TOKEN");
    let config = |receiver: &str| {
        let text = format!("public_url = \"https://acervo.example.com\"\n[receiver]\n{receiver}\n");
        std::fs::write(at.join("acervo.toml"), text).expect("a file");
    };
    config("token = \"um-token\"");
    let served = serve(command, at, "log.txt");
    config("");
    let mut command = acervo(at);
    let output = command.env_remove("ACERVO_RECEIVER_TOKEN").args(["config", "reload"]).output().expect("a binary");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the service keeps its configuration") && text.contains("receiver.token: is missing"),
        "{text}"
    );
    let request = served.client.post(format!("{}/webhook", served.url)).header("host", "acervo.example.com").body("{}");
    assert_eq!(request.send().await.expect("a response").status(), 401);
}

/// Commands to the service need the token of the data folder; to others there is nothing.
#[tokio::test]
async fn nobody_else_commands_the_service() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    // It serves once it answers.
    app.query("{ status { ready } }").await;
    let lock = std::fs::read_to_string(app.folder.path().join("data/serve.lock")).expect("the lock");
    let token = lock.lines().nth(1).expect("a token").to_owned();
    let command = async |token: &str, command: &str| {
        let request = app.client.post(format!("{}/control/{command}", app.url)).bearer_auth(token);
        request.send().await.expect("a response").status().as_u16()
    };
    for wrong in ["", KEY, "x", &token[1..]] {
        assert_eq!(command(wrong, "revoked").await, 404);
    }
    assert_eq!((command(&token, "revoked").await, command(&token, "stop").await), (200, 404));
}

/// The access log has a line for each request, with its key and without secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_names_keys_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (key, lines) = new_key(at, &["--role", "reader", "--name", "power-bi"]);
    std::fs::write(at.join("acervo.toml"), lines).expect("a file");
    let ask = async |served: &Served, path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        client.get(format!("{}{path}", served.url)).send().await.expect("a response").status().as_u16()
    };
    let path = format!("/export/publications.csv?key={key}&search=deck&%6Bey={key}&token=abc123&x={key}");
    // Off unless it is asked for.
    let mut quiet = serve(acervo(at), at, "quiet.log");
    ask(&quiet, &path).await;
    quiet.terminate();
    assert!(!quiet.logged().contains("/export/"), "{}", quiet.logged());
    let mut command = acervo(at);
    command.env("ACERVO_LOG_ACCESS", "true");
    let mut served = serve(command, at, "log.txt");
    assert_eq!(ask(&served, &format!("/export/publications.csv?key={key}&search=deck")).await, 200);
    ask(&served, &path).await;
    assert_eq!(ask(&served, "/graphql").await, 401);
    assert_eq!(served.notify("{}").await.0, 422);
    served.terminate();
    let log = served.logged();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let requests: Vec<&Value> =
        lines.iter().filter(|line| line["message"] == "request" && line["path"] != "/readyz").collect();
    assert_eq!(requests.len(), 4, "{log}");
    let first = requests[0];
    assert_eq!((&first["key"], &first["status"], &first["method"]), (&json!("power-bi"), &json!(200), &json!("GET")));
    assert_eq!(first["path"], "/export/publications.csv?key=REDACTED&search=deck");
    assert_eq!(first["client"], "127.0.0.1");
    assert_eq!((&requests[2]["key"], &requests[2]["status"]), (&json!("-"), &json!(401)));
    assert_eq!((&requests[3]["path"], &requests[3]["status"]), (&json!("/webhook"), &json!(422)));
    assert!(!log.contains(&key) && !log.contains("abc123") && !log.contains(KEY), "{log}");
}
