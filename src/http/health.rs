//! For those who watch the service.
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Http, Problem, telemetry};

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(http): State<Http>) -> Response {
    match http.queries.not_ready().await {
        None => Json(json!({ "ready": true })).into_response(),
        Some(reason) => Problem::new(503, reason).into_response(),
    }
}

pub(super) async fn metrics(State(http): State<Http>) -> Result<Response, Problem> {
    let status = http.queries.status().await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], telemetry::render(&status)).into_response())
}
