//! Counts HTTP requests by the template of their route, never by their path: the number of series is bounded.
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Counter, Histogram, counter, histogram};

use crate::domain::NotificationId;
use crate::spans::Began;

/// The label of requests that no route matches.
const UNMATCHED: &str = "unmatched";

/// Routes that are asked all the time by programs that watch the service: without spans.
const UNTRACED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The two series of one kind of request.
struct Series {
    requests: Counter,
    duration: Histogram,
}

impl Series {
    fn of(route: &str, method: &'static str, status: StatusCode) -> Self {
        let status = status.as_str().to_owned();
        Self {
            requests: counter!("acervo_http_requests_total",
                "route" => route.to_owned(), "method" => method, "status" => status.clone()),
            duration: histogram!("acervo_http_request_duration_seconds",
                "route" => route.to_owned(), "method" => method, "status" => status),
        }
    }

    fn add(&self, took: Duration) {
        self.requests.increment(1);
        self.duration.record(took);
    }
}

/// The routes of the webhook and the usual statuses of its responses.
const ROUTES: [&str; 2] = ["/webhook", "/webhook/{source}"];
const STATUSES: [u16; 10] = [202, 400, 401, 404, 413, 415, 422, 429, 500, 503];

/// Series of `POST /webhook`, found without a lock, a hash or an allocation.
static WEBHOOK: [[OnceLock<Series>; STATUSES.len()]; ROUTES.len()] =
    [const { [const { OnceLock::new() }; STATUSES.len()] }; ROUTES.len()];

/// Counts a request and measures the time until the head of its response.
pub(in crate::http) async fn count(request: Request, next: Next) -> Response {
    let (began, span) = (Instant::now(), Began::now());
    let method = label_of(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = matched.as_ref().map_or(UNMATCHED, |path| path.as_str().trim_end_matches('/'));
    add(route, method, response.status(), began.elapsed());
    if !UNTRACED.contains(&route) {
        let brought = response.extensions().get::<NotificationId>().copied();
        span.end_request(method, route, response.status().as_u16(), brought);
    }
    response
}

fn add(route: &str, method: &'static str, status: StatusCode, took: Duration) {
    // Series that are made before the exporter is installed would stay without effect.
    if method == "POST"
        && super::EXPORTER.get().is_some()
        && let Some(of_route) = ROUTES.iter().position(|known| *known == route)
        && let Some(of_status) = STATUSES.iter().position(|known| *known == status.as_u16())
    {
        return WEBHOOK[of_route][of_status].get_or_init(|| Series::of(route, method, status)).add(took);
    }
    Series::of(route, method, status).add(took);
}

/// Clients may send any method.
fn label_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
