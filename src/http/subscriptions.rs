//! Subscriptions over WebSocket, in the graphql-ws protocol and its forerunner.
use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql::{Data, Error, ErrorExtensions};
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Http;
use super::auth::{self, Caller};
use crate::config::Api;
use crate::graphql::code;

/// Longer messages are no questions.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Browsers cannot send headers here: a key may also come as `authorization` or `key` in the first message.
pub(super) async fn subscribe(
    State(http): State<Http>,
    protocol: GraphQLProtocol,
    upgrade: WebSocketUpgrade,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let shown = auth::shown_key(&method, &uri, &headers);
    let api = http.app.settings.api.clone();
    let known = auth::caller(&api, shown.as_deref());
    if shown.is_some() && known.is_none() {
        return auth::unknown(true);
    }
    let upgrade = upgrade.protocols(ALL_WEBSOCKET_PROTOCOLS).max_message_size(MESSAGE_BYTES_MAX);
    let talk = move |socket| async move {
        let first = move |payload: Value| async move { admit(&api, known, &payload) };
        GraphQLWebSocket::new(socket, http.schema.clone(), protocol).on_connection_init(first).serve().await;
    };
    upgrade.on_upgrade(talk).into_response()
}

fn admit(api: &Api, known: Option<Caller>, payload: &Value) -> Result<Data, Error> {
    let find = |wanted: &str| {
        let found = payload.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str()).map(|text| auth::without_scheme(text).to_owned())
    };
    let caller = known.or_else(|| auth::caller(api, find("authorization").or_else(|| find("key")).as_deref()));
    let refused = || {
        let told = "a key is needed: `authorization` in the payload of connection_init";
        Error::new(told).extend_with(|_, extensions| extensions.set("code", code::UNAUTHENTICATED))
    };
    let mut data = Data::default();
    data.insert(caller.ok_or_else(refused)?.asker());
    Ok(data)
}
