//! Redaction: tokens, e-mail addresses and what is known to be secret are overwritten wherever they stand in a text, however
//! they are escaped there.
//!
//! A text is looked at as it is and with its escapes undone (percent-encoding, `\u0040`, `\/`, HTML entities), several times
//! over since escapes nest. Each look takes one pass, and what is found is overwritten where it came from.
use std::ops::Range;

use memchr::memmem;

/// How often escapes are undone: a link in a form field that holds JSON that holds HTML.
const DEPTH_MAX: usize = 4;

/// Digits of a numeric entity that are looked at: leading zeros have no bound of their own.
const ENTITY_DIGITS_MAX: usize = 64;

/// Texts shorter than this are not worth a secret's name and would blot out ordinary words.
const SECRET_BYTES_MIN: usize = 4;

/// What of one notification must not be seen, beside what every token and address looks like.
#[derive(Clone, Default)]
pub struct Secrets(Vec<memmem::Finder<'static>>);

impl Secrets {
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for text in texts {
            // A copy may be escaped where the original is, or undone further.
            let mut view = View::of(text.as_bytes());
            for _ in 0..=DEPTH_MAX {
                all.push(view.bytes.to_ascii_lowercase());
                let Some(next) = view.undone(&mut Steps::default()) else { break };
                view = next;
            }
        }
        all.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        let mut secrets = Self::default();
        secrets.add(Self(all.iter().map(|secret| memmem::Finder::new(secret).into_owned()).collect()));
        secrets
    }

    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
        self.0.sort_by(|a, b| a.needle().cmp(b.needle()));
        self.0.dedup_by(|a, b| a.needle() == b.needle());
    }

    /// A text with every secret overwritten by `*`; `None` where there is none. The length in bytes stays.
    pub fn scrub(&self, text: &str) -> Option<String> {
        self.scrub_counted(text).0
    }

    /// The same, with the number of bytes looked at: it grows with the text's length and no faster.
    pub fn scrub_counted(&self, text: &str) -> (Option<String>, usize) {
        let mut steps = Steps::default();
        let mut found = Vec::new();
        let mut view = View::of(text.as_bytes());
        for _ in 0..=DEPTH_MAX {
            self.find(&view, &mut found, &mut steps);
            let Some(next) = view.undone(&mut steps) else { break };
            view = next;
        }
        let scrubbed = (!found.is_empty()).then(|| overwritten(text, found));
        (scrubbed, steps.0)
    }

    fn find(&self, view: &View, found: &mut Vec<Range<usize>>, steps: &mut Steps) {
        let bytes = &view.bytes;
        let mut note = |span: Range<usize>| found.push(view.source(span));
        find_addresses(bytes, steps, &mut note);
        find_tokens(bytes, steps, &mut note);
        let lower = bytes.to_ascii_lowercase();
        find_parameters(&lower, steps, &mut note);
        for secret in self.0.iter().filter(|secret| secret.needle().len() <= lower.len()) {
            steps.0 += lower.len();
            for at in secret.find_iter(&lower) {
                let end = at + secret.needle().len();
                if stands_alone(&lower, at..end, secret.needle()) {
                    note(at..end);
                }
            }
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A text without tokens and e-mail addresses.
pub fn scrubbed(text: &str) -> String {
    Secrets::default().scrub(text).unwrap_or_else(|| text.to_owned())
}

/// Bytes looked at.
#[derive(Default)]
struct Steps(usize);

/// A text with some of its escapes undone, and where each byte of it came from.
struct View {
    bytes: Vec<u8>,
    /// The first byte in the source of each, and the one after its last.
    from: Vec<(u32, u32)>,
}

impl View {
    fn of(text: &[u8]) -> Self {
        // Bodies have 256 KiB at most, names less.
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { bytes: text.to_vec(), from: (0..text.len()).map(|at| (place(at), place(at + 1))).collect() }
    }

    /// Where a part of it came from.
    fn source(&self, span: Range<usize>) -> Range<usize> {
        let first = self.from.get(span.start).map_or(0, |(start, _)| *start);
        let last = span.end.checked_sub(1).and_then(|at| self.from.get(at)).map_or(first, |(_, end)| *end);
        first as usize..last as usize
    }

    /// With one more layer of escapes undone; `None` where there is none.
    fn undone(&self, steps: &mut Steps) -> Option<Self> {
        steps.0 += self.bytes.len();
        memchr::memchr3(b'%', b'\\', b'&', &self.bytes)?;
        let mut next = Self { bytes: Vec::with_capacity(self.bytes.len()), from: Vec::with_capacity(self.bytes.len()) };
        let mut at = 0;
        let mut undid = false;
        while let Some(byte) = self.bytes.get(at) {
            match escape(&self.bytes[at..]) {
                Some((c, length)) => {
                    let source = (self.from[at].0, self.from[at + length - 1].1);
                    for byte in c.as_bytes() {
                        next.bytes.push(*byte);
                        next.from.push(source);
                    }
                    at += length;
                    undid = true;
                }
                None => {
                    next.bytes.push(*byte);
                    next.from.push(self.from[at]);
                    at += 1;
                }
            }
        }
        undid.then_some(next)
    }
}

/// What one escape stands for: up to four bytes.
struct Escaped {
    bytes: [u8; 4],
    length: usize,
}

impl Escaped {
    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn char(code: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = char::from_u32(code)?.encode_utf8(&mut bytes).len();
        Some(Self { bytes, length })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The escape that stands at the beginning, and its length.
fn escape(bytes: &[u8]) -> Option<(Escaped, usize)> {
    match bytes {
        [b'%' | b'\\', b'u' | b'U', rest @ ..] => match rest {
            [b'{', rest @ ..] => {
                let digits = rest.iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
                let code = number(&rest[..digits], 16)?;
                (rest.get(digits) == Some(&b'}')).then_some(())?;
                Some((Escaped::char(code)?, digits + 4))
            }
            _ => Some((Escaped::char(number(rest.get(..4)?, 16)?)?, 6)),
        },
        [b'%', rest @ ..] => Some((Escaped::byte(u8::try_from(number(rest.get(..2)?, 16)?).ok()?), 3)),
        [b'\\', b'x', rest @ ..] => Some((Escaped::byte(u8::try_from(number(rest.get(..2)?, 16)?).ok()?), 4)),
        [b'\\', c @ (b'/' | b'\\' | b'"'), ..] => Some((Escaped::byte(*c), 2)),
        [b'&', rest @ ..] => entity(rest).map(|(c, length)| (c, length + 1)),
        _ => None,
    }
}

/// An HTML entity without its `&`; the semicolon may be missing, as browsers have it.
fn entity(bytes: &[u8]) -> Option<(Escaped, usize)> {
    const NAMES: &[(&str, u8)] = &[
        ("commat", b'@'),
        ("period", b'.'),
        ("equals", b'='),
        ("lowbar", b'_'),
        ("hyphen", b'-'),
        ("percnt", b'%'),
        ("colon", b':'),
        ("quest", b'?'),
        ("plus", b'+'),
        ("quot", b'"'),
        ("apos", b'\''),
        ("bsol", b'\\'),
        ("sol", b'/'),
        ("amp", b'&'),
        ("num", b'#'),
        ("lt", b'<'),
        ("gt", b'>'),
    ];
    let with_end = |length: usize| length + usize::from(bytes.get(length) == Some(&b';'));
    if let Some(rest) = bytes.strip_prefix(b"#") {
        let (prefix, radix) = if matches!(rest.first(), Some(b'x' | b'X')) { (1, 16) } else { (0, 10) };
        let is_digit = |b: &&u8| char::from(**b).is_digit(radix);
        let digits = rest[prefix..].iter().take(ENTITY_DIGITS_MAX).take_while(is_digit).count();
        let code = number(&rest[prefix..prefix + digits], radix)?;
        return Some((Escaped::char(code)?, with_end(1 + prefix + digits)));
    }
    let (name, c) = NAMES.iter().find(|(name, _)| bytes.starts_with(name.as_bytes()))?;
    Some((Escaped::byte(*c), with_end(name.len())))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    u32::from_str_radix(text, radix).ok()
}

/// E-mail addresses: each `@` with what may stand on both sides of it.
fn find_addresses(bytes: &[u8], steps: &mut Steps, note: &mut impl FnMut(Range<usize>)) {
    let local = |b: u8| {
        b.is_ascii_alphanumeric()
            || b >= 0x80
            || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'#' | b'$' | b'~')
    };
    let domain = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'.' | b'-');
    steps.0 += bytes.len();
    // An `@` belongs to neither side, so no byte is walked over more than twice.
    for at in memchr::memchr_iter(b'@', bytes) {
        let before = bytes[..at].iter().rev().take_while(|b| local(**b)).count();
        let after = bytes[at + 1..].iter().take_while(|b| domain(**b)).count();
        steps.0 += before + after;
        if before > 0 && bytes[at + 1..at + 1 + after].contains(&b'.') {
            note(at - before..at + 1 + after);
        }
    }
}

/// How the base64 of a JSON object begins that is written with white space: `{ `, a brace and a line end.
const ODD_TOKEN_STARTS: [&[u8; 3]; 3] = [b"eyA", b"ewo", b"ew0"];

/// The shortest run of characters after such a beginning that is taken for a part of a token.
const TOKEN_BYTES_MIN: usize = 20;

/// The same where the beginning is one that words have too (`ewo` of `framework`); and these stand at a run's beginning.
const ODD_TOKEN_BYTES_MIN: usize = 60;

/// Tokens (JWT): the base64 of JSON objects, which begins with `eyJ`, joined by dots.
fn find_tokens(bytes: &[u8], steps: &mut Steps, note: &mut impl FnMut(Range<usize>)) {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b'+' | b'/');
    let is_first =
        |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at)).is_none_or(|b| !in_token(*b) || *b == b'=');
    steps.0 += bytes.len();
    let mut walked = 0;
    for start in memchr::memchr_iter(b'e', bytes) {
        let Some(begins) = bytes.get(start..start + 3).filter(|_| start >= walked) else { continue };
        let is_start = begins == b"eyJ" || (ODD_TOKEN_STARTS.iter().any(|known| **known == begins) && is_first(start));
        if !is_start {
            continue;
        }
        let run = &bytes[start..];
        let length = run.iter().take_while(|b| in_token(**b)).count();
        steps.0 += length;
        let run = &run[..length];
        let is_token = match begins == b"eyJ" {
            true => length >= TOKEN_BYTES_MIN || run.contains(&b'.'),
            false => length >= ODD_TOKEN_BYTES_MIN && memchr::memchr_iter(b'.', run).count() >= 2,
        };
        if is_token {
            note(start..start + length);
            // What begins within the run is part of it.
            walked = start + length;
        } else {
            walked = start + begins.len();
        }
    }
}

/// The values of parameters that are called `token`, as links have them.
fn find_parameters(lower: &[u8], steps: &mut Steps, note: &mut impl FnMut(Range<usize>)) {
    const NAME: &[u8] = b"token=";
    let ends =
        |b: u8| b.is_ascii_whitespace() || matches!(b, b'&' | b'"' | b'\'' | b'<' | b'>' | b'#' | b'\\' | b',' | b';');
    steps.0 += lower.len();
    let mut walked = 0;
    for at in memmem::find_iter(lower, NAME) {
        let start = at + NAME.len();
        if start < walked {
            continue;
        }
        let length = lower[start..].iter().take_while(|b| !ends(**b)).count();
        steps.0 += length;
        walked = start + length;
        if length >= SECRET_BYTES_MIN {
            note(start..walked);
        }
    }
}

/// A secret of letters and digits alone, such as a log-in name, is found as a word; any other wherever it stands.
fn stands_alone(bytes: &[u8], span: Range<usize>, secret: &[u8]) -> bool {
    let in_word = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80;
    if !secret.iter().all(in_word) || secret.len() >= TOKEN_BYTES_MIN {
        return true;
    }
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    !before.is_some_and(in_word) && !bytes.get(span.end).is_some_and(in_word)
}

fn overwritten(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|span| span.start);
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for span in found {
        let start = text.floor_char_boundary(span.start.max(at));
        let end = text.ceil_char_boundary(span.end);
        if end <= at {
            continue;
        }
        kept.push_str(text.get(at..start).unwrap_or_default());
        kept.extend(std::iter::repeat_n('*', end - start));
        at = end;
    }
    kept.push_str(&text[at..]);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Secrets, scrubbed};

    const CANARY: &str = "canario+ons@example.com.br";
    const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6ImNhbmFyaW8ifQ.c2lnbmF0dXJl";
    const LINK: &str = "https://apps08.ons.org.br/ONS.Sintegre.Proxy/webhook?token=segredo.bem.guardado&x=%20y";

    fn secrets() -> Secrets {
        Secrets::new([LINK.to_owned(), "CORP\\joao".to_owned(), "segredo.bem.guardado".to_owned()])
    }

    #[test]
    fn secrets_are_found_in_every_dress() {
        for text in [
            "de canario%40example.com.br para",
            "de canario\\u0040example.com.br para",
            "de canario&#64;example&period;com.br para",
            "de canario%2540example%252Ecom.br para",
            "de canario\\x40example.com.br para",
            "de canario&#64example.com.br para",
        ] {
            let kept = scrubbed(text);
            assert!(kept.starts_with("de *") && kept.ends_with("* para") && kept.len() == text.len(), "{kept}");
        }
        for text in
            [TOKEN.replace('.', "%2E"), TOKEN.replace('.', "\\u002e"), TOKEN.replace('.', "&#46;"), TOKEN.to_owned()]
        {
            assert!(scrubbed(&text).bytes().all(|b| b == b'*'), "{}", scrubbed(&text));
        }
        for text in [
            LINK.replace('/', "\\/"),
            LINK.replace('&', "&amp;"),
            percent_encoding::utf8_percent_encode(LINK, percent_encoding::NON_ALPHANUMERIC).to_string(),
            LINK.to_uppercase(),
        ] {
            let kept = secrets().scrub(&text).expect("a secret");
            assert!(kept.bytes().all(|b| b == b'*'), "{kept}");
        }
        assert_eq!(secrets().scrub("x token=abcdef y").as_deref(), Some("x token=****** y"));
        assert_eq!(secrets().scrub("user CORP\\joao!").as_deref(), Some("user *********!"));
        assert_eq!(secrets().scrub("Previsão de carga 100%, R$ 5 @ 10.5, eyJ e token"), None);
    }

    fn escaped(text: &str, how: &[u8]) -> String {
        let escape = |(i, c): (usize, char)| match how[i % how.len()] % 8 {
            1 => format!("%{:02X}", c as u32),
            2 => format!("\\u{:04x}", c as u32),
            3 => format!("&#{};", c as u32),
            4 => format!("&#x{:x};", c as u32),
            5 => format!("\\x{:02x}", c as u32),
            6 => format!("%25{:02x}", c as u32),
            7 if c == '/' => "\\/".to_owned(),
            // Who writes escapes with backslashes escapes these too.
            _ if c == '\\' => "\\\\".to_owned(),
            _ => c.to_string(),
        };
        text.chars().enumerate().map(escape).collect()
    }

    proptest! {
        #[test]
        fn no_way_of_writing_a_secret_leaves_any_of_it(how in prop::collection::vec(any::<u8>(), 1..40), before in "[ ,;:()]{0,9}", after in "[ ,]{0,9}") {
            for secret in [CANARY, TOKEN, LINK, "CORP\\joao"] {
                let text = format!("{before}{}{after}", escaped(secret, &how));
                let kept = secrets().scrub(&text).unwrap_or_default();
                prop_assert!(kept.starts_with(&before) && kept.ends_with(&after), "{}", kept);
                prop_assert!(kept[before.len()..kept.len() - after.len()].bytes().all(|b| b == b'*'), "{} of {}", kept, text);
            }
        }

        #[test]
        fn any_text_takes_linear_work(seed in "[eyJ@.%\\\\&#u0-9a;=/+tokn -]{1,12}", times in 1_usize..4_000, tail in "\\PC{0,40}") {
            let text = seed.repeat(times) + &tail;
            let (kept, steps) = secrets().scrub_counted(&text);
            prop_assert!(steps <= 150 * (text.len() + 1), "{} steps for {} bytes", steps, text.len());
            prop_assert!(kept.is_none_or(|kept| kept.len() == text.len()));
        }
    }
}
