use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::harness::notice::Notice;
use crate::harness::{Options, TestApp};

/// Counts connections to one port on every address of this machine.
struct Canary {
    port: u16,
    knocks: Arc<AtomicUsize>,
}

impl Canary {
    fn start() -> Self {
        let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = four.local_addr().expect("an address").port();
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok();
        let knocks = Arc::new(AtomicUsize::new(0));
        for listener in [Some(four), six].into_iter().flatten() {
            let knocks = knocks.clone();
            std::thread::spawn(move || {
                listener.incoming().for_each(|_| {
                    knocks.fetch_add(1, Ordering::SeqCst);
                })
            });
        }
        Self { port, knocks }
    }

    fn knocks(&self) -> usize {
        self.knocks.load(Ordering::SeqCst)
    }
}

/// Addresses that are not for the public, in every way to write them.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.257",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[0:0:0:0:0:ffff:169.254.169.254]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[100::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
];

/// Links that are refused for their scheme, user, port or host name.
const LINKS: &[&str] = &[
    "http://apps08.ons.org.br/x",
    "ftp://apps08.ons.org.br/x",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1/x",
    "data:text/plain,x",
    "javascript:alert(1)",
    "unix:/var/run/docker.sock",
    "ws://apps08.ons.org.br/x",
    "https://user:pass@apps08.ons.org.br/x",
    "https://user@apps08.ons.org.br/x",
    "https://apps08.ons.org.br:8443/x",
    "https://apps08.ons.org.br:80/x",
    "https://apps08.ons.org.br:0/x",
    "https://evil.example/x",
    "https://ons.org.br.evil.example/x",
    "https://evilons.org.br/x",
    "https://apps08.ons.org.br@evil.example/x",
    "https://evil.example\\@apps08.ons.org.br/x",
    "https://evil.example#@apps08.ons.org.br/x",
    "https://evil.example?@apps08.ons.org.br/x",
    "https://evil.example/apps08.ons.org.br/x",
    "https://apps08.ons.org.br.",
    "https://\u{ff41}pps08.ons.org.br.evil.example/x",
];

/// Whether a link is an absolute URL. Any other is refused at once.
fn is_url(link: &str) -> bool {
    url::Url::parse(link).is_ok()
}

async fn refused(app: &TestApp, links: &[String]) {
    for (number, link) in links.iter().enumerate() {
        let body = Notice::new(number.to_string()).link(link);
        let (status, answer) = app.notify(&body.to_string()).await;
        assert_eq!(status, if is_url(link) { 202 } else { 422 }, "{link}: {answer}");
    }
    let query =
        "{ open: notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount nodes { name error } } }";
    app.until(query, |data| data["open"]["totalCount"] == 0).await;
    app.indexed().await;
    let data = app.query("{ notifications(first: 1000) { totalCount nodes { name status error attempts } } }").await;
    assert_eq!(data["notifications"]["totalCount"], links.len());
    for node in data["notifications"]["nodes"].as_array().expect("a list") {
        let error = node["error"].as_str().expect("an error");
        let number: usize = node["name"].as_str().expect("a name").parse().expect("a number");
        if is_url(&links[number]) {
            assert!(node["status"] == "FAILED" && error.starts_with("refused: "), "{node}");
        } else {
            assert!(node["status"] == "REJECTED" && error.contains("not an absolute URL"), "{node}");
        }
    }
}

#[tokio::test]
async fn links_to_private_addresses_are_refused_without_a_connection() {
    let canary = Canary::start();
    // The list of hosts would stop most of these; it is opened, so that only the addresses decide.
    let hosts: Vec<String> = HOSTS.iter().map(|host| host.trim_matches(['[', ']']).to_owned()).collect();
    let allowed = hosts.iter().filter(|host| acervo::config::HostPattern::parse(host).is_ok());
    let allowed: Vec<&str> =
        allowed.map(String::as_str).chain(["127.0.0.1", "::1", "::7f00:1", "::ffff:7f00:1", "*.ons.org.br"]).collect();
    let open = [("fetch.allow_private", "false".to_owned()), ("fetch.allowed_hosts", allowed.join(","))];
    let app = TestApp::with(Options { values: open.into(), ..Options::default() }).await;
    let port = canary.port;
    let mut links: Vec<String> = Vec::new();
    for host in HOSTS {
        links.push(format!("https://{host}/x"));
        links.push(format!("https://{host}:{port}/x"));
        links.push(format!("http://{host}:{port}/x"));
    }
    links.extend(LINKS.iter().filter(|link| !link.ends_with("br.")).map(|link| (*link).to_owned()));
    assert!(HOSTS.len() + LINKS.len() >= 60);
    refused(&app, &links).await;
    assert_eq!(canary.knocks(), 0, "a connection was made");
}

#[tokio::test]
async fn redirects_to_private_addresses_are_refused() {
    let canary = Canary::start();
    // A portal that redirects to a given address.
    let target = Arc::new(Mutex::new(String::new()));
    let reported = target.clone();
    let answer = move || async move {
        let to = reported.lock().expect("a lock").clone();
        (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let portal = format!("http://{}/x", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    let app = TestApp::start().await;
    let port = canary.port;
    let hosts = HOSTS.iter().filter(|host| {
        let url = url::Url::parse(&format!("http://{host}/")).ok();
        // The portal's own address is allowed to this test's service.
        url.is_some_and(|url| url.host_str() != Some("127.0.0.1"))
    });
    let mut targets: Vec<String> = hosts.map(|host| format!("http://{host}:{port}/x")).collect();
    targets.extend(["file:///etc/passwd", "gopher://127.0.0.1/x", "//localhost/x"].map(str::to_owned));
    targets.push(format!("http://user:pass@127.0.0.1:{port}/x"));
    assert!(targets.len() > 40, "{}", targets.len());
    let own = url::Url::parse(&portal).expect("a URL");
    app.leaves_work_unsettled("links whose redirect is refused are tried again");
    for (number, to) in targets.iter().enumerate() {
        target.lock().expect("a lock").clone_from(to);
        let link = format!("{portal}/{number}");
        let body = Notice::new(format!("por {to}")).link(link);
        assert_eq!(app.notify(&body.to_string()).await.0, 202);
        let query = "{ notifications(first: 1) { nodes { status error } } }";
        // The next response may be another, so it is tried again.
        let data = app.until(query, |data| data["notifications"]["nodes"][0]["status"] == "RETRYING").await;
        let error = data["notifications"]["nodes"][0]["error"].as_str().expect("an error");
        let is_url = to.is_ascii() && own.join(to).is_ok();
        assert!(error.contains(if is_url { "refused: " } else { "not a valid URL" }), "{to}: {error}");
    }
    assert_eq!(canary.knocks(), 0, "a connection was made");
}
