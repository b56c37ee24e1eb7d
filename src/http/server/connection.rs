//! One connection and its current activity.
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::slots::Slots;
use super::timeouts::{Activity, Running, Socket, State};

/// A connection, shared by its task, its requests and the slots.
pub(in crate::http) struct Connection {
    pub id: u64,
    pub peer: IpAddr,
    /// The peer as the slots count it.
    pub network: IpAddr,
    /// The address that was listened on.
    pub bound: SocketAddr,
    pub(super) slots: Slots,
    activity: Mutex<Activity>,
    closed: CancellationToken,
    writable: Notify,
}

impl Connection {
    pub(super) fn new(id: u64, peer: IpAddr, network: IpAddr, bound: SocketAddr, slots: Slots) -> Self {
        Self {
            id,
            peer,
            network,
            bound,
            slots,
            activity: Mutex::new(Activity::new(Instant::now())),
            closed: CancellationToken::new(),
            writable: Notify::new(),
        }
    }

    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Completes once the connection must end: its time-out has passed, or its slot is needed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Notes bytes that were read.
    pub(super) fn note_read(&self, bytes: &[u8]) {
        let now = Instant::now();
        let mut activity = self.activity();
        let is_first = activity.read_at == activity.since && activity.head_since.is_none() && !activity.has_served;
        if is_first && bytes.starts_with(b"PRI") {
            activity.is_http2 = true;
        }
        activity.read_at = now;
        activity.was_read = true;
        // Frames of HTTP/2 may come at any time; only requests count there.
        if activity.running.is_empty() && !activity.is_http2 {
            activity.head_since.get_or_insert(now);
        }
    }

    /// Notes that there was nothing to read.
    pub(super) fn note_awaits_read(&self) {
        let mut activity = self.activity();
        if !activity.was_read {
            let now = Instant::now();
            (activity.was_read, activity.since, activity.read_at) = (true, now, now);
        }
    }

    /// Notes that bytes were written, or that the client does not read.
    pub(super) fn note_write(&self, is_blocked: bool) {
        let now = Instant::now();
        let mut activity = self.activity();
        if is_blocked {
            activity.blocked_since.get_or_insert(now);
            return;
        }
        activity.wrote_at = now;
        if activity.blocked_since.take().is_some() {
            self.writable.notify_waiters();
        }
    }

    async fn until_writable(&self) {
        loop {
            let mut unblocked = std::pin::pin!(self.writable.notified());
            unblocked.as_mut().enable();
            if !self.is_blocked() {
                return;
            }
            unblocked.await;
        }
    }

    fn is_blocked(&self) -> bool {
        self.activity().blocked_since.is_some()
    }

    /// Notes that a request began.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        let now = Instant::now();
        let mut activity = self.activity();
        activity.begun += 1;
        let id = activity.begun;
        activity.running.push(Running { id, began: now, state: State::Working, at: now, permit: None });
        activity.since = now;
        activity.head_since = None;
        Exchange { connection: self.clone(), id }
    }

    /// Notes that the connection is a WebSocket now.
    pub fn upgraded(&self, is_known: bool) {
        self.activity().socket = Some(if is_known { Socket::Authenticated } else { Socket::Anonymous });
        if !is_known {
            self.slots.bound_anonymous_sockets();
        }
    }

    /// Notes that the client of a WebSocket is authenticated.
    pub fn initialized(&self) {
        self.activity().socket = Some(Socket::Open);
    }
}

/// One request of a connection, found among the request's extensions.
#[derive(Clone)]
pub(in crate::http) struct Exchange {
    pub connection: Arc<Connection>,
    id: u64,
}

impl Exchange {
    fn with(&self, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.connection.activity().running.iter_mut().find(|running| running.id == self.id) {
            change(running);
        }
    }

    pub(super) fn set(&self, state: State) {
        let now = Instant::now();
        self.with(|running| (running.state, running.at) = (state, now));
        if state != State::Working {
            self.connection.slots.freed();
        }
    }

    /// Waits until the client reads: the responses of one that only sends requests would pile up in memory. The connection
    /// may be evicted in the meantime.
    pub(super) async fn until_writable(&self) {
        if self.connection.is_blocked() {
            let _yielding = self.yielding();
            self.connection.until_writable().await;
        }
    }

    /// Marks the request as one whose connection may be evicted, until the result is dropped.
    pub fn yielding(&self) -> impl Drop + use<> {
        self.set(State::Yielding);
        WorkOnDrop(self.clone())
    }

    /// Notes that the request came with valid credentials.
    pub fn known(&self) {
        self.connection.activity().is_known = true;
    }

    /// Keeps a permit until the request's response was sent.
    pub fn hold(&self, permit: OwnedSemaphorePermit) {
        self.with(|running| running.permit = Some(permit));
    }

    /// Closes a connection that withholds the rest of its body.
    pub fn evict_withheld_body(&self) {
        self.connection.slots.evict_withheld_body();
    }
}

struct WorkOnDrop(Exchange);

impl Drop for WorkOnDrop {
    fn drop(&mut self) {
        self.0.set(State::Working);
    }
}

/// Ends its request when it is dropped.
pub(super) struct EndOnDrop(pub Exchange);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let Exchange { connection, id } = &self.0;
        let mut activity = connection.activity();
        activity.running.retain(|running| running.id != *id);
        activity.since = Instant::now();
        activity.has_served = true;
        drop(activity);
        connection.slots.freed();
    }
}

/// A body that notes when it waits for the client: a request for its next piece, a response for its last piece to be
/// read.
pub(super) struct WatchedBody {
    inner: UnsyncBoxBody<Bytes, axum::Error>,
    exchange: Exchange,
    is_waiting: bool,
    end: Option<EndOnDrop>,
}

impl WatchedBody {
    pub fn of_request<B>(body: B, exchange: Exchange) -> Body
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        Body::new(Self { inner: boxed(body), exchange, is_waiting: false, end: None })
    }

    pub fn of_response(body: Body, end: EndOnDrop) -> Body {
        let exchange = end.0.clone();
        Body::new(Self { inner: boxed(body), exchange, is_waiting: false, end: Some(end) })
    }

    fn note(&mut self, is_waiting: bool) {
        if self.is_waiting != is_waiting {
            self.is_waiting = is_waiting;
            let waiting = if self.end.is_some() { State::Sending } else { State::AwaitingBody };
            self.exchange.set(if is_waiting { waiting } else { State::Working });
        }
    }
}

fn boxed<B>(body: B) -> UnsyncBoxBody<Bytes, axum::Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    UnsyncBoxBody::new(http_body_util::BodyExt::map_err(body, axum::Error::new))
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let is_response = self.end.is_some();
        if is_response {
            self.note(false);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let waits = match is_response {
            true => matches!(polled, Poll::Ready(Some(Ok(_)))),
            false => polled.is_pending(),
        };
        self.note(waits);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if self.end.is_none() {
            self.note(false);
        }
    }
}
