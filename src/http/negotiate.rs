//! `Accept-Encoding` and `Accept` as RFC 9110, 12.4.2, 12.5.1 and 12.5.3, define them.
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// A weight of 1 in thousandths: that of a coding without one.
const FULL: u16 = 1000;

/// The content codings that a request accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AcceptedCodings {
    /// In lower case, each with its weight in thousandths.
    named: Vec<(String, u16)>,
    /// The weight of `*`.
    others: Option<u16>,
    /// Without the header every coding is acceptable, and `identity` is the best.
    is_absent: bool,
}

impl AcceptedCodings {
    /// Reads all lines of the header. A member that cannot be read counts as not sent.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self { is_absent: !headers.contains_key(header::ACCEPT_ENCODING), ..Self::default() };
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        for (coding, weight) in lines.flat_map(|line| line.split(',')).filter_map(member) {
            match coding.as_str() {
                "*" => accepted.others = Some(weight),
                _ => accepted.named.push((coding, weight)),
            }
        }
        accepted
    }

    /// The best of the codings that the server has, which come in the order it prefers them; `identity` is no coding.
    /// `None` if the request refuses them all.
    pub fn choose(&self, available: &[&'static str]) -> Option<&'static str> {
        let mut best: Option<(&'static str, u16)> = None;
        for coding in available {
            let weight = self.weight(coding);
            if weight > 0 && best.is_none_or(|(_, weight_of_best)| weight > weight_of_best) {
                best = Some((coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }

    pub fn accepts(&self, coding: &str) -> bool {
        self.weight(coding) > 0
    }

    fn weight(&self, coding: &str) -> u16 {
        let is_identity = coding == "identity";
        if self.is_absent {
            return if is_identity { FULL } else { 0 };
        }
        let named = self.named.iter().rev().find(|(name, _)| name == coding).map(|(_, weight)| *weight);
        match (named.or(self.others), is_identity) {
            (Some(weight), _) => weight,
            // Acceptable although it is not named, but after every coding that is.
            (None, true) => 1,
            (None, false) => 0,
        }
    }
}

/// `coding;q=weight`; the older names with `x-` mean the same codings (RFC 9110, 8.4.1).
fn member(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let coding = parts.next().filter(|coding| !coding.is_empty())?.to_ascii_lowercase();
    let coding = coding.strip_prefix("x-").map(str::to_owned).unwrap_or(coding);
    let mut weight = FULL;
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            weight = qvalue(value.trim())?;
        }
    }
    Some((coding, weight))
}

/// A weight in thousandths: `0` or `1`, with up to three decimals; `0.` and `1.` are weights too.
pub(super) fn qvalue(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

/// Decides the coding of a response and reduces the request to it: the compression layer knows neither `*` nor blanks in
/// weights. Where no coding is acceptable the response is not compressed.
pub(super) async fn decide_coding(mut request: Request, next: Next) -> Response {
    let chosen = AcceptedCodings::of(request.headers()).choose(&["zstd", "gzip", "identity"]).unwrap_or("identity");
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(chosen));
    next.run(request).await
}

/// The media types that a request accepts, in lower case, each with its weight in thousandths; parameters but for the weight
/// are ignored.
pub(super) struct AcceptedMedia(Vec<(String, u16)>);

impl AcceptedMedia {
    /// Reads all lines of the header. A member that cannot be read counts as not sent; without the header all are accepted.
    pub fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT) {
            return Self(vec![("*/*".to_owned(), FULL)]);
        }
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        Self(lines.flat_map(|line| line.split(',')).filter_map(media).collect())
    }

    /// Whether a type is named itself, not by `*`.
    pub fn names(&self, media: &str) -> bool {
        self.0.iter().any(|(range, _)| range == media)
    }

    /// Whether a page is asked for, as browsers do for what they show: HTML is named, and nothing that programs read is preferred.
    pub fn prefers_a_page(&self) -> bool {
        let of_programs = self.weight("application/json").max(self.weight("application/problem+json"));
        let of_pages = self.weight("text/html");
        self.names("text/html") && of_pages > 0 && of_pages >= of_programs
    }

    /// The weight of the narrowest range that contains the type.
    pub fn weight(&self, media: &str) -> u16 {
        let family = media.split('/').next().map(|family| format!("{family}/*")).unwrap_or_default();
        let of = |wanted: &str| self.0.iter().find(|(range, _)| range == wanted).map(|(_, weight)| *weight);
        of(media).or_else(|| of(&family)).or_else(|| of("*/*")).unwrap_or(0)
    }
}

/// `type/subtype;parameter=value;q=weight`.
fn media(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| range.contains('/'))?.to_ascii_lowercase();
    let mut weight = FULL;
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        if name.trim().eq_ignore_ascii_case("q") {
            weight = qvalue(value.trim())?;
        }
    }
    Some((range, weight))
}

#[cfg(test)]
mod tests {
    use super::{AcceptedCodings, AcceptedMedia, qvalue};
    use axum::http::{HeaderMap, HeaderValue, header};

    fn chosen(lines: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        AcceptedCodings::of(&headers).choose(&["zstd", "gzip", "identity"])
    }

    #[test]
    fn weights() {
        for (text, weight) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.000", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
            ("1.001", None),
            ("2", None),
            ("-1", None),
            ("0.0000", None),
            (".5", None),
            ("", None),
            ("0.+1", None),
        ] {
            assert_eq!(qvalue(text), weight, "{text}");
        }
    }

    #[test]
    fn browsers_ask_for_a_page_and_programs_do_not() {
        for (accept, is_page) in [
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("TEXT/HTML"), true),
            (Some("text/html;q=0.5, application/json"), false),
            (Some("text/html;q=0, */*"), false),
            (Some("application/problem+json, text/html;q=0.1"), false),
            (Some("*/*"), false),
            (Some("text/*"), false),
            (Some(""), false),
            (None, false),
        ] {
            let headers = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            let accepted = AcceptedMedia::of(&headers.into_iter().collect::<HeaderMap>());
            assert_eq!(accepted.prefers_a_page(), is_page, "{accept:?}");
        }
    }

    #[test]
    fn the_best_acceptable_coding_is_chosen() {
        for (lines, coding) in [
            (&[] as &[&str], Some("identity")),
            (&[""], Some("identity")),
            (&["zstd"], Some("zstd")),
            (&["gzip, zstd;q=0.5"], Some("gzip")),
            (&["br, zstd"], Some("zstd")),
            (&["ZSTD ; Q=0.5"], Some("zstd")),
            (&["zstd;q=0"], Some("identity")),
            (&["zstd;Q=0"], Some("identity")),
            (&["zstd;q=0."], Some("identity")),
            (&["zstd; q = 0.000"], Some("identity")),
            (&["zstd;q=0.001"], Some("zstd")),
            (&["zstd;q=0.5, identity"], Some("identity")),
            (&["*"], Some("zstd")),
            (&["*;q=0"], None),
            (&["*;q=0, identity"], Some("identity")),
            (&["zstd;q=0, *"], Some("gzip")),
            (&["identity;q=0"], None),
            (&["identity;q=0, *"], Some("zstd")),
            (&["identity;q=0, gzip"], Some("gzip")),
            (&["identity", "zstd;q=0.9"], Some("identity")),
            (&["br", "x-gzip"], Some("gzip")),
            (&["zstd;q=2"], Some("identity")),
        ] {
            assert_eq!(chosen(lines), coding, "{lines:?}");
        }
    }
}
