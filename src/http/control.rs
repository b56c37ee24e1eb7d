//! `POST /control/…`: commands on this machine to the running service. They prove with a token from the data folder that they may
//! read it; to anyone else there is nothing at these addresses.
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::{Http, Problem};

pub(super) async fn command(State(http): State<Http>, Path(command): Path<String>, headers: HeaderMap) -> Response {
    let sent = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
    let expected = format!("Bearer {}", http.app.access.control_token);
    let is_known: bool = sent.ct_eq(expected.as_bytes()).into();
    if !is_known {
        return nothing_here();
    }
    match command.as_str() {
        "reload" => match http.app.reload().await {
            Ok(done) => {
                let (applied, restart) = (&done.applied, &done.needs_restart);
                Json(json!({ "applied": applied, "needsRestart": restart, "warnings": done.warnings })).into_response()
            }
            Err(e) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{e:#}")).into_response(),
        },
        "revoked" => match http.app.read_revoked_keys().await {
            Ok(()) => Json(json!({})).into_response(),
            Err(e) => Problem::internal(&e).into_response(),
        },
        "uses" => match http.app.write_key_uses(true).await {
            Ok(()) => Json(json!({})).into_response(),
            Err(e) => Problem::internal(&e).into_response(),
        },
        _ => nothing_here(),
    }
}

fn nothing_here() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address").into_response()
}
