//! The escapes of the formats that a text may have passed through: URLs, JSON, C, JavaScript, HTML, CSS and MIME. And the
//! words that people write for the signs of an address: `(at)`, `[dot]`.
use std::sync::LazyLock;

use html_escape::NAMED_ENTITIES;
use memchr::{memchr, memchr2, memchr3};

/// Formats disagree on what some escapes mean; a text is read once in each way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Only escapes that mean the same everywhere.
    Common,
    /// `\100` is octal, as in C, JavaScript and shells.
    Octal,
    /// `\40 ` is hexadecimal and ends with the blank, as in CSS.
    Css,
    /// `=40` is an escape too, as in MIME.
    QuotedPrintable,
}

impl Dialect {
    /// Whether an escape may begin with this byte.
    pub fn begins_with(self, byte: u8) -> bool {
        matches!(byte, b'%' | b'\\' | b'&' | b'(' | b'[') || (byte == b'=' && self == Self::QuotedPrintable)
    }

    /// Whether a text has a byte with which an escape may begin; most texts have none.
    pub fn is_in(self, text: &[u8]) -> bool {
        memchr3(b'%', b'\\', b'&', text).is_some()
            || memchr2(b'(', b'[', text).is_some()
            || (self == Self::QuotedPrintable && memchr(b'=', text).is_some())
    }
}

/// What an escape stands for.
pub(super) enum Value {
    Byte(u8),
    Char(char),
    Text(&'static str),
    Nothing,
}

/// The longest name in [`NAMED_ENTITIES`].
const ENTITY_NAME_MAX: usize = 31;

/// The bytes that follow the first of an escape.
#[derive(Clone, Copy)]
pub(super) enum Ahead<'a> {
    Forward(&'a [u8]),
    /// The last byte comes first: texts are decoded from their end.
    Reversed(&'a [u8]),
}

impl Ahead<'_> {
    fn get(self, at: usize) -> Option<u8> {
        match self {
            Self::Forward(bytes) => bytes.get(at).copied(),
            Self::Reversed(bytes) => bytes.len().checked_sub(at + 1).and_then(|at| bytes.get(at)).copied(),
        }
    }

    /// The number written at a position, in at most `digits_max` digits, and how many there are. A number that exceeds every code
    /// point is `u32::MAX`, which is not a character.
    fn number(self, start: usize, radix: u32, digits_max: usize) -> (u32, usize) {
        let (mut value, mut digits) = (0_u32, 0);
        while digits < digits_max
            && let Some(digit) = self.get(start + digits).and_then(|b| char::from(b).to_digit(radix))
        {
            value = value.saturating_mul(radix).saturating_add(digit);
            digits += 1;
        }
        (value, digits)
    }

    /// The value of exactly `digits` hexadecimal digits.
    fn hex(self, start: usize, digits: usize) -> Option<u32> {
        let (value, found) = self.number(start, 16, digits);
        (found == digits).then_some(value)
    }

    fn byte(self, start: usize) -> Option<Value> {
        Some(Value::Byte(u8::try_from(self.hex(start, 2)?).ok()?))
    }
}

/// The escape that begins with `first`, and how many of the following bytes belong to it. An unlimited run of digits or
/// letters is read only by the one escape that it follows, so the work is linear.
pub(super) fn escape(first: u8, rest: Ahead<'_>, dialect: Dialect) -> Option<(Value, usize)> {
    match first {
        b'%' => percent(rest),
        b'\\' => backslash(rest, dialect),
        b'&' => entity(rest),
        b'(' | b'[' => sign_in_words(rest),
        b'=' if dialect == Dialect::QuotedPrintable => quoted_printable(rest),
        _ => None,
    }
}

fn percent(rest: Ahead<'_>) -> Option<(Value, usize)> {
    match rest.get(0)? {
        b'u' | b'U' => unicode(rest),
        _ => Some((rest.byte(0)?, 2)),
    }
}

fn backslash(rest: Ahead<'_>, dialect: Dialect) -> Option<(Value, usize)> {
    let first = rest.get(0)?;
    if dialect == Dialect::Css && first.is_ascii_hexdigit() {
        let (code, digits) = rest.number(0, 16, 6);
        let blank = usize::from(rest.get(digits).is_some_and(|b| b.is_ascii_whitespace()));
        return Some((Value::Char(char::from_u32(code)?), digits + blank));
    }
    match first {
        b'u' | b'U' => unicode(rest),
        b'x' if rest.get(1) == Some(b'{') => braced(rest, 1),
        b'x' => Some((rest.byte(1)?, 3)),
        b'0'..=b'7' if dialect == Dialect::Octal => octal(rest),
        b'n' | b'r' | b't' | b'v' | b'f' => Some((Value::Char('\n'), 1)),
        b'b' => Some((Value::Nothing, 1)),
        c if c.is_ascii_punctuation() => Some((Value::Char(char::from(c)), 1)),
        _ => None,
    }
}

/// `\100`; shells write a zero in front of three digits.
fn octal(rest: Ahead<'_>) -> Option<(Value, usize)> {
    for digits_max in [4, 3, 2] {
        let (code, digits) = rest.number(0, 8, digits_max);
        if (digits < 4 || rest.get(0) == Some(b'0'))
            && let Ok(byte) = u8::try_from(code)
        {
            return Some((Value::Byte(byte), digits));
        }
    }
    None
}

/// `u0040`, `U00000040`, `u{40}`, and the two halves of a surrogate pair. Java allows more than one `u`.
fn unicode(rest: Ahead<'_>) -> Option<(Value, usize)> {
    let mut at = 1;
    while rest.get(at) == Some(b'u') {
        at += 1;
    }
    if rest.get(at) == Some(b'{') {
        return braced(rest, at);
    }
    if rest.get(0) == Some(b'U')
        && let Some(c) = rest.hex(at, 8).and_then(char::from_u32)
    {
        return Some((Value::Char(c), at + 8));
    }
    let code = rest.hex(at, 4)?;
    if let Some(c) = char::from_u32(code) {
        return Some((Value::Char(c), at + 4));
    }
    let is_escape = matches!((rest.get(at + 4), rest.get(at + 5)), (Some(b'\\' | b'%'), Some(b'u' | b'U')));
    let low = rest.hex(at + 6, 4).filter(|low| is_escape && code < 0xdc00 && (0xdc00..0xe000).contains(low))?;
    Some((Value::Char(char::from_u32(0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00))?), at + 10))
}

/// `{40}` at a position.
fn braced(rest: Ahead<'_>, at: usize) -> Option<(Value, usize)> {
    let (code, digits) = rest.number(at + 1, 16, usize::MAX);
    (digits > 0 && rest.get(at + 1 + digits) == Some(b'}')).then_some(())?;
    Some((Value::Char(char::from_u32(code)?), at + digits + 2))
}

/// An HTML entity. The semicolon may be missing, as in browsers.
fn entity(rest: Ahead<'_>) -> Option<(Value, usize)> {
    let with_end = |length: usize| length + usize::from(rest.get(length) == Some(b';'));
    if rest.get(0) == Some(b'#') {
        let (start, radix) = if matches!(rest.get(1), Some(b'x' | b'X')) { (2, 16) } else { (1, 10) };
        let (code, digits) = rest.number(start, radix, usize::MAX);
        let c = (digits > 0).then(|| char::from_u32(code)).flatten()?;
        return Some((Value::Char(c), with_end(start + digits)));
    }
    let mut name = [0; ENTITY_NAME_MAX];
    let mut length = 0;
    while length < ENTITY_NAME_MAX
        && let Some(letter) = rest.get(length).filter(u8::is_ascii_alphanumeric)
    {
        name[length] = letter;
        length += 1;
    }
    let name = &name[..length];
    if rest.get(length) == Some(b';') {
        return Some((Value::Text(text_of(&NAMED_ENTITIES, name)?), length + 1));
    }
    (2..=length).rev().find_map(|length| Some((Value::Text(text_of(&ASCII_ENTITIES, &name[..length])?), length)))
}

type Entity = (&'static [u8], &'static str);

/// The few entities that stand for an ASCII character. Each `&` of a URL asks for one of these.
static ASCII_ENTITIES: LazyLock<Vec<Entity>> =
    LazyLock::new(|| NAMED_ENTITIES.iter().filter(|(_, text)| text.is_ascii()).copied().collect());

fn text_of(entities: &[Entity], name: &[u8]) -> Option<&'static str> {
    let found = entities.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    entities.get(found).map(|(_, text)| *text)
}

/// Signs of an address in words, without the opening bracket.
const SIGNS: [(&[u8], char); 4] = [(b"at", '@'), (b"arroba", '@'), (b"dot", '.'), (b"ponto", '.')];

fn sign_in_words(rest: Ahead<'_>) -> Option<(Value, usize)> {
    SIGNS.iter().find_map(|(word, sign)| {
        let is_word = word.iter().enumerate().all(|(at, b)| rest.get(at).is_some_and(|c| c.eq_ignore_ascii_case(b)));
        let is_closed = matches!(rest.get(word.len()), Some(b')' | b']'));
        (is_word && is_closed).then_some((Value::Char(*sign), word.len() + 1))
    })
}

fn quoted_printable(rest: Ahead<'_>) -> Option<(Value, usize)> {
    match (rest.get(0)?, rest.get(1)) {
        (b'\n', _) => Some((Value::Nothing, 1)),
        (b'\r', Some(b'\n')) => Some((Value::Nothing, 2)),
        _ => Some((rest.byte(0)?, 2)),
    }
}
