//! A client of `graphql-transport-ws`, the protocol of GraphQL over WebSockets.
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{KEY, PATIENCE};

/// One connection to `/graphql/ws`.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens a connection with these headers, or gives the status that the service refused it with.
    pub async fn open_with(url: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address = url.trim_start_matches("http://");
        let mut request = format!("ws://{address}/graphql/ws").into_client_request().expect("a request");
        for (name, value) in [("sec-websocket-protocol", "graphql-transport-ws")].iter().chain(headers) {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            request.headers_mut().insert(name, value.parse().expect("a header"));
        }
        let stream = TcpStream::connect(address).await.expect("a connection");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(e) => panic!("{e}"),
        }
    }

    /// Opens a connection without `connection_init`.
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, &[]).await.expect("a socket")
    }

    /// Opens a connection and waits until its key is acknowledged.
    pub async fn connect(url: &str) -> Self {
        let mut socket = Self::open(url).await;
        socket.introduce(json!({ "authorization": KEY })).await;
        socket
    }

    /// Sends `connection_init`, which must be acknowledged.
    pub async fn introduce(&mut self, payload: Value) {
        self.init(payload).await;
        assert_eq!(self.next().await["type"], "connection_ack");
    }

    /// Sends `connection_init`.
    pub async fn init(&mut self, payload: Value) {
        self.send(json!({ "type": "connection_init", "payload": payload })).await;
    }

    /// Starts an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// Ends an operation.
    pub async fn complete(&mut self, id: &str) {
        self.send(json!({ "id": id, "type": "complete" })).await;
    }

    pub async fn send(&mut self, message: Value) {
        self.send_text(message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.expect("a socket");
    }

    /// The next message of an operation, which must come.
    pub async fn next(&mut self) -> Value {
        let text = async {
            loop {
                if let Message::Text(text) = self.frame().await {
                    return text;
                }
            }
        };
        // The service's pings are frames too.
        let text = tokio::time::timeout(PATIENCE, text).await.expect("a message in time");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Waits until the service closes the connection and gives its code; what comes before is left out.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.frame().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Sends a message that the service refuses: it closes the connection without a response.
    pub async fn is_cut_off_by(&mut self, message: Value) {
        // It may end before the message is sent.
        let _ = self.0.send(Message::text(message.to_string())).await;
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("an end in time");
        assert!(!matches!(next, Some(Ok(_))), "{next:?}");
    }

    /// Whatever comes next, such as a ping.
    pub async fn frame(&mut self) -> Message {
        let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a message in time");
        frame.expect("a message").expect("a socket")
    }
}
