//! A lock between processes: its holder, and when it ends.
use std::fmt;

/// Times are in milliseconds since 1970, by one clock for all processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub holder: String,
    pub until: i64,
}

impl Lock {
    /// Whether it may be taken for `hold_for`.
    pub fn is_free(&self, now: i64, hold_for: i64) -> bool {
        // A lock that ends later than possible was taken while the clock was wrong.
        self.until <= now || self.until > now.saturating_add(hold_for.saturating_mul(4))
    }
}

/// As it is stored: the holder and the end.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.holder, self.until)
    }
}

impl std::str::FromStr for Lock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(' ').and_then(|(holder, until)| Some((holder, until.parse().ok()?)));
        let (holder, until) = parts.ok_or_else(|| format!("`{text}` is not the holder of a lock and an instant"))?;
        Ok(Self { holder: holder.to_owned(), until })
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn a_lock_is_free_when_it_has_ended_or_was_taken_by_a_wrong_clock() {
        let lock = |until| Lock { holder: "a".to_owned(), until };
        assert!(!lock(1_001).is_free(1_000, 15));
        assert!(lock(1_000).is_free(1_000, 15));
        assert!(!lock(1_060).is_free(1_000, 15));
        assert!(lock(1_061).is_free(1_000, 15));
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written() {
        let lock = Lock { holder: "service-1".to_owned(), until: 1_764_115_200_000 };
        assert_eq!(lock.to_string().parse(), Ok(lock));
        for broken in ["", "service-1", "service-1 ", "service-1 soon"] {
            assert!(broken.parse::<Lock>().is_err(), "{broken}");
        }
    }
}
