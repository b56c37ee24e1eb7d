//! http: routes, middleware, errors as status codes; mounts `receive`, `graphql`, `export`, `web` and the files.
mod access_log;
mod auth;
mod bodies;
mod conditional;
mod control;
mod diff;
mod downloads;
mod export;
mod feed;
mod files;
mod graphql;
mod health;
mod language;
mod live;
mod members;
mod negotiate;
mod operation;
mod origin;
mod page;
mod parameter;
mod problem;
mod query_runtime;
mod repeated;
mod server;
mod session;
mod socket;
mod subscriptions;
mod telemetry;
mod throttle;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::routing::{any, get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::app::{App, Derived};
use crate::jobs::retention::SharedPlans;
use crate::query::Queries;
use crate::receive::Receiver;
use problem::Problem;

pub use server::{serve, serve_all};
pub use telemetry::install as install_metrics;

/// Allows pages of the listed origins; a browser sends its preflight request without a key.
fn cors(app: &App) -> CorsLayer {
    let app = app.clone();
    let is_listed = move |origin: &HeaderValue, _: &Parts| {
        app.access.settings().api.cors_origins.iter().any(|listed| origin.as_bytes() == listed.as_bytes())
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_listed))
        .allow_methods([Method::GET, Method::POST, Method::HEAD])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            feed::ACERVO_FEED,
            feed::PREFER,
        ])
        .expose_headers([
            feed::ACERVO_FEED,
            header::ETAG,
            header::LAST_MODIFIED,
            header::CONTENT_DISPOSITION,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
        ])
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
    snapshots: export::Snapshots,
    names: Derived<origin::Names>,
    throttle: throttle::Throttle,
    /// Requests for anything but the webhook.
    requests: Arc<Semaphore>,
    sockets: Arc<Semaphore>,
    /// Plans of retention that are being made for the page.
    plans: SharedPlans,
    /// What the forms of callers without a session are signed with.
    form_secret: [u8; 32],
    health_checks: Semaphore,
    webhook_memory: bodies::BodyMemory,
    api_memory: bodies::BodyMemory,
}

impl Http {
    fn new(app: &App, shares: server::Shares) -> Self {
        let queries = Queries::new(app.clone());
        // Requests that wait leave half of the slots to others.
        queries.admission().limit_polls(shares.requests / 2);
        Self(Arc::new(Shared {
            app: app.clone(),
            receiver: Receiver::new(app.clone()),
            schema: crate::graphql::schema(app, &queries),
            queries,
            responses: repeated::Responses::default(),
            downloads: Arc::new(downloads::Downloads::new(&app.settings.downloads)),
            snapshots: export::Snapshots::default(),
            names: Derived::new(app, origin::Names::new),
            throttle: throttle::Throttle::default(),
            requests: Arc::new(Semaphore::new(shares.requests)),
            sockets: Arc::new(Semaphore::new(shares.sockets)),
            plans: SharedPlans::default(),
            form_secret: rand::random(),
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
    let guarded = axum::middleware::from_fn_with_state(http.clone(), auth::require_caller);
    let keyed = axum::middleware::from_fn_with_state(http.clone(), auth::require_key);
    let named = axum::middleware::from_fn_with_state(http.clone(), origin::require_own_host);
    let on_query_runtime = axum::middleware::from_fn_with_state(http.clone(), query_runtime::respond_on_query_runtime);
    let negotiated = axum::middleware::from_fn(negotiate::decide_coding);
    let following = axum::middleware::from_fn_with_state(http.clone(), feed::follow);
    // The outermost layer is the last one: requests come from the bottom.
    let graphql = any(graphql::handle)
        .layer(CompressionLayer::new())
        .layer(on_query_runtime.clone())
        .layer(axum::middleware::from_fn_with_state(http.clone(), repeated::answer_repeated))
        .layer(negotiated.clone())
        .layer(following.clone());
    let export = get(export::export)
        .layer(CompressionLayer::new().compress_when(has_text))
        .layer(negotiated)
        .layer(on_query_runtime.clone())
        .layer(following);
    let diff = get(diff::get_diff)
        .layer(CompressionLayer::new().compress_when(has_text))
        .layer(axum::middleware::from_fn(negotiate::decide_coding))
        .layer(on_query_runtime.clone());
    let downloads = Router::new()
        .route("/export/{file}", export)
        .route("/files/{revision}", get(files::get_file))
        .route("/files/{revision}/diff/{other}", diff)
        .route("/files/{revision}/members", get(members::list_members))
        .route("/files/{revision}/members/{*path}", get(members::get_member))
        .layer(axum::middleware::from_fn_with_state(http.clone(), page::problems_for_browsers));
    let api = Router::new().route("/graphql", graphql).merge(downloads).layer(guarded).layer(cors(&http.app));
    let metrics = Router::new().route("/metrics", get(health::metrics)).route_layer(on_query_runtime.clone());
    let metrics = if settings.metrics_open { metrics.layer(named) } else { metrics.layer(keyed) };
    let routes = webhook_routes()
        .route("/control/{command}", post(control::command))
        .merge(session::routes(http))
        .route("/graphql/ws", get(subscriptions::subscribe).layer(on_query_runtime))
        .merge(api)
        .merge(page::routes(http))
        .merge(metrics)
        .fallback(page::nothing_here);
    finished(routes, http)
}

/// The routes of a listener for the webhook alone.
fn webhook_router(http: &Http) -> Router {
    let nothing_here = || async { Problem::new(StatusCode::NOT_FOUND, language::say!("problem-no-page")) };
    finished(webhook_routes().fallback(nothing_here), http)
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
        .layer(axum::middleware::from_fn_with_state(http.clone(), origin::check))
        .layer(axum::middleware::from_fn_with_state(http.clone(), access_log::log))
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .layer(axum::middleware::from_fn_with_state(http.clone(), server::close_when_stopping))
        .layer(axum::middleware::from_fn(telemetry::count_request))
        .layer(axum::middleware::from_fn(language::prefer))
        .with_state(http.clone())
}
