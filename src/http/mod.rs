//! http: routes, middleware, errors as statuses; mounts `receive`, `graphql` and the files.
mod auth;
mod files;
mod graphql;
mod health;
mod members;
mod problem;
mod telemetry;
mod webhook;

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::query::Queries;
use crate::receive::Receiver;
use problem::Problem;

pub use telemetry::install as install_metrics;

/// How long requests may take to end once the service is asked to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// What the handlers share.
#[derive(Clone)]
struct Http {
    app: App,
    receiver: Receiver,
    queries: Queries,
    schema: crate::graphql::Schema,
}

/// All routes over an archive.
pub fn router(app: &App) -> Router {
    let http = Http {
        app: app.clone(),
        receiver: Receiver::new(app.clone()),
        queries: Queries::new(app.clone()),
        schema: crate::graphql::schema(app),
    };
    let guarded = axum::middleware::from_fn_with_state(http.clone(), auth::require_key);
    let api = Router::new()
        .route("/graphql", any(graphql::answer).layer(CompressionLayer::new()))
        .route("/files/{revision}", get(files::get_file))
        .route("/files/{revision}/members", get(members::list_members))
        .route("/files/{revision}/members/{*path}", get(members::get_member))
        .layer(guarded.clone());
    let metrics = Router::new().route("/metrics", get(health::metrics));
    let metrics = if app.settings.metrics_open { metrics } else { metrics.layer(guarded) };
    Router::new()
        .route("/webhook", any(webhook::default_source))
        .route("/webhook/{source}", any(webhook::named_source))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(api)
        .merge(metrics)
        .fallback(|| async { Problem::new(404, "there is nothing at this address") })
        .layer(CatchPanicLayer::custom(problem::of_panic))
        .with_state(http)
}

/// Serves until `stop` is done, then lets what is under way end.
pub async fn serve(
    listener: TcpListener,
    app: &App,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let flag = app.stopping.clone();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        stop.await;
        flag.store(true, Ordering::Release);
        let _ = stopping.send(());
    });
    tokio::select! {
        ended = server.into_future() => ended,
        _ = async { let _ = stopped.await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("requests that did not end in {} s are cut off", DRAIN.as_secs());
            Ok(())
        }
    }
}
