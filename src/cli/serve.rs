//! `acervo serve`: receiver, workers and API in one process.
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Role};
use crate::config::Settings;
use crate::domain::Clock;
use crate::http;
use crate::jobs::Jobs;

pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    settings.exposure()?;
    http::install_metrics()?;
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen: {address} cannot be had"))?;
    let app = App::open(settings, Role::Server, Clock::default()).await?;
    let jobs = Jobs::start(&app).await?;
    let stop = stop_signal()?;
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving");
    http::serve(listener, &app, stop).await?;
    jobs.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Done when the process is asked to stop; the second time it goes at once.
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
