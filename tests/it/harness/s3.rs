//! An S3-compatible service, `s3s-fs`, and a proxy before it that fails as services do.
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;

use super::polling::Polling;
use super::ports::free_port;

const ACCESS_KEY: &str = "acervo";
const SECRET_KEY: &str = "segredo-do-balde";

/// The service of the suite; a bucket is a folder of it.
struct Service {
    port: u16,
    root: PathBuf,
    /// Its input's end is the server's, which comes when this process is gone, however it ends.
    _watch: Child,
}

fn service() -> &'static Service {
    static SERVICE: OnceLock<Service> = OnceLock::new();
    SERVICE.get_or_init(|| {
        assert!(is_installed(), "s3s-fs is not installed: cargo install s3s-fs --version 0.14.1 --features binary --locked");
        let root = tempfile::Builder::new().prefix("acervo-s3-").tempdir().expect("a folder").keep();
        let port = free_port();
        let line = format!(
            "s3s-fs --host 127.0.0.1 --port {port} --access-key {ACCESS_KEY} --secret-key {SECRET_KEY} {0} >/dev/null 2>&1 & \
             cat; kill $!; wait; rm -rf {0}",
            root.display()
        );
        let mut shell = Command::new("sh");
        let watch = shell.args(["-c", &line]).env("RUST_LOG", "off").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let watch = watch.expect("a service");
        let polling = Polling::start();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            polling.pause_thread(|| "s3s-fs does not answer".to_owned());
        }
        Service { port, root, _watch: watch }
    })
}

fn is_installed() -> bool {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    on_path.into_iter().any(|folder| folder.join("s3s-fs").exists())
}

/// A bucket of the service.
#[derive(Clone, Debug)]
pub struct TestBucket {
    pub name: String,
    /// Its objects as files.
    pub folder: PathBuf,
    /// Where it is reached.
    pub endpoint: String,
}

impl TestBucket {
    pub fn new() -> Self {
        let service = service();
        let name = format!("b{}", uuid::Uuid::now_v7().simple());
        let folder = service.root.join(&name);
        std::fs::create_dir(&folder).expect("a bucket");
        Self { name, folder, endpoint: format!("http://127.0.0.1:{}", service.port) }
    }

    /// The same bucket behind a proxy.
    pub fn behind(&self, proxy: &Proxy) -> Self {
        Self { endpoint: proxy.url.clone(), ..self.clone() }
    }

    pub fn url(&self) -> String {
        format!("s3://{}/arquivo", self.name)
    }

    /// The environment of a process that uses it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
        ]
    }

    pub fn settings(&self) -> acervo::config::Bucket {
        let variables = self.variables().map(|(name, value)| (name.to_owned(), value.into()));
        acervo::config::Bucket { name: self.name.clone(), prefix: "arquivo".to_owned(), variables: variables.into() }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service does nothing, and asks to slow down.
    SlowDown,
    /// The service does it, and the answer is lost with the connection.
    LostAnswer,
    /// The body of the answer ends in the middle, with the connection.
    CutBody,
    /// The answer takes a while.
    Slow,
}

/// A proxy before the service.
pub struct Proxy {
    pub url: String,
    /// While it is set, every connection ends without an answer.
    pub is_away: Arc<AtomicBool>,
    pub faults: Arc<AtomicU64>,
    /// Requests that came while it was away.
    pub refused: Arc<AtomicU64>,
}

type Body = BoxBody<Bytes, std::io::Error>;

struct Upstream {
    address: String,
    client: reqwest::Client,
    random: Mutex<StdRng>,
    /// Of so many requests one fails.
    one_of: u32,
    is_away: Arc<AtomicBool>,
    faults: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Proxy {
    /// One of so many requests fails, in a way that is drawn; none where it is 0.
    pub async fn start(bucket: &TestBucket, one_of: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (is_away, faults, refused) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let random = Mutex::new(StdRng::from_rng(&mut super::random()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let upstream = Upstream {
            address: bucket.endpoint.clone(),
            client,
            random,
            one_of,
            is_away: is_away.clone(),
            faults: faults.clone(),
            refused: refused.clone(),
        };
        tokio::spawn(accept(listener, Arc::new(upstream)));
        Self { url: url_of(address), is_away, faults, refused }
    }
}

fn url_of(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn accept(listener: TcpListener, upstream: Arc<Upstream>) {
    while let Ok((stream, _)) = listener.accept().await {
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(upstream.clone(), request));
            // A connection that ends without an answer is one of the faults.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

impl Upstream {
    fn fault(&self) -> Option<Fault> {
        let mut random = self.random.lock().expect("a lock");
        if self.one_of == 0 || !random.random_ratio(1, self.one_of) {
            return None;
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        let all = [Fault::SlowDown, Fault::LostAnswer, Fault::CutBody, Fault::Slow];
        Some(all[random.random_range(0..all.len())])
    }

    async fn forward(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> reqwest::Result<reqwest::Response> {
        // `Host` is signed, and so passed on as it came.
        let request = self.client.request(method, format!("{}{path}", self.address)).headers(headers).body(body);
        request.send().await
    }
}

async fn answer(upstream: Arc<Upstream>, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
    let lost = || std::io::Error::other("the connection is lost");
    if upstream.is_away.load(Ordering::Relaxed) {
        upstream.refused.fetch_add(1, Ordering::Relaxed);
        return Err(lost());
    }
    let fault = upstream.fault();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    if fault == Some(Fault::SlowDown) {
        let refusal =
            b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        let mut response = Response::new(whole(Bytes::from_static(refusal)));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(response);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let found = upstream.forward(parts.method, path, parts.headers, body).await.map_err(std::io::Error::other)?;
    if fault == Some(Fault::LostAnswer) {
        return Err(lost());
    }
    if fault == Some(Fault::Slow) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut response = Response::builder().status(found.status());
    for (name, value) in found.headers() {
        if name != HeaderName::from_static("transfer-encoding") {
            response = response.header(name, value);
        }
    }
    let body = if fault == Some(Fault::CutBody) { cut(found) } else { passed_on(found) };
    response.body(body).map_err(std::io::Error::other)
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

fn passed_on(found: reqwest::Response) -> Body {
    let frames = found.bytes_stream().map(|piece| piece.map(Frame::data).map_err(std::io::Error::other));
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}

/// Its first piece, or half of that, and the end of the connection.
fn cut(found: reqwest::Response) -> Body {
    let frames = found.bytes_stream().take(1).map(|piece| {
        let piece = piece.map_err(std::io::Error::other)?;
        Ok(Frame::data(piece.slice(..piece.len() / 2)))
    });
    let frames = frames.chain(futures_util::stream::once(async { Err(std::io::Error::other("cut")) }));
    BodyExt::boxed(StreamBody::new(Box::pin(frames)))
}
