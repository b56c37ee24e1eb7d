//! http: routes, middleware, errors as status codes; mounts `receive`, `graphql`, `export` and the files.
mod auth;
mod bodies;
mod conditional;
mod downloads;
mod export;
mod files;
mod graphql;
mod health;
mod members;
mod negotiate;
mod origin;
mod problem;
mod query_runtime;
mod repeated;
mod server;
mod socket;
mod subscriptions;
mod telemetry;
mod throttle;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::routing::{any, get};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;

use crate::app::App;
use crate::config;
use crate::query::Queries;
use crate::receive::Receiver;
use problem::Problem;

pub use server::{serve, serve_all};
pub use telemetry::install as install_metrics;

/// Allows pages of the listed origins; a browser sends its preflight request without a key.
fn cors(api: &config::Api) -> CorsLayer {
    let origins: Vec<HeaderValue> = api.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return CorsLayer::new();
    }
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::HEAD])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .expose_headers([header::ETAG, header::LAST_MODIFIED, header::CONTENT_DISPOSITION, header::CONTENT_RANGE])
        .max_age(Duration::from_secs(3600))
}

/// Whether compression helps: Parquet is compressed already.
fn is_text(media: &str) -> bool {
    media.starts_with("text/") || media.contains("json")
}

fn has_text(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_text)
}

/// What the handlers share. Every layer of every request clones it.
#[derive(Clone)]
struct Http(Arc<Shared>);

impl Deref for Http {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

struct Shared {
    app: App,
    receiver: Receiver,
    queries: Queries,
    schema: crate::graphql::CheckedSchema,
    responses: repeated::Responses,
    downloads: Arc<downloads::Downloads>,
    names: origin::Names,
    throttle: throttle::Throttle,
    /// Requests for anything but the webhook.
    requests: Arc<Semaphore>,
    sockets: Arc<Semaphore>,
    health_checks: Semaphore,
    webhook_memory: bodies::BodyMemory,
    api_memory: bodies::BodyMemory,
}

impl Http {
    fn new(app: &App, shares: server::Shares) -> Self {
        let queries = Queries::new(app.clone());
        Self(Arc::new(Shared {
            app: app.clone(),
            receiver: Receiver::new(app.clone()),
            schema: crate::graphql::schema(app, &queries),
            queries,
            responses: repeated::Responses::default(),
            downloads: Arc::new(downloads::Downloads::new(&app.settings.downloads)),
            names: origin::Names::new(&app.settings),
            throttle: throttle::Throttle::default(),
            requests: Arc::new(Semaphore::new(shares.requests)),
            sockets: Arc::new(Semaphore::new(shares.sockets)),
            health_checks: Semaphore::new(health::CHECKS_MAX),
            webhook_memory: bodies::BodyMemory::default(),
            api_memory: bodies::BodyMemory::default(),
        }))
    }
}

/// All routes over an archive.
pub fn router(app: &App) -> Router {
    router_of(&Http::new(app, server::Shares::default()))
}

fn router_of(http: &Http) -> Router {
    let settings = &http.app.settings;
    let guarded = axum::middleware::from_fn_with_state(http.clone(), auth::require_key);
    let on_query_runtime = axum::middleware::from_fn_with_state(http.clone(), query_runtime::respond_on_query_runtime);
    let negotiated = axum::middleware::from_fn(negotiate::decide_coding);
    // The outermost layer is the last one: requests come from the bottom.
    let graphql = any(graphql::handle)
        .layer(CompressionLayer::new())
        .layer(on_query_runtime.clone())
        .layer(axum::middleware::from_fn_with_state(http.clone(), repeated::answer_repeated))
        .layer(negotiated.clone());
    let export = get(export::export)
        .layer(CompressionLayer::new().compress_when(has_text))
        .layer(negotiated)
        .layer(on_query_runtime.clone());
    let api = Router::new()
        .route("/graphql", graphql)
        .route("/export/{file}", export)
        .route("/files/{revision}", get(files::get_file))
        .route("/files/{revision}/members", get(members::list_members))
        .route("/files/{revision}/members/{*path}", get(members::get_member))
        .layer(guarded.clone())
        .layer(cors(&settings.api));
    let metrics = Router::new().route("/metrics", get(health::metrics)).route_layer(on_query_runtime.clone());
    let metrics = if settings.metrics_open { metrics } else { metrics.layer(guarded) };
    let routes = webhook_routes()
        .route("/graphql/ws", get(subscriptions::subscribe).layer(on_query_runtime))
        .merge(api)
        .merge(metrics);
    finished(routes, http)
}

/// The routes of a listener for the webhook alone.
fn webhook_router(http: &Http) -> Router {
    finished(webhook_routes(), http)
}

fn webhook_routes() -> Router<Http> {
    Router::new()
        .route("/webhook", any(webhook::default_source))
        .route("/webhook/", any(webhook::default_source))
        .route("/webhook/{source}", any(webhook::named_source))
        .route("/webhook/{source}/", any(webhook::named_source))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}

fn finished(routes: Router<Http>, http: &Http) -> Router {
    routes
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
        .layer(axum::middleware::from_fn_with_state(http.clone(), origin::check))
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .layer(axum::middleware::from_fn_with_state(http.clone(), server::close_when_stopping))
        .with_state(http.clone())
}
