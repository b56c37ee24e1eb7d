//! When a fetch is retried.
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;

use crate::config;
use crate::domain::{millis, timestamp};
use crate::engine::fetch::FetchError;

/// The delay before the next attempt. It doubles from the first to the longest delay, is at least the portal's `Retry-After`,
/// and is the longest at once if the portal does not know the link. A jitter of 10 % spreads links that failed together.
pub(super) fn delay(settings: &config::Fetch, attempt: u32, error: &FetchError) -> Duration {
    let first = if error.is_unknown_to_portal() { settings.retry_max } else { settings.retry_first };
    let jittered = back_off(first, settings.retry_max, attempt);
    // Limited, so that a portal that asks for a day does not cost us the link.
    let requested = error.retry_after().map(|delay| delay.min(settings.retry_max)).unwrap_or_default();
    jittered.max(requested)
}

/// The delay after an attempt: doubled from the first to the longest, with a jitter of 10 %.
pub(super) fn back_off(first: Duration, longest: Duration, attempt: u32) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1).min(30)));
    doubled.min(longest).mul_f64(rand::rng().random_range(0.9..=1.1))
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    timestamp(millis(at).saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> config::Fetch {
        config::Fetch {
            allowed_hosts: Vec::new(),
            allow_private: false,
            max_bytes: 1,
            proxy: None,
            retry_first: Duration::from_secs(5),
            retry_max: Duration::from_secs(900),
            stall: Duration::from_secs(60),
            concurrency: 1,
            concurrency_per_host: 1,
            warn_before: Duration::from_secs(1),
        }
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let broken = FetchError::Network("reset".to_owned());
        for (attempt, seconds) in [(1, 5.0), (2, 10.0), (3, 20.0), (8, 640.0), (9, 900.0), (4_000_000_000, 900.0)] {
            let delay = delay(&settings(), attempt, &broken).as_secs_f64();
            assert!((seconds * 0.89..=seconds * 1.11).contains(&delay), "attempt {attempt}: {delay}");
        }
    }

    #[test]
    fn the_delay_follows_the_portals_response() {
        let busy = FetchError::Status { status: 503, retry_after: Some(Duration::from_secs(120)) };
        assert!(delay(&settings(), 1, &busy) >= Duration::from_secs(120));
        let unknown = FetchError::Status { status: 404, retry_after: None };
        assert!(delay(&settings(), 1, &unknown) >= Duration::from_secs(800));
    }
}
