//! Secrets that are recognized by their syntax: e-mail addresses, tokens, and the values of parameters called `token`.
//!
//! Every search is one pass; `steps` counts the bytes it reads.
use std::ops::Range;

use memchr::memmem;

/// What counts as an e-mail address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressSyntax {
    /// Also `user@host`, and blanks around the `@`.
    Any,
    /// `user@example.com`: where an `@` may be the reading of something else.
    Dotted,
    /// The same in ASCII letters: in decoded bytes, which may be noise.
    Ascii,
}

/// Blanks on each side of an `@` or of a dot of a domain.
const BLANKS_MAX: usize = 8;

/// The longest quoted local part or comment that is found.
const QUOTED_BYTES_MAX: usize = 320;

/// The longest address in brackets, `[IPv6:…]`.
const LITERAL_BYTES_MAX: usize = 64;

/// Labels of a domain that is written with blanks around its dots.
const LABELS_MAX: usize = 8;

fn is_local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || b".!#$%'*+-^_`{|}~".contains(&b)
}

fn is_domain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'.' | b'-' | b'_')
}

fn is_letter(b: u8) -> bool {
    b.is_ascii_alphabetic() || b >= 0x80
}

/// E-mail addresses: each `@` with the parts on both sides of it.
pub(super) fn find_addresses(
    bytes: &[u8],
    syntax: AddressSyntax,
    steps: &mut usize,
    note: &mut impl FnMut(Range<usize>),
) {
    *steps += bytes.len();
    // An `@` belongs to neither side, so no byte is read more than twice.
    for at in memchr::memchr_iter(b'@', bytes) {
        if let Some(start) = local_start(&bytes[..at], syntax, steps)
            && let Some(end) = domain_end(bytes, at + 1, syntax, steps)
            && (end.has_dot || (end.is_adjacent && start.is_adjacent && start.has_letter))
        {
            note(start.at..end.at);
        }
    }
}

struct LocalPart {
    at: usize,
    is_adjacent: bool,
    has_letter: bool,
}

fn local_start(before: &[u8], syntax: AddressSyntax, steps: &mut usize) -> Option<LocalPart> {
    let back = |end: usize, max: usize, belongs: fn(u8) -> bool| {
        before[..end].iter().rev().take(max).take_while(|b| belongs(**b)).count()
    };
    let is_blank: fn(u8) -> bool = |b| b.is_ascii_whitespace();
    let blanks = if syntax == AddressSyntax::Any { back(before.len(), BLANKS_MAX, is_blank) } else { 0 };
    let mut end = before.len() - blanks;
    let mut is_quoted = false;
    if syntax != AddressSyntax::Ascii
        && let Some(length) = quoted(&before[..end], steps)
    {
        is_quoted = before[end - 1] == b'"';
        end -= length;
    }
    let belongs: fn(u8) -> bool = if syntax == AddressSyntax::Ascii { |b| b < 0x80 && is_local(b) } else { is_local };
    let length = back(end, usize::MAX, belongs);
    *steps += length + blanks;
    let run = &before[end - length..end];
    let says_something = is_quoted || run.iter().any(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    says_something.then(|| LocalPart {
        at: end - length,
        is_adjacent: blanks == 0,
        has_letter: is_quoted || run.iter().any(|b| is_letter(*b)),
    })
}

/// The length of a quoted string or of a comment in parentheses that ends here.
fn quoted(before: &[u8], steps: &mut usize) -> Option<usize> {
    let (last, before) = before.split_last()?;
    let (opening, ends): (u8, fn(u8) -> bool) = match last {
        b'"' => (b'"', |b| matches!(b, b'"' | b'@')),
        b')' => (b'(', |b| matches!(b, b'(' | b')' | b'@')),
        _ => return None,
    };
    let mut length = 0;
    while length < QUOTED_BYTES_MAX {
        let inside = before[..before.len() - length].iter().rev().take(QUOTED_BYTES_MAX).take_while(|b| !ends(**b));
        length += inside.count() + 1;
        let at = before.len().checked_sub(length)?;
        let is_escaped = at.checked_sub(1).is_some_and(|at| before[at] == b'\\');
        if before[at] != opening || !is_escaped {
            *steps += length;
            return (before[at] == opening).then_some(length + 1);
        }
    }
    None
}

struct Domain {
    at: usize,
    is_adjacent: bool,
    has_dot: bool,
}

fn domain_end(bytes: &[u8], start: usize, syntax: AddressSyntax, steps: &mut usize) -> Option<Domain> {
    let run = |at: usize, max: usize, belongs: fn(u8) -> bool| {
        bytes[at..].iter().take(max).take_while(|b| belongs(**b)).count()
    };
    let blank: fn(u8) -> bool = |b| b.is_ascii_whitespace();
    let blanks = if syntax == AddressSyntax::Any { run(start, BLANKS_MAX, blank) } else { 0 };
    let first = start + blanks;
    if bytes.get(first) == Some(&b'[') {
        let inside =
            run(first + 1, LITERAL_BYTES_MAX, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-'));
        *steps += inside;
        let is_literal = inside > 0 && bytes.get(first + 1 + inside) == Some(&b']');
        return is_literal.then_some(Domain { at: first + inside + 2, is_adjacent: blanks == 0, has_dot: true });
    }
    let belongs: fn(u8) -> bool = if syntax == AddressSyntax::Ascii { |b| b < 0x80 && is_domain(b) } else { is_domain };
    let length = run(first, usize::MAX, belongs);
    *steps += length + blanks;
    let trimmed = bytes[first..first + length].iter().rev().take_while(|b| !b.is_ascii_alphanumeric() && **b < 0x80);
    let mut end = first + length - trimmed.count();
    if end == first {
        return None;
    }
    let mut labels: Vec<&[u8]> = vec![&bytes[first..end]];
    // `example . com . br`
    while syntax == AddressSyntax::Any && labels.len() < LABELS_MAX && !labels[0].contains(&b'.') {
        let dot = end + run(end, BLANKS_MAX, blank);
        let next = dot + 1 + bytes.get(dot + 1..).map_or(0, |_| run(dot + 1, BLANKS_MAX, blank));
        let label = bytes.get(next..).map_or(0, |_| run(next, usize::MAX, |b| b.is_ascii_alphanumeric() || b == b'-'));
        *steps += label;
        if bytes.get(dot) != Some(&b'.') || label == 0 {
            break;
        }
        labels.push(&bytes[next..next + label]);
        end = next + label;
    }
    let has_dot = match labels.as_slice() {
        [domain] => is_dotted(domain),
        [.., last] => last.len() >= 2 && last.iter().all(|b| is_letter(*b)),
        [] => false,
    };
    let may_be_host = syntax == AddressSyntax::Any && is_letter(bytes[first]);
    (has_dot || may_be_host).then_some(Domain { at: end, is_adjacent: blanks == 0, has_dot })
}

/// Whether a domain has a top-level domain, or is an IPv4 address.
fn is_dotted(domain: &[u8]) -> bool {
    let Some(dot) = memchr::memrchr(b'.', domain).filter(|dot| *dot > 0) else { return false };
    let last = &domain[dot + 1..];
    let is_name = last.len() >= 2 && (last.iter().all(|b| is_letter(*b)) || last.starts_with(b"xn--"));
    is_name || std::str::from_utf8(domain).is_ok_and(|text| text.parse::<std::net::Ipv4Addr>().is_ok())
}

/// How the base64 of a JSON object begins that is written with white space: `{ `, a brace and a line end.
const ODD_TOKEN_STARTS: [&[u8; 3]; 3] = [b"eyA", b"ewo", b"ew0"];

/// The shortest run of characters after such a beginning that counts as a part of a token.
pub(super) const TOKEN_BYTES_MIN: usize = 20;

/// The same where words begin like that too (`ewo` is in `framework`); these count only at the beginning of a run.
const ODD_TOKEN_BYTES_MIN: usize = 60;

/// Tokens (JWT): the base64 of JSON objects, which begins with `eyJ`, joined by dots.
pub(super) fn find_tokens(bytes: &[u8], steps: &mut usize, note: &mut impl FnMut(Range<usize>)) {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'+' | b'/');
    let is_first =
        |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at)).is_none_or(|b| !in_token(*b) || *b == b'=');
    *steps += bytes.len();
    let mut searched = 0;
    for start in memchr::memchr_iter(b'e', bytes) {
        let Some(begins) = bytes.get(start..start + 3).filter(|_| start >= searched) else { continue };
        let is_start = begins == b"eyJ" || (ODD_TOKEN_STARTS.iter().any(|known| **known == begins) && is_first(start));
        if !is_start {
            continue;
        }
        let run = &bytes[start..];
        let length = run.iter().take_while(|b| in_token(**b)).count();
        *steps += length;
        let run = &run[..length];
        let is_token = match begins == b"eyJ" {
            true => length >= TOKEN_BYTES_MIN || run.contains(&b'.'),
            false => length >= ODD_TOKEN_BYTES_MIN && memchr::memchr_iter(b'.', run).count() >= 2,
        };
        if is_token {
            note(start..start + length);
            // What begins within the run is part of it.
            searched = start + length;
        } else {
            searched = start + begins.len();
        }
    }
}

/// The shortest value of a parameter that counts as a secret.
const VALUE_BYTES_MIN: usize = 4;

/// The values of parameters that are called `token`, as in links.
pub(super) fn find_parameters(lower: &[u8], steps: &mut usize, note: &mut impl FnMut(Range<usize>)) {
    const NAME: &[u8] = b"token=";
    let ends =
        |b: u8| b.is_ascii_whitespace() || matches!(b, b'&' | b'"' | b'\'' | b'<' | b'>' | b'#' | b'\\' | b',' | b';');
    *steps += lower.len();
    let mut searched = 0;
    for at in memmem::find_iter(lower, NAME) {
        let start = at + NAME.len();
        if start < searched {
            continue;
        }
        let length = lower[start..].iter().take_while(|b| !ends(**b)).count();
        *steps += length;
        searched = start + length;
        if length >= VALUE_BYTES_MIN {
            note(start..searched);
        }
    }
}
