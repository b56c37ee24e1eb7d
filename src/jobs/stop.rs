//! Ends long work early: between two batches it checks whether the process was asked to stop.
use crate::app::App;

/// Work was interrupted because the process was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the end; the rest is done after the next start")]
pub struct Stopped;

/// An error once the process was asked to stop. `fault_point` names the fault point of this check.
pub(super) fn check(app: &App, fault_point: &'static str) -> Result<(), Stopped> {
    ask_to_stop_at(app, fault_point);
    if app.stop.is_cancelled() { Err(Stopped) } else { Ok(()) }
}

fn ask_to_stop_at(app: &App, fault_point: &'static str) {
    let _ = (app, fault_point);
    fail::fail_point!(fault_point, |_| app.stop.cancel());
}

/// A fault point where tests make work hang. It ends when the process is asked to stop.
pub(super) async fn stall(app: &App, fault_point: &'static str) {
    if is_set(fault_point) {
        app.stop.cancelled().await;
    }
}

fn is_set(fault_point: &'static str) -> bool {
    let _ = fault_point;
    fail::fail_point!(fault_point, |_| true);
    false
}
