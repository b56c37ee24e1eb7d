//! For those who watch the service.
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::server::Exchange;
use super::{Http, Problem, telemetry};

/// Health checks at once.
pub(super) const CHECKS_MAX: usize = 8;

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Answers whether notifications can be taken. Anybody may ask, so few are answered at once and those that wait for their
/// turn hold no place that others need.
pub(super) async fn ready(State(http): State<Http>, exchange: Option<Extension<Exchange>>) -> Response {
    let _turn = {
        let _yielding = exchange.map(|Extension(exchange)| exchange.yielding());
        http.health_checks.acquire().await
    };
    match http.queries.not_ready().await {
        None => Json(json!({ "ready": true })).into_response(),
        Some(reason) => Problem::new(503, reason).into_response(),
    }
}

/// About what the metrics take.
const METRICS_BYTES: u64 = 64 << 10;

pub(super) async fn metrics(State(http): State<Http>) -> Result<Response, Problem> {
    // It counts all that there is; scrapers wait their turn like others who ask.
    let _room = http.queries.admission().admit("metrics", METRICS_BYTES).await?;
    let status = http.queries.status().await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], telemetry::render(&status)).into_response())
}
