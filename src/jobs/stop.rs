//! How long work ends early: between two batches it looks whether the process was asked to stop.
use crate::app::App;

/// Work ended before its end since the process was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the end; what was committed stays, and the rest is done after the next start")]
pub struct Stopped;

/// An error once the process was asked to stop. `place` names the fault point where tests let that happen.
pub(super) fn check(app: &App, place: &'static str) -> Result<(), Stopped> {
    ask_to_stop_at(app, place);
    if app.stop.is_cancelled() { Err(Stopped) } else { Ok(()) }
}

fn ask_to_stop_at(app: &App, place: &'static str) {
    let _ = (app, place);
    fail::fail_point!(place, |_| app.stop.cancel());
}

/// A place where tests let work take for ever; it ends when the process is asked to stop.
pub(super) async fn stall(app: &App, place: &'static str) {
    if is_set(place) {
        app.stop.cancelled().await;
    }
}

fn is_set(place: &'static str) -> bool {
    let _ = place;
    fail::fail_point!(place, |_| true);
    false
}
