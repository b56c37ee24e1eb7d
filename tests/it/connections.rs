use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::process::{Served, acervo, free_port, in_shell};
use crate::harness::socket::Socket;
use crate::harness::{KEY, Options, PATIENCE, TOKEN, TestApp, raw, until};

pub const NOTIFICATION: &str =
    r#"{ "nome": "Acomph", "dataProduto": "09/05/2025", "url": "http://127.0.0.1:9/x?token=segredo" }"#;

/// More than there are slots.
const CROWD: usize = 900;

async fn quiet() -> TestApp {
    TestApp::with(Options { without_jobs: true, ..Options::default() }).await
}

/// What clients that keep connections waiting have sent.
pub fn silences() -> Vec<(&'static str, Vec<u8>)> {
    let head = |more: &str| format!("POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {TOKEN}\r\n{more}");
    let upgrade = "GET /graphql/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    vec![
        ("nothing", Vec::new()),
        ("half a head", head("X-Half: ").into_bytes()),
        ("a head without its body", head("Content-Length: 1000\r\n\r\n").into_bytes()),
        ("half a body", head("Content-Length: 1000\r\n\r\n{").into_bytes()),
        ("a body for GraphQL that does not come", {
            let head = format!("POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {KEY}\r\n");
            format!("{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n").into_bytes()
        }),
        ("an idle connection", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec()),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("half the preface of HTTP/2", b"PRI * HTTP".to_vec()),
        ("a socket that does not introduce itself", upgrade.as_bytes().to_vec()),
        ("a wrong key", b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: errada\r\n\r\n".to_vec()),
    ]
}

async fn crowd(app: &TestApp, bytes: &[u8], count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = raw::connect(app).await;
        // Some were closed for others already.
        let _ = stream.write_all(bytes).await;
        streams.push(stream);
    }
    streams
}

/// A client that reuses no connection: each request needs a slot.
pub fn fresh() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().expect("a client")
}

async fn notified(client: &reqwest::Client, url: &str) -> u16 {
    let request = client.post(format!("{url}/webhook")).header("authorization", TOKEN).body(NOTIFICATION);
    request.send().await.expect("a response").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_do_not_block_others() {
    let app = quiet().await;
    let client = fresh();
    for (name, bytes) in silences() {
        let held = crowd(&app, &bytes, CROWD).await;
        for _ in 0..20 {
            assert_eq!(notified(&client, &app.url).await, 202, "{name}");
            let asked = client.get(format!("{}/graphql?query={{status{{ready}}}}", app.url)).bearer_auth(KEY);
            assert_eq!(asked.send().await.expect("a response").status(), 200, "{name}");
        }
        drop(held);
    }
    let metrics = app.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("acervo_connections{"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_no_response_does_not_block_others() {
    let app = quiet().await;
    let client = fresh();
    let request = "GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(4000);
    let mut held = Vec::new();
    for _ in 0..50 {
        let mut stream = raw::connect(&app).await;
        let sent = request.clone();
        held.push(tokio::spawn(async move {
            let _ = stream.write_all(sent.as_bytes()).await;
            stream
        }));
    }
    let _more = crowd(&app, b"", CROWD).await;
    for _ in 0..20 {
        assert_eq!(notified(&client, &app.url).await, 202);
    }
}

/// Sends requests and reads nothing until it is closed.
async fn until_unread_is_closed(app: &TestApp) {
    let mut stream = raw::connect(app).await;
    socket2::SockRef::from(&stream).set_recv_buffer_size(4096).expect("a socket");
    let request = "GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(4000);
    let unread = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    // Thousands of responses must fill the buffers between the two sides first.
    tokio::time::timeout(5 * PATIENCE, unread).await.expect("a client that reads nothing is disconnected");
}

/// Waits for the first ping of a socket.
async fn until_pinged(app: &TestApp) {
    let mut socket = Socket::connect(&app.url).await;
    let frame = socket.frame().await;
    assert!(matches!(frame, Message::Ping(_)), "{frame:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_and_sockets_are_pinged() {
    let app = quiet().await;
    let waits = silences().into_iter().filter(|(name, _)| *name != "an idle connection").map(|(name, bytes)| {
        let app = &app;
        async move {
            let mut stream = raw::connect(app).await;
            stream.write_all(&bytes).await.expect("a connection");
            (name, raw::rest(&mut stream).await)
        }
    });
    let (answers, (), ()) =
        tokio::join!(futures_util::future::join_all(waits), until_unread_is_closed(&app), until_pinged(&app));
    for (name, answer) in &answers {
        let expected = match *name {
            "a head without its body" | "half a body" | "a body for GraphQL that does not come" => "HTTP/1.1 408",
            "a wrong key" => "HTTP/1.1 401",
            "a socket that does not introduce itself" => "HTTP/1.1 101",
            _ => "",
        };
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }
    let data = app.query("{ status { deniedKeys } notifications { totalCount } }").await;
    assert_eq!(data, json!({ "status": { "deniedKeys": 1 }, "notifications": { "totalCount": 0 } }));
}

#[tokio::test]
async fn credentials_are_checked_before_a_body_is_read() {
    let app = quiet().await;
    for (path, key) in [("/webhook", "errada"), ("/webhook", ""), ("/graphql", "errada"), ("/graphql", "")] {
        let mut stream = raw::connect(&app).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Token: {key}\r\nAuthorization: {key}\r\n\
            Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a connection");
        assert!(raw::rest(&mut stream).await.starts_with("HTTP/1.1 401"), "{path} {key}");
        // A client that is still writing receives the response all the same.
        let mut stream = raw::connect(&app).await;
        let body = vec![b' '; 200_000];
        stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("a connection");
        assert!(raw::rest(&mut stream).await.starts_with("HTTP/1.1 401"), "{path} {key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_checked_before_bodies_over_http2() {
    let app = quiet().await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
    let post = |key: &'static str, body: Vec<u8>| {
        client.post(format!("{}/webhook", app.url)).header("x-token", key).body(body).send()
    };
    let wrong = futures_util::future::join_all((0..40).map(|_| post("errada", vec![b' '; 200_000]))).await;
    for answer in wrong {
        assert_eq!(answer.expect("a response").status(), 401);
    }
    // A whole body that is larger than the window.
    let body = format!("{}{NOTIFICATION}", " ".repeat(200_000));
    assert_eq!(post(TOKEN, body.into_bytes()).await.expect("a response").status(), 202);
}

/// Wrong keys at once.
const GUESSES: usize = 60;

/// Those beyond the first 20 are answered one every 100 ms. No machine is so slow that it answers sooner.
const LEAST_TIME: Duration = Duration::from_millis(3900);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Graphql,
    Export,
    File,
    WebhookToken,
    WebhookBasic,
    SocketByHeader,
    SocketByPayload,
}

/// Shows a wrong key, which must be refused.
async fn guess(app: &TestApp, client: &reqwest::Client, door: Door, number: usize) {
    let key = format!("errada-{number}");
    let get = |path: &str| client.get(format!("{}{path}", app.url)).bearer_auth(&key);
    let post = || client.post(format!("{}/webhook", app.url)).body(NOTIFICATION);
    let request = match door {
        Door::Graphql => get("/graphql?query={status{version}}"),
        Door::Export => get("/export/publications.csv"),
        Door::File => get("/files/0198b5c0-0000-7000-8000-000000000000"),
        Door::WebhookToken => post().header("x-token", &key),
        Door::WebhookBasic => post().basic_auth("ons", Some(&key)),
        Door::SocketByHeader => {
            let opened = Socket::open_with(&app.url, &[("authorization", &key)]).await;
            assert_eq!(opened.err(), Some(401));
            return;
        }
        Door::SocketByPayload => {
            let mut socket = Socket::open(&app.url).await;
            socket.init(json!({ "authorization": key })).await;
            assert_eq!(socket.closed().await.0, 4403);
            return;
        }
    };
    assert_eq!(request.send().await.expect("a response").status(), 401, "{door:?}");
}

async fn guess_at(door: Door) {
    let (app, client) = (&quiet().await, &fresh());
    let began = Instant::now();
    let guessed = async {
        futures_util::future::join_all((0..GUESSES).map(|number| guess(app, client, door, number))).await;
        began.elapsed()
    };
    let right = async {
        for _ in 0..10 {
            assert_eq!(notified(client, &app.url).await, 202, "{door:?}");
            let asked = client.get(format!("{}/graphql?query={{status{{ready}}}}", app.url)).bearer_auth(KEY);
            assert_eq!(asked.send().await.expect("a response").status(), 200, "{door:?}");
            Socket::connect(&app.url).await;
        }
    };
    let (guessed, ()) = tokio::join!(guessed, right);
    assert!(guessed >= LEAST_TIME, "{door:?}: {guessed:?}");
    let is_webhook = matches!(door, Door::WebhookToken | Door::WebhookBasic);
    assert_eq!(app.app.denied.keys(), if is_webhook { 0 } else { GUESSES as u64 }, "{door:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_are_delayed_everywhere_and_right_ones_are_not() {
    let doors = [
        Door::Graphql,
        Door::Export,
        Door::File,
        Door::WebhookToken,
        Door::WebhookBasic,
        Door::SocketByHeader,
        Door::SocketByPayload,
    ];
    futures_util::future::join_all(doors.map(guess_at)).await;
}

/// Sends wrong keys that come from as many addresses, as a header has it, and counts those that are answered.
async fn guess_from(trusted: &str, forwarded: impl Fn(usize) -> String, answered: &AtomicUsize) {
    let values = vec![("trusted_proxies", trusted.to_owned())];
    let app = TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await;
    let guesses = (0..GUESSES).map(async |number| {
        let request = app.client.get(format!("{}/metrics", app.url)).bearer_auth("errada");
        let response = request.header("x-forwarded-for", forwarded(number)).send().await.expect("a response");
        assert_eq!(response.status(), 401);
        answered.fetch_add(1, Ordering::SeqCst);
    });
    futures_util::future::join_all(guesses).await;
}

/// Those of one address come one after the other, those of many at once: when the latter are all answered, no other are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_addresses_are_taken_from_trusted_proxies_only() {
    let answered = [const { AtomicUsize::new(0) }; 4];
    let [untrusted, spoofed, shared_network, apart] = &answered;
    let apart = async {
        guess_from("127.0.0.1", |number| format!("198.51.100.{number}"), apart).await;
        [untrusted, spoofed, shared_network].map(|count| count.load(Ordering::SeqCst))
    };
    let ((), (), (), others) = tokio::join!(
        guess_from("", |number| format!("198.51.100.{number}"), untrusted),
        guess_from("127.0.0.0/8, 10.0.0.1", |number| format!("198.51.100.{number}, 203.0.113.9, 10.0.0.1"), spoofed),
        guess_from("127.0.0.1", |number| format!("2001:db8:0:1::{number}"), shared_network),
        apart,
    );
    assert!(others.iter().all(|count| *count < GUESSES), "{others:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_wrong_keys_do_not_block_others() {
    let app = quiet().await;
    let client = fresh();
    let wrong = b"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Token: errada\r\nContent-Length: 2\r\n\r\n{}";
    let _held = crowd(&app, wrong, CROWD).await;
    for _ in 0..20 {
        assert_eq!(notified(&client, &app.url).await, 202);
    }
}

/// A socket whose key is in a header.
async fn with_key(app: &TestApp) -> Result<Socket, u16> {
    Socket::open_with(&app.url, &[("authorization", KEY)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_limited() {
    let app = quiet().await;
    let mut open = Vec::new();
    let refused = loop {
        match with_key(&app).await {
            Ok(mut socket) => {
                socket.introduce(json!({ "authorization": KEY })).await;
                open.push(socket);
            }
            Err(status) => break status,
        }
        assert!(open.len() < CROWD, "sockets are not counted");
    };
    assert_eq!(refused, 503);
    assert_eq!(notified(&fresh(), &app.url).await, 202);
    socket_after(&app, &mut open).await;
}

/// Another WebSocket, once the slot of a closed one is free.
async fn socket_after(app: &TestApp, open: &mut Vec<Socket>) -> Socket {
    open.pop();
    until("the place of a closed socket", async || with_key(app).await.ok()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhook_can_have_a_listener_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, webhook_port) = (free_port(), free_port());
    let mut command = acervo(folder.path());
    command.env("ACERVO_WEBHOOK_LISTEN", format!("127.0.0.1:{webhook_port}"));
    let mut served = Served::spawn(command, folder.path().join("log.txt"), port, "info");
    let own = format!("http://127.0.0.1:{webhook_port}");
    let client = fresh();
    let status =
        async |url: String| client.get(url).bearer_auth(KEY).send().await.expect("a response").status().as_u16();
    assert_eq!(notified(&client, &own).await, 202);
    assert_eq!(notified(&client, &served.url).await, 202);
    assert_eq!(status(format!("{own}/readyz")).await, 200);
    for path in ["/graphql?query={status{version}}", "/export/publications.csv", "/metrics", "/graphql/ws"] {
        assert_eq!(status(format!("{own}{path}")).await, 404, "{path}");
    }
    assert_eq!(status(format!("{}/metrics", served.url)).await, 200);
    // Connections to the first listener use no slot of the second.
    let mut held = Vec::new();
    for _ in 0..CROWD {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
        held.push(stream);
    }
    assert_eq!(notified(&client, &own).await, 202);
    drop(held);
    assert_eq!(tokio::task::block_in_place(|| served.terminate()), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_low_limit_of_open_files_is_enough() {
    for limit in ["-Sn 256", "-n 320"] {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let limited = in_shell(&format!("ulimit {limit} && exec \"$0\" \"$@\""), &acervo(folder.path()));
        let served = Served::spawn(limited, folder.path().join("log.txt"), port, "warn");
        if limit.starts_with("-S") {
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).expect("limits");
            let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
            let values: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(values[3], values[4], "{line}");
        }
        let mut held = Vec::new();
        for (_, bytes) in silences() {
            for _ in 0..CROWD / 9 {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
                let _ = stream.write_all(&bytes).await;
                held.push(stream);
            }
        }
        for _ in 0..20 {
            assert_eq!(notified(&fresh(), &served.url).await, 202, "{limit}: {}", served.logged());
        }
        assert!(!served.logged().contains("could not be accepted"), "{limit}: {}", served.logged());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_sent_slowly_give_way() {
    let values = vec![("receiver.token", String::new())];
    let app = TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await;
    let mut request = b"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 262144\r\n\r\n".to_vec();
    request.extend(vec![b' '; 250 << 10]);
    // Together far more than the memory for bodies.
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut stream = raw::connect(&app).await;
        let _ = stream.write_all(&request).await;
        held.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(notified(&fresh(), &app.url).await, 202);
    }
    let mut end = [0; 1];
    let _ = held[0].read(&mut end).await;
}
