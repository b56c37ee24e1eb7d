//! The messages of the two WebSocket protocols for GraphQL: `graphql-transport-ws`, and its predecessor `graphql-ws`.
use std::str::FromStr;

use async_graphql::{Request, Response, ServerError};
use axum::extract::ws::{CloseFrame, Message};
use futures_util::stream::{BoxStream, StreamExt, once};
use serde_json::{Map, Value, json};

use crate::graphql::{is_request_error, request_of};

/// As `Sec-WebSocket-Protocol` names them, the preferred one first.
pub(super) const PROTOCOLS: [&str; 2] = ["graphql-transport-ws", "graphql-ws"];

/// The codes that `graphql-transport-ws` closes a socket with.
pub(super) const BAD_REQUEST: u16 = 4400;
pub(super) const UNAUTHORIZED: u16 = 4401;
pub(super) const FORBIDDEN: u16 = 4403;
pub(super) const INIT_TIMEOUT: u16 = 4408;
pub(super) const DUPLICATE_ID: u16 = 4409;
pub(super) const TOO_MANY_INITS: u16 = 4429;

/// WebSocket's own code for "try again later".
pub(super) const BUSY: u16 = 1013;

/// The payload of a close frame has 125 bytes, two of which are the code.
const REASON_BYTES_MAX: usize = 123;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Transport,
    /// `graphql-ws`, which Apollo's `subscriptions-transport-ws` speaks.
    Legacy,
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name.to_ascii_lowercase().as_str() {
            "graphql-transport-ws" => Ok(Self::Transport),
            "graphql-ws" => Ok(Self::Legacy),
            _ => Err(()),
        }
    }
}

/// A message of the client.
pub(super) enum ClientMessage {
    Init { payload: Value },
    Subscribe { id: String, request: Box<Request> },
    Complete { id: String },
    Ping { payload: Option<Value> },
    Pong,
    Terminate,
}

/// What an operation brings.
pub(super) enum Event {
    Next(Response),
    /// The operation was not executed.
    Refused(Vec<ServerError>),
    End,
}

/// The responses of an operation as events; the last one is [`Event::End`].
pub(super) fn events(responses: BoxStream<'static, Response>) -> BoxStream<'static, Event> {
    let events = responses.enumerate().map(|(number, response)| match number == 0 && is_request_error(&response) {
        true => Event::Refused(response.errors),
        false => Event::Next(response),
    });
    events.chain(once(async { Event::End })).boxed()
}

impl Protocol {
    /// Reads a message; the error is the reason to close the socket with.
    pub fn read(self, bytes: &[u8]) -> Result<ClientMessage, String> {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(bytes) else {
            return Err("the message is not a JSON object".to_owned());
        };
        let Some(Value::String(kind)) = message.remove("type") else {
            return Err("the message has no `type`".to_owned());
        };
        let payload = message.remove("payload").filter(|payload| !payload.is_null());
        match (self, kind.as_str()) {
            (_, "connection_init") => Ok(ClientMessage::Init { payload: payload.unwrap_or_default() }),
            (_, "subscribe") | (Self::Legacy, "start") => {
                let id = id_of(&mut message)?;
                let Some(Value::Object(fields)) = payload else {
                    return Err(format!("the `payload` of `{kind}` is not a JSON object"));
                };
                let request = request_of(fields).map(Box::new)?;
                Ok(ClientMessage::Subscribe { id, request })
            }
            (_, "complete") | (Self::Legacy, "stop") => Ok(ClientMessage::Complete { id: id_of(&mut message)? }),
            (_, "ping") => Ok(ClientMessage::Ping { payload }),
            (_, "pong") => Ok(ClientMessage::Pong),
            (Self::Legacy, "connection_terminate") => Ok(ClientMessage::Terminate),
            _ => Err(format!("`{kind}` is not a type of message of this protocol")),
        }
    }

    /// The message for an event. After [`Event::Refused`] and [`Event::End`] the operation is over.
    pub fn write(self, id: &str, event: Event) -> Message {
        match (self, event) {
            (Self::Transport, Event::Next(response)) => text(&json!({ "id": id, "type": "next", "payload": response })),
            (Self::Legacy, Event::Next(response)) => text(&json!({ "id": id, "type": "data", "payload": response })),
            (Self::Transport, Event::Refused(errors)) => text(&json!({ "id": id, "type": "error", "payload": errors })),
            // Its clients take an `error` for a failure of the transport; errors of the request come as data.
            (Self::Legacy, Event::Refused(errors)) => {
                text(&json!({ "id": id, "type": "data", "payload": { "errors": errors } }))
            }
            (_, Event::End) => text(&json!({ "id": id, "type": "complete" })),
        }
    }

    /// Whether the protocol confirms that the client ended an operation. In the newer one the client may use the id again at
    /// once, and a late confirmation would end the new operation.
    pub fn confirms_complete(self) -> bool {
        self == Self::Legacy
    }
}

fn id_of(message: &mut Map<String, Value>) -> Result<String, String> {
    match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        _ => Err("the message has no `id`".to_owned()),
    }
}

/// A message as text.
pub(super) fn text(message: &Value) -> Message {
    Message::Text(message.to_string().into())
}

/// A close frame, its reason cut to what fits.
pub(super) fn close(code: u16, reason: &str) -> Message {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX.min(reason.len()));
    Message::Close(Some(CloseFrame { code, reason: reason[..end].into() }))
}

#[cfg(test)]
mod tests {
    use super::{Protocol, close};
    use axum::extract::ws::Message;

    #[test]
    fn messages_of_another_protocol_are_refused() {
        for (protocol, message, is_known) in [
            (Protocol::Transport, r#"{"type":"connection_init"}"#, true),
            (Protocol::Transport, r#"{"type":"subscribe","id":"a","payload":{"query":"{a}"}}"#, true),
            (Protocol::Transport, r#"{"type":"start","id":"a","payload":{"query":"{a}"}}"#, false),
            (Protocol::Transport, r#"{"type":"stop","id":"a"}"#, false),
            (Protocol::Transport, r#"{"type":"connection_terminate"}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","payload":{"query":"{a}"}}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","id":"a"}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","id":"a","payload":{}}"#, false),
            (Protocol::Transport, r#"{"type":"subscribe","id":"a","payload":{"query":"{a}","variables":[]}}"#, false),
            (Protocol::Transport, r#"{"type":"complete"}"#, false),
            (Protocol::Transport, r#"{"type":"ping","payload":null}"#, true),
            (Protocol::Transport, r#"[]"#, false),
            (Protocol::Transport, r#"{}"#, false),
            (Protocol::Legacy, r#"{"type":"start","id":"a","payload":{"query":"{a}"}}"#, true),
            (Protocol::Legacy, r#"{"type":"stop","id":"a"}"#, true),
            (Protocol::Legacy, r#"{"type":"connection_terminate"}"#, true),
        ] {
            assert_eq!(protocol.read(message.as_bytes()).is_ok(), is_known, "{protocol:?} {message}");
        }
    }

    #[test]
    fn a_reason_fits_into_the_frame() {
        let Message::Close(Some(frame)) = close(4409, &"ç".repeat(100)) else { panic!("no close frame") };
        assert_eq!(frame.reason.len(), 122);
    }
}
