//! Parsers of single values.
use std::fmt;
use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};

/// A problem with the value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub message: String,
}

impl Problem {
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

pub fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

pub fn flag(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("`{value}` is not valid; expected true or false")),
    }
}

pub fn size(value: &str) -> Result<u64, String> {
    value
        .parse::<bytesize::ByteSize>()
        .map(|size| size.0)
        .map_err(|_| format!("`{value}` is not a valid size; expected one such as \"4 GiB\""))
}

/// A size of at least one byte.
pub fn positive_size(value: &str) -> Result<u64, String> {
    match size(value)? {
        0 => Err(format!("`{value}` is not a valid size; expected one above 0, such as \"4 GiB\"")),
        bytes => Ok(bytes),
    }
}

/// The longest credential: clients and proxies limit the size of a header.
const CREDENTIAL_BYTES_MAX: usize = 4096;

/// A token or password as a header can carry it. The message does not repeat the value.
pub fn credential(value: &str) -> Result<String, String> {
    if value.contains(char::is_control) {
        return Err("contains a control character, such as a line break, which no client can send".to_owned());
    }
    if value.len() > CREDENTIAL_BYTES_MAX {
        let bytes = value.len();
        return Err(format!("has {bytes} bytes; at most {CREDENTIAL_BYTES_MAX} fit into a header"));
    }
    Ok(value.to_owned())
}

/// A key of the API. Clients write it after the scheme, which is not part of it.
pub fn api_key(value: &str) -> Result<String, String> {
    let scheme = value.split(' ').next().filter(|scheme| scheme.len() < value.len()).unwrap_or_default();
    if ["bearer", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(format!(
            "begins with `{scheme} `, which no key can: clients write that before the key; leave it out here"
        ));
    }
    credential(value)
}

/// A user of Basic credentials: they end at the first colon (RFC 7617).
pub fn username(value: &str) -> Result<String, String> {
    match value.contains(':') {
        true => Err("has a colon, which no client can send in a username".to_owned()),
        false => credential(value),
    }
}

pub fn duration(value: &str) -> Result<Duration, String> {
    let wrong = || format!("`{value}` is not a valid duration; expected one such as \"5s\" or \"15min\"");
    let parsed: jiff::SignedDuration = value.parse().map_err(|_| wrong())?;
    if parsed.is_zero() {
        return Err(format!("`{value}` is zero; give a longer duration"));
    }
    Duration::try_from(parsed).map_err(|_| wrong())
}

/// A calendar span: `90d`, `5y`. A bare `m` is refused because it could mean months or minutes.
pub fn span(value: &str) -> Result<jiff::Span, String> {
    let wrong = || format!("`{value}` is not a valid span; expected one such as \"90d\" or \"5y\"");
    if let Some(number) = number_before_bare_m(value) {
        return Err(format!(
            "`{value}` is ambiguous: write `{number}mo` for {number} months, or `{number}min` for {number} minutes"
        ));
    }
    value.parse::<jiff::Span>().ok().filter(|span| !span.is_negative()).ok_or_else(wrong)
}

/// A span longer than zero.
pub fn positive_span(value: &str) -> Result<jiff::Span, String> {
    let parsed = span(value)?;
    if parsed.is_zero() {
        return Err(format!("`{value}` is zero and would keep nothing; give a longer span, or omit the key"));
    }
    Ok(parsed)
}

/// The number before a unit written as a bare `m`. ISO 8601 (`P6M`, `PT6M`) is unambiguous.
fn number_before_bare_m(value: &str) -> Option<&str> {
    if value.trim_start_matches(['+', '-']).starts_with(['P', 'p']) {
        return None;
    }
    for (at, _) in value.match_indices(['m', 'M']) {
        let before = value[..at].trim_end();
        let number = &before[before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len()..];
        let is_whole_unit = !value[at + 1..].starts_with(|c: char| c.is_alphabetic());
        if is_whole_unit && !number.is_empty() {
            return Some(number);
        }
    }
    None
}

fn verbose_printer() -> SpanPrinter {
    SpanPrinter::new()
        .designator(Designator::Verbose)
        .spacing(Spacing::BetweenUnitsAndDesignators)
        .comma_after_designator(true)
}

/// A span in words: `6 months`.
pub fn span_in_words(span: &jiff::Span) -> String {
    if span.is_zero() { "zero".to_owned() } else { verbose_printer().span_to_string(span) }
}

/// A duration in words: `15 minutes`.
pub fn duration_in_words(duration: Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => verbose_printer().duration_to_string(&duration),
        Ok(_) => "zero".to_owned(),
        Err(_) => format!("{duration:?}"),
    }
}

pub fn count(value: &str) -> Result<usize, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("`{value}` is not a valid number; expected a whole number above 0"))
}

/// A host that links may point to: `apps08.ons.org.br`, an IP address, or `*.ons.org.br` for all subdomains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    pub fn parse(value: &str) -> Result<Self, String> {
        let pattern = value.trim().trim_end_matches('.').to_ascii_lowercase();
        let host = pattern.strip_prefix("*.").unwrap_or(&pattern);
        let plain = !host.is_empty()
            && !host.contains(['*', '/', ' ', '@', '?'])
            && (!host.contains(':') || host.parse::<std::net::Ipv6Addr>().is_ok());
        if plain {
            Ok(Self(pattern))
        } else {
            Err(format!(
                "`{value}` is not a valid host; expected one such as \"apps08.ons.org.br\" or \"*.ons.org.br\""
            ))
        }
    }

    /// Whether the pattern matches `host` (lower case, IPv6 without brackets).
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.0,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
