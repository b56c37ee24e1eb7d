//! How long a client may keep a connection waiting, and which connections are evicted first when slots run out.
use std::time::Duration;

use tokio::time::Instant;

/// For the first byte of a new connection, and over HTTP/2 for its first request.
pub(super) const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the whole head of a request, from its first byte.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two requests of a persistent connection: longer than the time-outs of usual proxies, so that none sends a
/// notification just when we close.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(150);

/// For a client that does not read although there is something to read.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// For one piece of a response, however slowly it is read. Over HTTP/2 a client that reads nothing from a stream may
/// still acknowledge pings, which looks like progress on the connection.
const PIECE_TIMEOUT: Duration = Duration::from_secs(300);

/// For a sign of life on a WebSocket: pings go out far more often.
pub(super) const SOCKET_TIMEOUT: Duration = Duration::from_secs(90);

/// A client that has read nothing for this long may be evicted.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// What a request is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// For this service.
    Working,
    /// For the client to send more of the body.
    AwaitingBody,
    /// For its turn, or for the end of the delay after a wrong key: it may be evicted then.
    Yielding,
    /// For the client to read a piece of the response.
    Sending,
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Running {
    pub id: u64,
    pub began: Instant,
    pub state: State,
    /// Since when it is in this state.
    pub at: Instant,
    /// Dropped when the request ends.
    pub permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// The state of a connection that was upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    /// No key was presented yet.
    Anonymous,
    Authenticated,
    /// `connection_init` was accepted.
    Open,
}

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    pub running: Vec<Running>,
    /// Requests so far.
    pub begun: u64,
    /// When the last request began or ended; at first, when the connection was accepted.
    pub since: Instant,
    /// Whether the connection was read once. Until then a request may have arrived unread.
    pub was_read: bool,
    pub has_served: bool,
    /// A request came with valid credentials.
    pub is_known: bool,
    pub is_http2: bool,
    pub socket: Option<Socket>,
    /// Since when a head is being sent.
    pub head_since: Option<Instant>,
    /// Since when the client has read nothing although something was to be read.
    pub blocked_since: Option<Instant>,
    pub read_at: Instant,
    pub wrote_at: Instant,
}

impl Activity {
    pub fn new(now: Instant) -> Self {
        Self {
            running: Vec::new(),
            begun: 0,
            since: now,
            was_read: false,
            has_served: false,
            is_known: false,
            is_http2: false,
            socket: None,
            head_since: None,
            blocked_since: None,
            read_at: now,
            wrote_at: now,
        }
    }

    /// Whether a request with valid credentials was answered. The head alone is not enough: a client with the token could
    /// occupy every slot by withholding bodies.
    pub fn is_trusted(&self) -> bool {
        self.is_known && self.has_served
    }

    /// Which time-out has passed, if one has.
    pub fn overdue(&self, now: Instant) -> Option<&'static str> {
        let passed = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        if self.blocked_since.is_some_and(|since| passed(since, WRITE_TIMEOUT)) {
            return Some("write");
        }
        let unread = |one: &Running| {
            one.state == State::Sending
                && (passed(one.at, PIECE_TIMEOUT) || passed(one.at.max(self.wrote_at), WRITE_TIMEOUT))
        };
        if self.running.iter().any(unread) {
            return Some("write");
        }
        if self.socket.is_some() {
            return passed(self.read_at, SOCKET_TIMEOUT).then_some("socket");
        }
        if !self.running.is_empty() {
            return None;
        }
        if self.head_since.is_some_and(|since| passed(since, HEAD_TIMEOUT)) {
            return Some("head");
        }
        match self.has_served {
            false => passed(self.since, FIRST_BYTE_TIMEOUT).then_some("first_byte"),
            true => passed(self.since, IDLE_TIMEOUT).then_some("idle"),
        }
    }

    /// Since when the connection has been waiting for its client alone; `None` while it must not be closed.
    pub fn waiting_since(&self, now: Instant) -> Option<Instant> {
        let stalled = |since: Instant| now.saturating_duration_since(since) >= STALLED_AFTER;
        if matches!(self.socket, Some(Socket::Authenticated | Socket::Open)) {
            return None;
        }
        if self.running.is_empty() {
            return self.was_read.then_some(self.since);
        }
        let waits = |one: &Running| match one.state {
            State::Working => false,
            State::AwaitingBody | State::Yielding => true,
            State::Sending => stalled(one.at.max(self.wrote_at)),
        };
        if !self.running.iter().all(waits) {
            return None;
        }
        self.running.iter().map(|one| one.began).min()
    }

    /// Whether every request of the connection has been waiting for its body for a while.
    pub fn withholds_body(&self, now: Instant) -> bool {
        let withheld = |one: &Running| {
            one.state == State::AwaitingBody && now.saturating_duration_since(one.at) >= Duration::from_secs(1)
        };
        !self.running.is_empty() && self.running.iter().all(withheld)
    }
}
