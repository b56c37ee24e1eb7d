//! Connections: accepted, limited in number and time, and drained when the service stops.
mod connection;
mod drain;
mod places;
mod stream;
mod timeouts;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Http;
use crate::app::App;
use connection::{Connection, EndOnDrop, WatchedBody};
use places::{Place, Places};

pub(super) use connection::Exchange;
pub(super) use places::network;

/// Connections at once; more wait in the backlog of the system.
const CONNECTIONS_MAX: usize = 800;

/// Connections at once where the webhook has a listener of its own.
const WEBHOOK_CONNECTIONS_MAX: usize = 200;

/// How many places anything but the webhook may take at once: a quarter is left for the webhook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub requests: usize,
    pub sockets: usize,
}

impl Shares {
    fn of(places: usize) -> Self {
        Self { requests: places * 9 / 16, sockets: places * 3 / 16 }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::of(CONNECTIONS_MAX)
    }
}

/// Open files besides connections: the database, the index, the archive, downloads.
const OTHER_FILES: usize = 224;

/// The largest head of a request over HTTP/1, and the most that is buffered before it is written.
const HEAD_BYTES_MAX: usize = 80 << 10;

/// What one HTTP/2 connection may send before it is read, and the requests it may have under way.
const WINDOW_BYTES: u32 = 64 << 10;
const STREAMS_MAX: u32 = 16;

/// Between two pings over HTTP/2 while a request is under way.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves until `stop` is done, then drains the requests under way.
pub async fn serve(
    listener: TcpListener,
    app: &App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_all(listener, None, app, stop).await
}

/// The same, with a second listener for the webhook alone.
pub async fn serve_all(
    listener: TcpListener,
    webhook: Option<TcpListener>,
    app: &App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    app.publish_address(listener.local_addr()?);
    let files = raise_open_files();
    let stopped = CancellationToken::new();
    let stop_all = stopped.clone();
    let _stopper = AbortOnDropHandle::new(tokio::spawn(async move {
        stop.await;
        stop_all.cancel();
    }));
    let webhook_places = if webhook.is_some() { WEBHOOK_CONNECTIONS_MAX } else { 0 };
    let places = CONNECTIONS_MAX.min(files.saturating_sub(OTHER_FILES + webhook_places)).max(32);
    let http = Http::new(app, Shares::of(places));
    let main = Server::new("main", listener, super::router_of(&http), places)?.run(app, &stopped);
    match webhook {
        None => main.await,
        Some(listener) => {
            let webhook = Server::new("webhook", listener, super::webhook_router(&http), webhook_places)?;
            tokio::join!(main, webhook.run(app, &stopped));
        }
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one, and returns it: connections are files.
fn raise_open_files() -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(e) => {
            tracing::warn!(error = %e, limit = limit.current, "the limit of open files cannot be raised");
            limit.current
        }
    };
    current.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// One listener and the connections it accepted.
struct Server {
    listener: TcpListener,
    bound: std::net::SocketAddr,
    router: Router,
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    places: Places,
}

impl Server {
    fn new(name: &'static str, listener: TcpListener, router: Router, places: usize) -> std::io::Result<Self> {
        let bound = listener.local_addr()?;
        let graceful = GracefulShutdown::new();
        Ok(Self { listener, bound, router, builder: builder(), graceful, places: Places::new(name, places) })
    }

    async fn run(self, app: &App, stopped: &CancellationToken) {
        let _sweeper = AbortOnDropHandle::new(tokio::spawn(self.places.clone().sweep()));
        loop {
            tokio::select! {
                () = stopped.cancelled() => break,
                (stream, place) = self.accept() => self.serve_connection(stream, place),
            }
        }
        let stopped_at = Instant::now();
        app.stopping.store(true, Ordering::Release);
        while let Ok((stream, place)) = timeout_at(stopped_at + drain::ACCEPT_PERIOD, self.accept()).await {
            self.serve_connection(stream, place);
        }
        drain::stop_accepting(&self.listener);
        // Connections in the backlog, and those whose handshake is ending, were accepted by the system already.
        while let Ok((stream, place)) = timeout(drain::HANDSHAKE_PERIOD, self.accept()).await {
            self.serve_connection(stream, place);
        }
        drop(self.listener);
        // The last ones have not sent their requests yet; an idle connection is closed at once below.
        tokio::time::sleep(drain::FIRST_REQUEST_PERIOD).await;
        if timeout_at(stopped_at + drain::DRAIN_TIMEOUT, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("requests that did not end in {} s are cut off", drain::DRAIN_TIMEOUT.as_secs());
        }
    }

    /// The next connection, once there is a place for it. Cancelling this loses no connection.
    async fn accept(&self) -> (TcpStream, Place) {
        loop {
            self.places.make_room().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => return (stream, self.places.enter(peer.ip(), self.bound)),
                Err(e) => {
                    // Most likely no more files can be opened.
                    tracing::error!(error = %e, "a connection could not be accepted");
                    self.places.evict_one();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn serve_connection(&self, stream: TcpStream, place: Place) {
        let _ = stream.set_nodelay(true);
        let connection = place.0.clone();
        let io = TokioIo::new(stream::WatchedStream::new(stream, place));
        let (router, of_requests) = (self.router.clone(), connection.clone());
        let service = service_fn(move |request| answer(router.clone(), of_requests.clone(), request));
        let served = self.builder.serve_connection_with_upgrades(io, service).into_owned();
        let watched = self.graceful.watch(served);
        tokio::spawn(async move {
            tokio::select! {
                // An error here means that the client is gone.
                _ = watched => {}
                () = connection.closed() => {}
            }
        });
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The time-outs are those of `timeouts`, which knows more than hyper about what a connection is doing.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING_INTERVAL))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(WINDOW_BYTES as usize);
    builder
}

/// Responds to one request and notes on its connection what it is waiting for.
async fn answer(
    router: Router,
    connection: Arc<Connection>,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let exchange = connection.begin();
    let end = EndOnDrop(exchange.clone());
    exchange.until_writable().await;
    let mut request = request.map(|body| WatchedBody::of_request(body, exchange.clone()));
    request.extensions_mut().insert(exchange);
    let response = TowerToHyperService::new(router).call(request).await?;
    Ok(response.map(|body| WatchedBody::of_response(body, end)))
}

/// Has clients close their connections once the service is stopping.
pub(super) async fn close_when_stopping(State(http): State<Http>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if http.app.stopping.load(Ordering::Acquire) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
