//! The validators of a file (entity tag, date), sent with the next request for it so that an unchanged file is not
//! transferred again.
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::Secrets;

/// What distinguishes one content of a URL from the next. At least one of the two is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// A strong entity tag, its quotes included.
    pub etag: Option<String>,
    /// As the portal sent it.
    pub last_modified: Option<String>,
}

/// Two changes within one second have the same date: a date is a strong validator only if it is this much older than the
/// response (RFC 9110, 8.8.2.2).
const SETTLED: Duration = Duration::from_secs(1);

const LENGTH_MAX: usize = 512;

impl Validator {
    /// Whether it repeats a secret, and so must not be stored.
    pub fn holds_any_of(&self, secrets: &Secrets) -> bool {
        self.etag.iter().chain(&self.last_modified).any(|text| secrets.redact(text).is_some())
    }

    /// Takes strong validators only: a weak tag says that contents mean the same, not that every byte is the same.
    pub fn from_headers(etag: Option<&str>, last_modified: Option<&str>, date: Option<&str>) -> Option<Self> {
        let etag = etag.map(str::trim).filter(|tag| {
            let quoted = tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
            quoted && tag.len() <= LENGTH_MAX && tag.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        });
        let instant = |text: &str| DateTimeParser::new().parse_timestamp(text.trim()).ok();
        let is_settled = |modified: Timestamp| {
            let responded = date.and_then(instant)?;
            Some(Duration::try_from(responded.duration_since(modified)).ok()? >= SETTLED)
        };
        let last_modified = last_modified
            .map(str::trim)
            .filter(|text| text.len() <= LENGTH_MAX && instant(text).and_then(is_settled) == Some(true));
        (etag.is_some() || last_modified.is_some())
            .then(|| Self { etag: etag.map(str::to_owned), last_modified: last_modified.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::Validator;

    #[test]
    fn only_strong_validators_are_taken() {
        let date = Some("Tue, 24 Nov 2026 10:00:01 GMT");
        let modified = |text| Validator::from_headers(None, Some(text), date).is_some();
        assert!(modified("Tue, 24 Nov 2026 10:00:00 GMT"));
        assert!(!modified("Tue, 24 Nov 2026 10:00:01 GMT"), "it may change once more within this second");
        assert!(!modified("Tue, 24 Nov 2026 10:05:00 GMT"));
        assert!(!modified("yesterday"));
        assert!(Validator::from_headers(None, Some("Tue, 24 Nov 2026 10:00:00 GMT"), None).is_none());
        let tag = |text| Validator::from_headers(Some(text), None, None).and_then(|validator| validator.etag);
        assert_eq!(tag("\"{A1,2}\"").as_deref(), Some("\"{A1,2}\""));
        for weak in ["W/\"a\"", "a", "\"", "", "\"a\r\nx: y\""] {
            assert_eq!(tag(weak), None, "{weak:?}");
        }
    }
}
