//! Subscriptions over WebSocket, in the graphql-ws protocol and its forerunner.
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_graphql::http::{ALL_WEBSOCKET_PROTOCOLS, WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Error, ErrorExtensions};
use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt, future};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::auth::{self, Caller};
use super::origin::{self, Named};
use super::server::Exchange;
use super::{Http, Problem, bodies};
use crate::graphql::code;

/// Longer messages are no questions.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// What one socket keeps at hand for reading.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// For `connection_init`.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two pings; whoever answers none is cut off (see `server::timeouts`).
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What the protocol closes a socket with: for a message that is none of its own, for a request before `connection_init`, for
/// a missing or wrong key, and for a client that did not introduce itself in time.
const BAD_MESSAGE: u16 = 4400;
const NOT_INITIALIZED: u16 = 4401;
const FORBIDDEN: u16 = 4403;
const INIT_TIMED_OUT: u16 = 4408;

/// Of WebSocket itself: try again later.
const BUSY: u16 = 1013;

/// Opens a WebSocket. Browsers cannot send headers with it: a key may also come as `authorization` or `key` in the first
/// message.
pub(super) async fn subscribe(
    State(http): State<Http>,
    Extension(named): Extension<Named>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    if !named.is_ours {
        return origin::foreign_host(&http).into_response();
    }
    let Some(protocol) = protocol(request.headers()) else {
        let told = format!("name one of these in Sec-WebSocket-Protocol: {}", ALL_WEBSOCKET_PROTOCOLS.join(", "));
        return Problem::new(400, told).into_response();
    };
    let shown = auth::shown_key(request.method(), request.uri(), request.headers());
    let known = auth::caller(&http.app.settings.api, shown.as_ref());
    if shown.is_some() && known.is_none() {
        return auth::deny(&http, "socket", request).await;
    }
    let Ok(permit) = known.as_ref().map(|_| http.sockets.clone().try_acquire_owned()).transpose() else {
        return bodies::refuse(auth::busy(), request).await;
    };
    let (parts, _) = request.into_parts();
    let client = Client { http, exchange: parts.extensions.get().cloned(), headers: parts.headers, known, permit };
    upgrade
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| client.serve(socket, protocol))
        .into_response()
}

fn protocol(headers: &HeaderMap) -> Option<WebSocketProtocols> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).find_map(|one| WebSocketProtocols::from_str(one.trim()).ok())
}

/// Who is at the other end of a socket.
struct Client {
    http: Http,
    exchange: Option<Exchange>,
    headers: HeaderMap,
    /// Where a key came with the request, or none is needed.
    known: Option<Caller>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// Talks until one side ends it, or its connection must be closed.
    async fn serve(self, socket: WebSocket, protocol: WebSocketProtocols) {
        let connection = self.exchange.as_ref().map(|exchange| exchange.connection.clone());
        let Some(connection) = connection else { return self.talk(socket, protocol).await };
        connection.upgraded(self.known.is_some());
        tokio::select! {
            () = self.talk(socket, protocol) => {}
            () = connection.closed() => {}
        }
    }

    async fn talk(self, socket: WebSocket, protocol: WebSocketProtocols) {
        let (mut sink, messages) = socket.split();
        let questions = messages.take_while(|message| future::ready(message.is_ok())).filter_map(|message| {
            future::ready(match message {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => Some(message.into_data()),
                _ => None,
            })
        });
        let is_initialized = Arc::new(AtomicBool::new(false));
        let (initialized, schema) = (is_initialized.clone(), self.http.schema.clone());
        // Kept for as long as the socket is open.
        let permit = Arc::new(tokio::sync::Mutex::new(None));
        let kept = permit.clone();
        // The code to close with, where the client was not let in.
        let refusal = Arc::new(OnceLock::new());
        let refused = refusal.clone();
        let first = move |payload: Value| async move {
            let (data, permit) = self.admit(&payload).await.map_err(|(close_code, error)| {
                refused.get_or_init(|| close_code);
                error
            })?;
            *kept.lock().await = Some(permit);
            initialized.store(true, Ordering::Release);
            Ok(data)
        };
        let mut answers = std::pin::pin!(Protocol::new(schema, questions, protocol).on_connection_init(first));
        let deadline = Instant::now() + INIT_TIMEOUT;
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                answer = answers.next() => match answer {
                    Some(WsMessage::Text(text)) => sink.send(Message::Text(text.into())).await,
                    Some(WsMessage::Close(code, reason)) => sink.send(close_as(code, refusal.get(), reason)).await,
                    None => break,
                },
                _ = ping.tick() => sink.send(Message::Ping(Default::default())).await,
                () = sleep_until(deadline), if !is_initialized.load(Ordering::Acquire) => {
                    metrics::counter!("acervo_connections_closed_total", "reason" => "socket_init").increment(1);
                    let _ = sink.send(close(INIT_TIMED_OUT, "connection initialisation timeout".to_owned())).await;
                    break;
                }
            };
            if sent.is_err() {
                break;
            }
        }
    }

    /// Lets in whoever showed a key, in the request or in the first message; an error has the code to close with.
    async fn admit(self, payload: &Value) -> Result<(Data, OwnedSemaphorePermit), (u16, Error)> {
        let find = |wanted: &str| {
            let found = payload.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.and_then(|(_, value)| value.as_str()).map(auth::key_in_text)
        };
        let shown = find("authorization").or_else(|| find("key"));
        let caller = self.known.or_else(|| auth::caller(&self.http.app.settings.api, shown.as_ref()));
        let Some(caller) = caller else {
            if shown.is_some() {
                let until = auth::denied_until(&self.http, "socket", self.exchange.as_ref(), &self.headers);
                auth::wait_denied(&self.http, until, None).await;
            }
            let told = "a key is needed: `authorization` in the payload of connection_init";
            return Err((FORBIDDEN, refused(told, code::UNAUTHENTICATED)));
        };
        let permit =
            match self.permit {
                Some(permit) => permit,
                None => self.http.sockets.clone().try_acquire_owned().map_err(|_| {
                    (BUSY, refused("too many sockets are open; try again in a moment", code::TOO_COMPLEX))
                })?,
            };
        if let Some(exchange) = &self.exchange {
            exchange.connection.initialized();
        }
        let mut data = Data::default();
        data.insert(caller.asker());
        data.insert(self.http.schema.room_for_socket());
        Ok((data, permit))
    }
}

fn refused(told: &str, code: &'static str) -> Error {
    Error::new(told).extend_with(|_, extensions| extensions.set("code", code))
}

/// async-graphql closes with the codes 1002 and 1011 of WebSocket where the protocol has codes of its own.
fn close_as(code: u16, refusal: Option<&u16>, reason: String) -> Message {
    match (code, refusal) {
        (1002, Some(code)) => close(*code, reason),
        // The reason would repeat the message, and a close frame has room for 123 bytes.
        (1002, None) => close(BAD_MESSAGE, "the message is not one of the protocol's, in JSON".to_owned()),
        (1011, _) => close(NOT_INITIALIZED, "send `connection_init` first".to_owned()),
        _ => close(code, reason),
    }
}

fn close(code: u16, reason: String) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}
