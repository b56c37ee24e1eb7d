//! Watches the wall clock: while it is doubted, nothing expires, is erased or is swept by it.
use std::time::Duration;

use jiff::Timestamp;

use super::schedule::later;
use crate::app::App;
use crate::engine::record::RecordError;

/// How often the time that has certainly come is noted.
const NOTE_EVERY: Duration = crate::app::TIME_NOTED_EVERY;

/// No attempt is due later than this after the longest delay.
const SLACK: Duration = Duration::from_secs(60);

/// What was logged of the clock so far.
#[derive(Default)]
pub(super) struct ClockWatch {
    doubted: Option<Timestamp>,
    noted: Option<tokio::time::Instant>,
}

impl ClockWatch {
    /// Compares the clock with the time that has passed; called every second.
    pub async fn check(&mut self, app: &App) -> Result<(), RecordError> {
        let mut doubted = app.trust.suspect_since(&app.clock);
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
                "the clock is far ahead of the last time that is known: is it right? Links do not expire and nothing is swept until it is put right or a notification confirms it"
            ),
            (Some(_), None) => tracing::info!("the clock is trusted again"),
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
        let hastened = app.record.queue().bring_retries_forward(later(now, longest), now).await?;
        if hastened > 0 {
            tracing::warn!(hastened, "attempts were scheduled while the clock was wrong; they are made now");
        }
        Ok(())
    }
}
