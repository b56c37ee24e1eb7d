//! What systemd is told of the service (`Type=notify`, `WatchdogSec=`). Without systemd nothing happens.
use std::time::Duration;

use sd_notify::NotifyState;

/// The service accepts connections.
pub(super) fn ready() {
    send(NotifyState::Ready);
}

pub(super) fn stopping() {
    send(NotifyState::Stopping);
}

/// Says regularly that the threads which answer requests still run; systemd restarts the service otherwise.
pub(super) fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval((period / 3).max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            send(NotifyState::Watchdog);
        }
    });
}

fn send(state: NotifyState<'_>) {
    if let Err(e) = sd_notify::notify(&[state]) {
        tracing::warn!(error = %e, "systemd cannot be told the state of the service");
    }
}
