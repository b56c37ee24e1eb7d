//! `acervo serve`: receiver, workers and API in one process.
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Role};
use crate::config::Settings;
use crate::domain::Clock;
use crate::http;
use crate::jobs::Jobs;

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
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
    let app = App::open(settings, Role::Server, Clock::default()).await?;
    let jobs = Jobs::start(&app).await?;
    let stop = CancellationToken::new();
    let (signal, asked) = (stop_signal()?, stop.clone());
    tokio::spawn(async move {
        signal.await;
        asked.cancel();
    });
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving");
    if let Some(webhook) = &webhook {
        tracing::info!(address = %webhook.local_addr()?, "serving the webhook alone");
    }
    // Fetches are returned to the queue at once, while requests under way finish.
    let (served, ()) = tokio::join!(http::serve_all(listener, webhook, &app, stop.clone().cancelled_owned()), async {
        stop.cancelled().await;
        jobs.stop().await;
    });
    served?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Completes when the process is asked to stop; a second signal ends the process at once.
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
