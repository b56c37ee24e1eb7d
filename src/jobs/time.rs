//! Watches the wall clock: while it is suspect, nothing expires and nothing is erased or swept.
use std::time::Duration;

use jiff::Timestamp;

use super::schedule::later;
use crate::app::App;
use crate::engine::record::RecordError;

/// How often the time that has certainly passed is saved.
const SAVE_EVERY: Duration = crate::app::TIME_SAVED_EVERY;

/// Added to the longest delay: an attempt that is due later was scheduled by a wrong clock.
const SLACK: Duration = Duration::from_secs(60);

/// What was logged about the clock, and when the time was saved.
#[derive(Default)]
pub(super) struct ClockWatch {
    suspect: Option<Timestamp>,
    saved_at: Option<tokio::time::Instant>,
}

impl ClockWatch {
    /// Compares the clock with the time that has passed; called every second.
    pub async fn check(&mut self, app: &App) -> Result<(), RecordError> {
        let mut suspect = app.trust.suspect_since(&app.clock);
        if let Some(since) = suspect {
            for (sent, received) in app.record.known_time().sent_and_received(since).await? {
                if app.trust.confirm(sent, received, &app.clock) {
                    suspect = None;
                    break;
                }
            }
        }
        match (self.suspect, suspect) {
            (None, Some(at)) => tracing::error!(
                clock = %at, known = %app.trust.now(&app.clock),
                "the clock is far ahead of the last known time; check it. Links do not expire and nothing is swept until the clock is corrected or a notification confirms it"
            ),
            (Some(_), None) => tracing::info!("the clock is trusted again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.suspect = suspect;
        if self.saved_at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.saved_at = Some(tokio::time::Instant::now());
            self.save(app).await?;
        }
        Ok(())
    }

    async fn save(&self, app: &App) -> Result<(), RecordError> {
        app.record.known_time().save(app.trust.now(&app.clock)).await?;
        let settings = &app.settings.fetch;
        let longest = settings.retry_max.max(settings.retry_first).mul_f64(1.2) + SLACK;
        let now = app.clock.now();
        let early = app.record.queue().bring_retries_forward(later(now, longest), now).await?;
        if early > 0 {
            tracing::warn!(attempts = early, "attempts were scheduled while the clock was wrong; they are made now");
        }
        Ok(())
    }
}
