//! Conditional requests as RFC 9110, 13, defines them: whether the response is the full one, 304 or 412.
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

/// The result of checking the conditions of a GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evaluation {
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client expects another representation.
    Failed,
}

/// The conditions of a request.
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
    if_range: Option<String>,
}

impl Conditions {
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: Tags::of(headers, header::IF_MATCH),
            if_none_match: Tags::of(headers, header::IF_NONE_MATCH),
            if_modified_since: date(headers, header::IF_MODIFIED_SINCE),
            if_unmodified_since: date(headers, header::IF_UNMODIFIED_SINCE),
            if_range: single(headers, header::IF_RANGE).map(|value| value.trim().to_owned()),
        }
    }

    /// Checks the conditions in the standard's order (13.2.2) against the representation that is about to be sent. `etag`
    /// is quoted; `None` if there is none.
    pub fn check(&self, etag: Option<&str>, modified: Option<Timestamp>) -> Evaluation {
        let failed = match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) => !tags.name_strongly(etag),
            (None, Some(since)) => modified.is_some_and(|at| at.as_second() > since.as_second()),
            (None, None) => false,
        };
        if failed {
            return Evaluation::Failed;
        }
        let is_known = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags.name_weakly(etag),
            (None, Some(since)) => modified.is_some_and(|at| at.as_second() <= since.as_second()),
            (None, None) => false,
        };
        if is_known { Evaluation::NotModified } else { Evaluation::Proceed }
    }

    /// Whether `If-Match` allows this representation, for the choice between several.
    pub fn allows(&self, etag: &str) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.name_strongly(Some(etag)))
    }

    /// Whether `If-None-Match` lists the tag of this representation; `*` does not count.
    pub fn is_known_as(&self, etag: &str) -> bool {
        matches!(&self.if_none_match, Some(Tags::Listed(tags)) if tags.iter().any(|tag| opaque(tag) == opaque(etag)))
    }

    /// Whether a `Range` of this representation may be sent: `If-Range` is absent, or names exactly this one.
    pub fn allow_range(&self, etag: Option<&str>, modified: Option<Timestamp>) -> bool {
        let Some(wanted) = &self.if_range else { return true };
        if wanted.starts_with('"') || wanted.starts_with("W/") {
            return etag.is_some_and(|etag| is_strong(etag) && wanted == etag);
        }
        let wanted = parse_date(wanted);
        matches!((wanted, modified), (Some(wanted), Some(at)) if wanted.as_second() == at.as_second())
    }
}

/// A list of entity tags.
///
/// Not the typed `IfNoneMatch` of `headers`, which does not accept `*` together with other tags.
enum Tags {
    /// `*`: any representation.
    Any,
    Listed(Vec<String>),
}

impl Tags {
    /// All lines of a header; `None` if it was not sent.
    fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut tags = Vec::new();
        for line in headers.get_all(&name) {
            // A line that is not text names no tag of ours.
            let line = line.to_str().unwrap_or_default();
            if line.trim() == "*" {
                return Some(Self::Any);
            }
            if !read_tags(line, &mut tags) {
                return Some(Self::Any);
            }
        }
        headers.contains_key(&name).then_some(Self::Listed(tags))
    }

    fn name_strongly(&self, etag: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => etag.is_some_and(|etag| is_strong(etag) && tags.iter().any(|tag| tag == etag)),
        }
    }

    fn name_weakly(&self, etag: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => etag.is_some_and(|etag| tags.iter().any(|tag| opaque(tag) == opaque(etag))),
        }
    }
}

/// Reads `"a", W/"b"`; a tag may hold commas. `false` if one of them is `*`.
fn read_tags(line: &str, tags: &mut Vec<String>) -> bool {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let opening = if rest.starts_with("W/\"") { 3 } else { 1 };
        let is_quoted = rest.starts_with('"') || opening == 3;
        let end = match is_quoted {
            true => rest[opening..].find('"').map(|at| opening + at + 1),
            false => rest.find(','),
        }
        .unwrap_or(rest.len());
        let (tag, after) = rest.split_at(end);
        match tag.trim() {
            "*" => return false,
            tag => tags.push(tag.to_owned()),
        }
        rest = after.trim_start();
    }
    true
}

fn is_strong(etag: &str) -> bool {
    !etag.starts_with("W/")
}

/// A tag without the mark of a weak one.
pub(super) fn opaque(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// The header's value, if it was sent exactly once.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok(),
        _ => None,
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    single(headers, name).and_then(parse_date)
}

/// An instant in one of the three formats of RFC 9110, 5.6.7; anything else is ignored, as the standard requires.
fn parse_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok()
}

/// A response without a body and without a length: that of the representation is not known here, and 0 would be wrong.
pub(super) fn without_body(status: StatusCode) -> Response {
    (status, no_body()).into_response()
}

/// A body without bytes and without a length.
pub(super) fn no_body() -> Body {
    Body::from_stream(futures_util::stream::empty::<Result<bytes::Bytes, std::io::Error>>())
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Evaluation};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use jiff::Timestamp;

    fn conditions(lines: &[(&'static str, &'static str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Conditions::of(&headers)
    }

    #[test]
    fn conditions_are_checked_in_order() {
        use Evaluation::{Failed, NotModified, Proceed};
        let modified: Timestamp = "2025-02-20T12:00:00.9Z".parse().expect("an instant");
        const SAME: &str = "Thu, 20 Feb 2025 12:00:00 GMT";
        const BEFORE: &str = "Thu, 20 Feb 2025 11:59:59 GMT";
        for (lines, evaluation) in [
            (&[] as &[(&str, &str)], Proceed),
            (&[("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "W/\"a\"")], NotModified),
            (&[("if-none-match", "\"b\"")], Proceed),
            (&[("if-none-match", "\"b\", \"a\"")], NotModified),
            (&[("if-none-match", "\"b,\\\"a\"")], Proceed),
            (&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "a")], Proceed),
            (&[("if-none-match", "")], Proceed),
            (&[("if-match", "\"a\"")], Proceed),
            (&[("if-match", "\"b\",\"a\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"b\"")], Failed),
            (&[("if-match", "W/\"a\"")], Failed),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Failed),
            (&[("if-match", "\"a\""), ("if-none-match", "\"a\"")], NotModified),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "Thursday, 20-Feb-25 12:00:00 GMT")], NotModified),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-modified-since", SAME), ("if-none-match", "\"b\"")], Proceed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", BEFORE), ("if-match", "\"a\"")], Proceed),
        ] {
            assert_eq!(conditions(lines).check(Some("\"a\""), Some(modified)), evaluation, "{lines:?}");
        }
        assert_eq!(conditions(&[("if-match", "\"a\"")]).check(Some("W/\"a\""), None), Failed);
        assert_eq!(conditions(&[("if-none-match", "\"a\"")]).check(None, None), Proceed);
    }

    #[test]
    fn a_range_needs_exactly_the_same_representation() {
        let modified: Timestamp = "2025-02-20T12:00:00Z".parse().expect("an instant");
        for (value, allowed) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("Thu, 20 Feb 2025 12:00:00 GMT", true),
            ("Thu, 20 Feb 2025 12:00:01 GMT", false),
            ("a", false),
        ] {
            let conditions = conditions(&[("if-range", value)]);
            assert_eq!(conditions.allow_range(Some("\"a\""), Some(modified)), allowed, "{value}");
        }
        assert!(conditions(&[]).allow_range(None, None));
    }
}
