//! The stages of a notification, and how long after its arrival it reaches each. Open to all modules, like `domain`.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Histogram, histogram};

/// The histogram of all stages.
pub const METRIC: &str = "acervo_notification_stage_seconds";

/// Upper bounds of its buckets: from a commit of the database to the life of a link.
pub const BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// What has been done for a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is on disk, and can be answered.
    Durable,
    /// Its publication is known.
    Resolved,
    /// All bytes of its file are here.
    Fetched,
    /// Its file is recorded as a revision, or as unchanged.
    Archived,
    /// Its revision can be searched.
    Indexed,
}

/// Set once the exporter is installed; nothing is recorded before.
static HISTOGRAMS: OnceLock<[Histogram; Stage::ALL.len()]> = OnceLock::new();

/// The same as the histograms, which cannot be read: for the operator's view.
static COUNTS: [[AtomicU64; BUCKETS.len() + 1]; Stage::ALL.len()] =
    [const { [const { AtomicU64::new(0) }; BUCKETS.len() + 1] }; Stage::ALL.len()];

impl Stage {
    pub const ALL: [Self; 5] = [Self::Durable, Self::Resolved, Self::Fetched, Self::Archived, Self::Indexed];

    fn label(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Resolved => "resolved",
            Self::Fetched => "fetched",
            Self::Archived => "archived",
            Self::Indexed => "indexed",
        }
    }

    /// Makes the histograms, once there is an exporter.
    pub fn register() {
        let _ = HISTOGRAMS.set(Self::ALL.map(|stage| histogram!(METRIC, "stage" => stage.label())));
    }

    /// A notification has reached this stage so long after its arrival.
    pub fn reached_after(self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|upper| seconds <= *upper).unwrap_or(BUCKETS.len());
        COUNTS[self as usize][bucket].fetch_add(1, Ordering::Relaxed);
        if let Some(histograms) = HISTOGRAMS.get() {
            histograms[self as usize].record(took);
        }
    }

    /// How many notifications reached this stage within each bound of [`BUCKETS`] but not the one before, since the process started;
    /// the last count is of those that took longer.
    pub fn counts(self) -> Vec<u64> {
        COUNTS[self as usize].iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The same by the clock. A clock that was set back in between counts as no time.
    pub fn reached(self, received_at: Timestamp, now: Timestamp) {
        self.reached_after(Duration::try_from(now.duration_since(received_at)).unwrap_or_default());
    }
}
