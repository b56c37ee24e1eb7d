//! Connections: accepted, bounded in time and number, and let go gently.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Http;
use crate::app::App;

/// How long requests may take to end once the service is asked to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// How long new connections are still taken after that: who balances the load looks at `/readyz` meanwhile, and clients
/// that keep connections are told to leave.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long after somebody came in another may be coming in.
const LAST_STEPS: Duration = Duration::from_millis(20);

/// How long a client may take for its first word once it was let in.
const FIRST_WORD: Duration = Duration::from_millis(250);

/// A client that takes longer for the head of a request has nothing to say.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// Connections at once; more wait in the system's line. Below the thousand files that a process usually may open.
const CONNECTIONS_MAX: usize = 800;

/// Serves until `stop` is done, then lets what is under way end.
pub async fn serve(
    listener: TcpListener,
    app: &App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    app.publish_address(listener.local_addr()?);
    let router = super::router(app);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_MAX));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let attend = |stream: TcpStream, place: OwnedSemaphorePermit| {
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that went away is none of our troubles.
            let _ = watched.await;
            drop(place);
        });
    };
    let mut stop = std::pin::pin!(stop);
    let stopped_at = loop {
        tokio::select! {
            _ = &mut stop => break Instant::now(),
            (stream, place) = accept(&listener, &places) => attend(stream, place),
        }
    };
    app.stopping.store(true, Ordering::Release);
    while let Ok((stream, place)) = timeout_at(stopped_at + FAREWELL, accept(&listener, &places)).await {
        attend(stream, place);
    }
    let_nobody_else_in(&listener);
    // Those in the system's line were let in already, and so were those that are just being put there.
    while let Ok((stream, place)) = timeout(LAST_STEPS, accept(&listener, &places)).await {
        attend(stream, place);
    }
    drop(listener);
    // Those that were let in last have yet to say what they want; an idle connection is closed at once below.
    tokio::time::sleep(FIRST_WORD).await;
    if timeout_at(stopped_at + DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in {} s are cut off", DRAIN.as_secs());
    }
    Ok(())
}

/// Has the system drop whoever knocks from now on, unanswered: they knock again in a second, when nobody is there, and go
/// elsewhere. A listener that is closed while somebody is coming in would break that connection off.
#[cfg(target_os = "linux")]
fn let_nobody_else_in(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    // A packet filter (classic BPF): load the byte of the flags from the head, and where SYN is among them drop the packet.
    const FLAGS_AT: u32 = 13;
    const SYN: u32 = 0x02;
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS_AT),
        SockFilter::new(0x45, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(e) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(error = %e, "the system lets others in until the end");
    }
}

#[cfg(not(target_os = "linux"))]
fn let_nobody_else_in(_: &TcpListener) {}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(e) => {
                // Most likely no file can be opened any more: some will be closed in a moment.
                tracing::error!(error = %e, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Tells clients that keep their connections to leave, once the service is asked to stop.
pub(super) async fn say_farewell(State(http): State<Http>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if http.app.stopping.load(Ordering::Acquire) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
