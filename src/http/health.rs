//! Health checks and metrics.
use axum::extract::State;
use axum::http::StatusCode;
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

/// Whether notifications can be accepted. No key is needed, so few checks run at once, and those that wait give up their slot
/// when another connection needs it.
pub(super) async fn ready(State(http): State<Http>, exchange: Option<Extension<Exchange>>) -> Response {
    let _permit = {
        let _yielding = exchange.map(|Extension(exchange)| exchange.yielding());
        http.health_checks.acquire().await
    };
    match http.queries.not_ready().await {
        None => match tokio::try_join!(http.queries.unresolved(), http.queries.broken_count()) {
            Ok((unresolved, broken)) => {
                Json(json!({ "ready": true, "unresolved": unresolved, "broken": broken })).into_response()
            }
            Err(e) => Problem::from(e).into_response(),
        },
        Some(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

/// About the bytes that the metrics take.
const METRICS_BYTES: u64 = 64 << 10;

pub(super) async fn metrics(State(http): State<Http>) -> Result<Response, Problem> {
    // The counts read much, so a scrape is admitted like any query.
    let _permit = http.queries.admission().admit("metrics", METRICS_BYTES).await?;
    let status = http.queries.status().await?;
    Ok(([("content-type", "text/plain; version=0.0.4")], telemetry::render(&status)).into_response())
}
