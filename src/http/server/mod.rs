//! Connections: accepted, limited in number and time, and drained when the service stops.
mod connection;
mod drain;
mod slots;
mod stream;
mod timeouts;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
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
use slots::{Slot, Slots};

pub(super) use connection::Exchange;
pub(super) use slots::network;

/// Connections at once; more wait in the backlog of the system.
const CONNECTIONS_MAX: usize = 800;

/// Connections at once of the webhook's separate listener.
const WEBHOOK_CONNECTIONS_MAX: usize = 200;

/// How many slots requests other than those to the webhook may use at once: a quarter is reserved for the webhook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub requests: usize,
    pub sockets: usize,
}

impl Shares {
    fn of(slots: usize) -> Self {
        Self { requests: slots * 9 / 16, sockets: slots * 3 / 16 }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::of(CONNECTIONS_MAX)
    }
}

/// Open files other than connections: the database, the index, the archive, downloads.
const OTHER_FILES: usize = 224;

/// The largest head of a request over HTTP/1, and the most that is buffered before it is written.
const HEAD_BYTES_MAX: usize = 80 << 10;

/// What one HTTP/2 connection may send before it is read, and its requests in progress.
const WINDOW_BYTES: u32 = 64 << 10;
const STREAMS_MAX: u32 = 16;

/// Between two pings over HTTP/2 while a request is in progress.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Serves until `stop` is done, then drains the requests in progress.
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
    let webhook_slots = if webhook.is_some() { WEBHOOK_CONNECTIONS_MAX } else { 0 };
    let slots = CONNECTIONS_MAX.min(files.saturating_sub(OTHER_FILES + webhook_slots)).max(32);
    let http = Http::new(app, Shares::of(slots));
    let main = Server::new("main", listener, super::router_of(&http), slots)?.run(app, &stopped);
    match webhook {
        None => main.await,
        Some(listener) => {
            let webhook = Server::new("webhook", listener, super::webhook_router(&http), webhook_slots)?;
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
    slots: Slots,
}

impl Server {
    fn new(name: &'static str, listener: TcpListener, router: Router, slots: usize) -> std::io::Result<Self> {
        let bound = listener.local_addr()?;
        let graceful = GracefulShutdown::new();
        Ok(Self { listener, bound, router, builder: builder(), graceful, slots: Slots::new(name, slots) })
    }

    async fn run(self, app: &App, stopped: &CancellationToken) {
        let _closer = AbortOnDropHandle::new(tokio::spawn(self.slots.clone().close_overdue()));
        loop {
            tokio::select! {
                () = stopped.cancelled() => break,
                (stream, slot) = self.accept() => self.serve_connection(stream, slot),
            }
        }
        // Load balancers see `/readyz` fail, and clients with open connections are asked to close them.
        app.stopping.cancel();
        let closing_at = Instant::now() + app.settings.stop_delay;
        while let Ok((stream, slot)) = timeout_at(closing_at, self.accept()).await {
            self.serve_connection(stream, slot);
        }
        drain::stop_accepting(&self.listener);
        // Connections in the backlog, and those whose handshake is ending, were accepted by the system already.
        while let Ok((stream, slot)) = timeout(drain::HANDSHAKE_PERIOD, self.accept()).await {
            self.serve_connection(stream, slot);
        }
        drop(self.listener);
        // The last ones have not sent their requests yet; an idle connection is closed at once below.
        tokio::time::sleep(drain::FIRST_REQUEST_PERIOD).await;
        if timeout_at(closing_at + drain::DRAIN_TIMEOUT, self.graceful.shutdown()).await.is_err() {
            tracing::warn!("requests that did not end in {} s are cut off", drain::DRAIN_TIMEOUT.as_secs());
        }
    }

    /// The next connection, once there is a slot for it. Cancelling this loses no connection.
    async fn accept(&self) -> (TcpStream, Slot) {
        loop {
            self.slots.wait_for_slot().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => return (stream, self.slots.enter(peer.ip(), self.bound)),
                Err(e) => {
                    // Most likely no more files can be opened.
                    tracing::error!(error = %e, "a connection could not be accepted");
                    self.slots.evict_one();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn serve_connection(&self, stream: TcpStream, slot: Slot) {
        let _ = stream.set_nodelay(true);
        let connection = slot.0.clone();
        let io = TokioIo::new(stream::WatchedStream::new(stream, slot));
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

/// Asks clients to close their connections once the service is stopping.
pub(super) async fn close_when_stopping(State(http): State<Http>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if http.app.stopping.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
