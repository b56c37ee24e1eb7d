//! Whether a source is silent: nothing has been received for longer than its own past makes likely.
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ActivityProfile;

/// The time since a source's last notification.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    pub since: Timestamp,
    pub now: Timestamp,
}

impl Silence {
    /// Whether it lasts for `floor`: a shorter one is never reported, so the history need not be read.
    pub fn lasts(&self, floor: Duration) -> bool {
        // Negative if the clock was put back.
        Duration::try_from(self.now.duration_since(self.since)).is_ok_and(|lasted| lasted >= floor)
    }

    /// Whether the past makes it unlikely. `active_hours` are the hours since 1970 in UTC in which notifications were received,
    /// and how many in each.
    pub fn is_unlikely(&self, active_hours: &HashMap<i64, u64>) -> bool {
        ActivityProfile::learn(active_hours, self.since).is_unlikely(self.since, self.now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::Silence;
    use crate::domain::millis;

    fn silence(lasted: SignedDuration) -> Silence {
        let since: Timestamp = "2026-11-20T18:10:00-03:00".parse().expect("an instant");
        Silence { since, now: since + lasted }
    }

    #[test]
    fn a_silence_is_long_from_the_floor_on() {
        let floor = Duration::from_secs(3_600);
        assert!(silence(SignedDuration::from_hours(1)).lasts(floor));
        assert!(!silence(SignedDuration::from_secs(3_599)).lasts(floor));
        assert!(!silence(SignedDuration::from_hours(-2)).lasts(floor));
    }

    #[test]
    fn a_silence_is_unlikely_where_something_was_received_every_hour() {
        let last = millis(silence(SignedDuration::ZERO).since) / 3_600_000;
        let every_hour: HashMap<i64, u64> = (last - 8 * 7 * 24..=last).map(|hour| (hour, 1)).collect();
        assert!(silence(SignedDuration::from_hours(12)).is_unlikely(&every_hour));
        assert!(!silence(SignedDuration::from_hours(1)).is_unlikely(&every_hour));
        assert!(!silence(SignedDuration::from_hours(1_000)).is_unlikely(&HashMap::new()));
    }
}
