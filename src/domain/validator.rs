//! What a portal said of a file, to be shown when it is asked for again: "only if it is another one by now".
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::Secrets;

/// What tells one content of an address from the next; at least one of the two is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// A strong entity tag, its quotes included.
    pub etag: Option<String>,
    /// As the portal wrote it.
    pub last_modified: Option<String>,
}

/// Two changes within one second have one date: a date that is so much older than the answer vouches for its content
/// (RFC 9110, 8.8.2.2).
const SETTLED: Duration = Duration::from_secs(1);

/// Longer ones are no validators that anybody needs.
const LENGTH_MAX: usize = 512;

impl Validator {
    /// Whether it repeats what must not be kept.
    pub fn holds_any_of(&self, secrets: &Secrets) -> bool {
        self.etag.iter().chain(&self.last_modified).any(|text| secrets.scrub(text).is_some())
    }

    /// Takes what vouches for every byte, and nothing less: a weak tag says only that contents mean the same.
    pub fn of_answer(etag: Option<&str>, last_modified: Option<&str>, date: Option<&str>) -> Option<Self> {
        let etag = etag.map(str::trim).filter(|tag| {
            let quoted = tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
            quoted && tag.len() <= LENGTH_MAX && tag.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        });
        let instant = |text: &str| DateTimeParser::new().parse_timestamp(text.trim()).ok();
        let is_settled = |modified: Timestamp| {
            let answered = date.and_then(instant)?;
            Some(Duration::try_from(answered.duration_since(modified)).ok()? >= SETTLED)
        };
        let last_modified = last_modified
            .map(str::trim)
            .filter(|text| text.len() <= LENGTH_MAX && instant(text).and_then(is_settled).unwrap_or_default());
        (etag.is_some() || last_modified.is_some())
            .then(|| Self { etag: etag.map(str::to_owned), last_modified: last_modified.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::Validator;

    #[test]
    fn only_what_vouches_for_every_byte_is_taken() {
        let date = Some("Tue, 24 Nov 2026 10:00:01 GMT");
        let modified = |text| Validator::of_answer(None, Some(text), date).is_some();
        assert!(modified("Tue, 24 Nov 2026 10:00:00 GMT"));
        assert!(!modified("Tue, 24 Nov 2026 10:00:01 GMT"), "it may change once more within this second");
        assert!(!modified("Tue, 24 Nov 2026 10:05:00 GMT"));
        assert!(!modified("yesterday"));
        assert!(Validator::of_answer(None, Some("Tue, 24 Nov 2026 10:00:00 GMT"), None).is_none());
        let tag = |text| Validator::of_answer(Some(text), None, None).and_then(|validator| validator.etag);
        assert_eq!(tag("\"{A1,2}\"").as_deref(), Some("\"{A1,2}\""));
        for weak in ["W/\"a\"", "a", "\"", "", "\"a\r\nx: y\""] {
            assert_eq!(tag(weak), None, "{weak:?}");
        }
    }
}
