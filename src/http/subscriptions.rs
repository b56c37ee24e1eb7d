//! Subscriptions and other operations over WebSocket: access to it, and its messages.
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Data, Executor, Request as Operation};
use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{BoxStream, SplitSink};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_stream::StreamMap;

use super::auth::{self, Caller, Refusal};
use super::origin::{self, HostMatch};
use super::server::Exchange;
use super::socket::{self, ClientMessage, Event, PROTOCOLS, Protocol};
use super::{Http, Problem, bodies};
use crate::app::App;
use crate::domain::Digest;
use crate::graphql::CheckedSchema;

/// The longest message taken: a document and its variables.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// The read buffer of one WebSocket.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// For `connection_init`.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two pings; a client that answers none is disconnected (see `server::timeouts`).
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Opens a WebSocket. Browsers cannot send headers with it: a key may also come as `authorization` or `key` in the first
/// message.
pub(super) async fn subscribe(
    State(http): State<Http>,
    Extension(named): Extension<HostMatch>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    if !named.is_ours {
        return origin::foreign_host(&http).into_response();
    }
    let Some(protocol) = protocol(request.headers()) else {
        let detail = format!("name one of these in Sec-WebSocket-Protocol: {}", PROTOCOLS.join(", "));
        return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
    };
    let presented = auth::presented_key(request.method(), request.uri(), request.headers());
    let known = match auth::caller(&http.app, presented.as_ref()) {
        Ok(caller) => Some(caller),
        // The key may come in the first message.
        Err(Refusal::Missing) => None,
        Err(Refusal::Unknown) => return auth::deny(&http, "socket", request).await,
        Err(refusal) => return bodies::refuse(auth::unauthenticated_because(&refusal), request).await,
    };
    let Ok(permit) = known.as_ref().map(|_| http.sockets.clone().try_acquire_owned()).transpose() else {
        return bodies::refuse(auth::busy(), request).await;
    };
    let (parts, _) = request.into_parts();
    let client = Client { http, exchange: parts.extensions.get().cloned(), headers: parts.headers, known, permit };
    upgrade
        .protocols(PROTOCOLS)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| client.serve(socket, protocol))
        .into_response()
}

fn protocol(headers: &HeaderMap) -> Option<Protocol> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).find_map(|one| one.trim().parse().ok())
}

/// The client of a socket.
struct Client {
    http: Http,
    exchange: Option<Exchange>,
    headers: HeaderMap,
    /// Present if a key came with the request, or none is needed.
    known: Option<Caller>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// Serves the socket until one side ends it, or its connection must be closed.
    async fn serve(self, socket: WebSocket, protocol: Protocol) {
        let connection = self.exchange.as_ref().map(|exchange| exchange.connection.clone());
        let Some(connection) = connection else { return self.converse(socket, protocol).await };
        connection.upgraded(self.known.is_some());
        tokio::select! {
            () = self.converse(socket, protocol) => {}
            () = connection.closed() => {}
        }
    }

    async fn converse(self, socket: WebSocket, protocol: Protocol) {
        let (sink, messages) = socket.split();
        let messages = messages.take_while(|message| future::ready(message.is_ok())).filter_map(|message| {
            future::ready(match message {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message.into_data()),
                _ => None,
            })
        });
        let mut messages = std::pin::pin!(messages);
        let schema = self.http.schema.clone();
        let mut keys = self.http.app.access.changes();
        let mut conversation = Conversation {
            schema,
            protocol,
            sink,
            client: Some(self),
            init: None,
            session: None,
            operations: StreamMap::new(),
        };
        let init_deadline = Instant::now() + INIT_TIMEOUT;
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Conversation { init, session, operations, .. } = &mut conversation;
            let next = tokio::select! {
                // While the client is being admitted, its messages wait.
                message = messages.next(), if init.is_none() => match message {
                    Some(bytes) => Step::Message(bytes),
                    None => return,
                },
                admitted = admitted(init), if init.is_some() => Step::Permit(Box::new(admitted)),
                Some((id, event)) = operations.next(), if !operations.is_empty() => Step::Event(id, Box::new(event)),
                _ = ping.tick() => Step::Ping,
                Ok(()) = keys.changed() => Step::KeysChanged,
                () = sleep_until(init_deadline), if session.is_none() => Step::InitTimedOut,
            };
            if conversation.take(next).await.is_break() {
                return;
            }
        }
    }

    /// Admits a caller with a key, in the request or in the first message.
    async fn admit(self, payload: Value) -> Result<Session, Denial> {
        let find = |wanted: &str| {
            let found = payload.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.and_then(|(_, value)| value.as_str()).map(auth::key_in_text)
        };
        let presented = find("authorization").or_else(|| find("key"));
        let caller = self.known.map_or_else(|| auth::caller(&self.http.app, presented.as_ref()), Ok);
        let caller = match caller {
            Ok(caller) => Some(caller),
            Err(Refusal::Ended(reason)) => return Err(Denial { code: socket::FORBIDDEN, reason }),
            Err(Refusal::Missing | Refusal::Unknown) => None,
        };
        let Some(caller) = caller else {
            if presented.is_some() {
                let until = auth::denied_until(&self.http, "socket", self.exchange.as_ref(), &self.headers);
                auth::wait_denied(&self.http, until, None).await;
            }
            let reason = "a key is needed: `authorization` in the payload of connection_init";
            return Err(Denial { code: socket::FORBIDDEN, reason });
        };
        let permit = match self.permit {
            Some(permit) => permit,
            None => self.http.sockets.clone().try_acquire_owned().map_err(|_| Denial {
                code: socket::BUSY,
                reason: "too many sockets are open; try again in a moment",
            })?,
        };
        if let Some(exchange) = &self.exchange {
            exchange.connection.initialized();
        }
        let key = caller.key;
        let mut data = Data::default();
        data.insert(caller.for_graphql());
        data.insert(self.http.schema.socket_limits());
        Ok(Session { data: Arc::new(data), key, app: self.http.app.clone(), _permit: permit })
    }
}

/// Why a client was denied, as sent in the close frame.
struct Denial {
    code: u16,
    reason: &'static str,
}

/// An admitted client.
struct Session {
    /// What its operations are executed with.
    data: Arc<Data>,
    key: Option<Digest>,
    app: App,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    /// Whether the key of the client has expired, was revoked, or is no longer configured.
    fn has_ended(&self) -> bool {
        self.key.is_some_and(|key| !self.app.access.is_valid(key, self.app.clock.now()))
    }
}

/// What happens on a socket.
enum Step {
    Message(bytes::Bytes),
    Permit(Box<Result<Session, Denial>>),
    Event(String, Box<Event>),
    Ping,
    /// Keys were added, changed or revoked.
    KeysChanged,
    InitTimedOut,
}

async fn admitted(init: &mut Option<BoxFuture<'static, Result<Session, Denial>>>) -> Result<Session, Denial> {
    match init {
        Some(init) => init.await,
        None => future::pending().await,
    }
}

/// A socket with its operations.
struct Conversation {
    schema: CheckedSchema,
    protocol: Protocol,
    sink: SplitSink<WebSocket, Message>,
    /// Until `connection_init`.
    client: Option<Client>,
    init: Option<BoxFuture<'static, Result<Session, Denial>>>,
    session: Option<Session>,
    operations: StreamMap<String, BoxStream<'static, Event>>,
}

impl Conversation {
    /// Handles a step; breaks if the socket is to end.
    async fn take(&mut self, step: Step) -> ControlFlow<()> {
        match step {
            Step::Message(bytes) => match self.protocol.read(&bytes) {
                Ok(message) => self.answer(message).await,
                Err(reason) => self.close(socket::BAD_REQUEST, &reason).await,
            },
            Step::Permit(admitted) => {
                self.init = None;
                match *admitted {
                    Ok(session) => {
                        self.session = Some(session);
                        self.send(socket::text(&json!({ "type": "connection_ack" }))).await
                    }
                    Err(Denial { code, reason }) => self.deny(code, reason).await,
                }
            }
            Step::Event(id, event) => {
                if !matches!(*event, Event::Next(_)) {
                    self.operations.remove(&id);
                }
                let is_refused = matches!(*event, Event::Refused(_));
                self.send(self.protocol.write(&id, *event)).await?;
                match self.protocol {
                    // Here an error does not end the operation.
                    Protocol::Legacy if is_refused => self.send(self.protocol.write(&id, Event::End)).await,
                    _ => ControlFlow::Continue(()),
                }
            }
            Step::Ping | Step::KeysChanged if self.session.as_ref().is_some_and(Session::has_ended) => {
                self.close(socket::FORBIDDEN, "the key is not valid any more").await
            }
            Step::KeysChanged => ControlFlow::Continue(()),
            Step::Ping => self.send(Message::Ping(Default::default())).await,
            Step::InitTimedOut => {
                metrics::counter!("acervo_connections_closed_total", "reason" => "socket_init").increment(1);
                self.close(socket::INIT_TIMEOUT, "connection initialisation timeout").await
            }
        }
    }

    async fn answer(&mut self, message: ClientMessage) -> ControlFlow<()> {
        match message {
            ClientMessage::Init { payload } => match self.client.take() {
                Some(client) => {
                    self.init = Some(client.admit(payload).boxed());
                    ControlFlow::Continue(())
                }
                None => self.close(socket::TOO_MANY_INITS, "too many initialisation requests").await,
            },
            ClientMessage::Subscribe { id, request } => self.start(id, *request).await,
            ClientMessage::Complete { id } => {
                let was_running = self.operations.remove(&id).is_some();
                match was_running && self.protocol.confirms_complete() {
                    true => self.send(self.protocol.write(&id, Event::End)).await,
                    false => ControlFlow::Continue(()),
                }
            }
            ClientMessage::Ping { payload } => {
                let pong = match payload {
                    Some(payload) => json!({ "type": "pong", "payload": payload }),
                    None => json!({ "type": "pong" }),
                };
                self.send(socket::text(&pong)).await
            }
            ClientMessage::Pong => ControlFlow::Continue(()),
            ClientMessage::Terminate => ControlFlow::Break(()),
        }
    }

    async fn start(&mut self, id: String, request: Operation) -> ControlFlow<()> {
        let Some(session) = &self.session else {
            return self.close(socket::UNAUTHORIZED, "send `connection_init` first").await;
        };
        // In the older protocol a new operation under an id replaces the running one.
        if self.protocol == Protocol::Transport && self.operations.contains_key(&id) {
            return self.close(socket::DUPLICATE_ID, &format!("subscriber for {id} already exists")).await;
        }
        let responses = self.schema.execute_stream(request, Some(session.data.clone()));
        self.operations.insert(id, socket::events(responses));
        ControlFlow::Continue(())
    }

    async fn deny(&mut self, code: u16, reason: &str) -> ControlFlow<()> {
        if self.protocol == Protocol::Legacy {
            let payload = json!({ "message": reason });
            self.send(socket::text(&json!({ "type": "connection_error", "payload": payload }))).await?;
        }
        self.close(code, reason).await
    }

    async fn send(&mut self, message: Message) -> ControlFlow<()> {
        match self.sink.send(message).await {
            Ok(()) => ControlFlow::Continue(()),
            // The client is gone.
            Err(_) => ControlFlow::Break(()),
        }
    }

    async fn close(&mut self, code: u16, reason: &str) -> ControlFlow<()> {
        let _ = self.send(socket::close(code, reason)).await;
        ControlFlow::Break(())
    }
}
