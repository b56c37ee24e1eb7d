//! `acervo serve`: receiver, workers and API in one process.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::systemd;
use crate::app::{App, Reloaded, Role};
use crate::config::{ConfigError, Settings};
use crate::domain::Clock;
use crate::http;
use crate::jobs::Jobs;
use crate::spans;

pub(super) async fn run(
    settings: Settings,
    load: impl Fn() -> Result<Settings, ConfigError> + Send + Sync + 'static,
) -> anyhow::Result<ExitCode> {
    settings.exposure()?;
    http::install_metrics()?;
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen: cannot listen on {address}"))?;
    let webhook = match settings.webhook_listen {
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.with_context(|| format!("webhook_listen: cannot listen on {address}"))?)
        }
        None => None,
    };
    for warning in settings.exposure_warnings() {
        tracing::warn!("{warning}");
    }
    let exporter = settings.otlp_endpoint.as_ref().map(|collector| spans::start(collector, names_the_service()));
    let exporter = exporter.transpose()?;
    let app = App::open(settings, Role::Server, Clock::default()).await?;
    app.access.set_loader(load);
    let stop_timeout = app.settings.stop_delay + STOP_TIMEOUT;
    let jobs = Jobs::start(&app).await?;
    let stop = app.stop.clone();
    cancel_on_signal(stop.clone())?;
    reload_on_signal(app.clone())?;
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving");
    if let Some(webhook) = &webhook {
        tracing::info!(address = %webhook.local_addr()?, "serving only the webhook");
    }
    systemd::ready();
    systemd::feed_watchdog();
    let serving = async {
        let served = http::serve_all(listener, webhook, &app, stop.clone().cancelled_owned()).await;
        // Without a listener there is nothing left to do.
        stop.cancel();
        served
    };
    // Fetches are returned to the queue at once, while requests in progress finish.
    let stopping = async {
        stop.cancelled().await;
        systemd::stopping();
        jobs.stop().await;
    };
    let work = async {
        tokio::join!(serving, stopping).0?;
        app.close().await?;
        if let Some(exporter) = exporter {
            exporter.stop().await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        served = work => {
            served?;
            tracing::info!("stopped");
        }
        () = stop_deadline(&stop, stop_timeout) => tracing::warn!(
            seconds = stop_timeout.as_secs(),
            "stopping took too long; uncommitted work is lost and is done again after the next start"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether variables of OpenTelemetry name this service.
fn names_the_service() -> bool {
    let has = |name: &str, part: &str| super::environment(name).is_some_and(|value| value.contains(part));
    has("OTEL_SERVICE_NAME", "") || has("OTEL_RESOURCE_ATTRIBUTES", "service.name=")
}

/// How long stopping may take after `stop_delay`, so that the process is gone within 25 s unless that is set. `deploy/acervo.service` gives
/// it more.
const STOP_TIMEOUT: Duration = Duration::from_secs(24);

/// Completes when stopping has taken too long.
async fn stop_deadline(stop: &CancellationToken, timeout: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(timeout).await;
}

/// Cancels `stop` when the process is asked to stop.
fn cancel_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let signal = stop_signal()?;
    tokio::spawn(async move {
        signal.await;
        stop.cancel();
    });
    Ok(())
}

/// Reads the configuration again at each SIGHUP. The log says what came of it.
fn reload_on_signal(app: App) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            log_reload(app.reload().await);
        }
    });
    Ok(())
}

fn log_reload(outcome: anyhow::Result<Reloaded>) {
    match outcome {
        Ok(done) => {
            for warning in &done.warnings {
                tracing::warn!("the configuration: {warning}");
            }
            if !done.needs_restart.is_empty() {
                tracing::warn!(keys = done.needs_restart.join(", "), "these settings changed and need a restart");
            }
            tracing::info!(applied = done.applied.join(", "), "the configuration was read again");
        }
        Err(e) => {
            tracing::error!(error = format!("{e:#}"), "the configuration cannot be used; the service keeps its own")
        }
    }
}

/// Stops a command between two batches when the process is asked to stop, and ends the process if that takes too long.
pub(super) fn stop_on_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    cancel_on_signal(stop.clone())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        stop_deadline(&stop, STOP_TIMEOUT).await;
        tracing::warn!("stopping took too long; uncommitted work is lost");
        std::process::exit(1);
    });
    Ok(())
}

/// Completes at the first signal to stop. A second one ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; a second signal stops at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}
