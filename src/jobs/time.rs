//! Watches the wall clock: while it is in doubt nothing is given up, erased or swept by it.
use std::time::Duration;

use jiff::Timestamp;

use super::schedule::later;
use crate::app::App;
use crate::engine::record::RecordError;

/// How often it is noted what time has certainly come.
const NOTE_EVERY: Duration = Duration::from_secs(15);

/// More than this after the longest delay an attempt is never due.
const SLACK: Duration = Duration::from_secs(60);

/// What was told of the clock so far.
#[derive(Default)]
pub(super) struct Watch {
    doubted: Option<Timestamp>,
    noted: Option<tokio::time::Instant>,
}

/// Begins where the last process was.
pub(super) async fn begin(app: &App) -> Result<(), RecordError> {
    let last = app.record.known_time().last().await?;
    app.trust.begin(last, &app.clock);
    Ok(())
}

impl Watch {
    /// Looks at the clock; called every second.
    pub async fn look(&mut self, app: &App) -> Result<(), RecordError> {
        let mut doubted = app.trust.doubted(&app.clock);
        if let Some(since) = doubted {
            for (sent, received) in app.record.known_time().sent_and_received(since).await? {
                if app.trust.confirm(sent, received, &app.clock) {
                    doubted = None;
                    break;
                }
            }
        }
        match (self.doubted, doubted) {
            (None, Some(at)) => tracing::error!(
                clock = %at, known = %app.trust.now(&app.clock),
                "the clock is far ahead of the last time that is known: is it right? Links are kept and tried, and nothing is swept, until it is put right or a notification confirms it"
            ),
            (Some(_), None) => tracing::info!("the clock is believed again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.doubted = doubted;
        if self.noted.is_none_or(|at| at.elapsed() >= NOTE_EVERY) {
            self.noted = Some(tokio::time::Instant::now());
            self.note(app).await?;
        }
        Ok(())
    }

    async fn note(&self, app: &App) -> Result<(), RecordError> {
        app.record.known_time().save(app.trust.now(&app.clock)).await?;
        let settings = &app.settings.fetch;
        let longest = settings.retry_max.max(settings.retry_first).mul_f64(1.2) + SLACK;
        let now = app.clock.now();
        let hastened = app.record.queue().hasten(later(now, longest), now).await?;
        if hastened > 0 {
            tracing::warn!(hastened, "attempts were put off while the clock was wrong; they are made now");
        }
        Ok(())
    }
}
