//! Health checks and metrics.
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::server::Exchange;
use super::{Http, Problem, telemetry};
use crate::domain::format_instant;
use crate::jobs;
use crate::query::Replica;

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
        None => match tokio::try_join!(http.queries.unresolved(), http.queries.broken_count(), http.queries.replicas())
        {
            Ok((unresolved, broken, replicas)) => {
                let paused = jobs::paused_hosts(&http.app).into_iter();
                let paused = paused.map(|(host, until)| json!({ "host": host, "until": format_instant(until) }));
                let paused: Vec<_> = paused.collect();
                let mut state = json!({ "ready": true, "unresolved": unresolved, "broken": broken });
                let replica = |replica: &Replica| {
                    let Replica { name, lag, is_gone, leads, .. } = replica;
                    json!({ "name": name, "lag": lag, "gone": is_gone, "leads": leads })
                };
                state["replicas"] = replicas.iter().map(replica).collect();
                if !paused.is_empty() {
                    state["pausedHosts"] = paused.into();
                }
                Json(state).into_response()
            }
            Err(e) => Problem::from(e).into_response(),
        },
        Some(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

/// About the bytes that the metrics take.
const METRICS_BYTES: u64 = 256 << 10;

/// How long counting what is late may take, less than the time-out of a scrape.
const COVERAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for everything that the database counts.
const STATUS_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) async fn metrics(State(http): State<Http>) -> Result<Response, Problem> {
    // The counts read much, so a scrape is admitted like any query.
    let _permit = http.queries.admission().admit("metrics", METRICS_BYTES).await?;
    let status = match tokio::time::timeout(STATUS_TIMEOUT, http.queries.status()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Ok(without_database(&error)),
        Err(_) => return Ok(without_database(&"no answer in time")),
    };
    // An index that is stuck, or busy with other queries, must not take the other metrics with it.
    let coverage = match tokio::time::timeout(COVERAGE_TIMEOUT, http.queries.coverage_by_process()).await {
        Ok(Ok(coverage)) => Some(coverage),
        Ok(Err(error)) => {
            tracing::warn!(%error, "late and missing periods cannot be counted for the metrics");
            None
        }
        Err(_) => None,
    };
    let paused_hosts = jobs::paused_hosts(&http.app).len();
    let text = telemetry::render(&status, coverage.as_deref(), paused_hosts, http.app.clock.now());
    Ok(exposed(text))
}

/// What this process counts is worth most when the database is away.
fn without_database(error: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%error, "the database does not answer; the metrics have only what this process counts");
    exposed(telemetry::render_without_database())
}

fn exposed(text: String) -> Response {
    ([("content-type", "text/plain; version=0.0.4")], text).into_response()
}
