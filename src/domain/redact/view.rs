//! A text as a search reads it: normalized, with its escapes decoded, and with the origin of each byte.
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::escape::{Ahead, Dialect, Value, escape};
use crate::domain::text::is_invisible;

/// Where a byte of a view came from: the first byte in the source and the one after the last.
type Origin = (usize, usize);

/// A normalized text: compatibility characters are decomposed (a full-width `＠` is an `@`), every dash is a hyphen,
/// control characters and characters without width are gone. Letters outside ASCII are in lower case.
pub(super) struct View {
    pub bytes: Vec<u8>,
    /// The origin of each byte; empty if every byte is that of the source.
    origins: Vec<Origin>,
}

impl View {
    pub fn new(text: &[u8]) -> Self {
        if text.iter().all(|b| is_plain(*b)) {
            return Self { bytes: text.to_vec(), origins: Vec::new() };
        }
        let mut view = Self { bytes: Vec::with_capacity(text.len()), origins: Vec::with_capacity(text.len()) };
        let mut at = 0;
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                let origin = (at, at + c.len_utf8());
                normalized(c, |c| view.push(c.encode_utf8(&mut [0; 4]).as_bytes(), origin));
                at += c.len_utf8();
            }
            for byte in chunk.invalid() {
                view.push(&[*byte], (at, at + 1));
                at += 1;
            }
        }
        view
    }

    fn push(&mut self, bytes: &[u8], origin: Origin) {
        self.bytes.extend_from_slice(bytes);
        self.origins.extend(std::iter::repeat_n(origin, bytes.len()));
    }

    fn origin(&self, at: usize) -> Origin {
        self.origins.get(at).copied().unwrap_or((at, at + 1))
    }

    /// The part of the source that a part of the view came from.
    pub fn source(&self, span: Range<usize>) -> Range<usize> {
        let (start, _) = self.origin(span.start);
        let (_, end) = self.origin(span.end.saturating_sub(1));
        start..end
    }

    /// Whether something was left out between this byte and the one before it.
    pub fn has_gap_before(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| self.origin(before).1 < self.origin(at).0)
    }

    /// The view with every escape decoded, and whatever those decode to; `None` if there is no escape.
    ///
    /// The text is read from its end, so that what follows an escape's first byte is decoded already: one pass decodes
    /// any number of layers.
    pub fn decoded(&self, dialect: Dialect, steps: &mut usize) -> Option<Self> {
        *steps += self.bytes.len();
        let last = self.last_escape(dialect)?;
        *steps += 2 * self.bytes.len();
        let mut stack = Stack::of(self, last + 1);
        for (at, byte) in self.bytes[..=last].iter().enumerate().rev() {
            stack.push(*byte, self.origin(at));
            while stack.decode_front(dialect, steps) {}
        }
        stack.bytes.reverse();
        stack.origins.reverse();
        Some(Self { bytes: stack.bytes, origins: stack.origins })
    }

    /// Where the last escape begins. Nothing behind it changes, so most texts need no copy.
    fn last_escape(&self, dialect: Dialect) -> Option<usize> {
        if !dialect.is_in(&self.bytes) {
            return None;
        }
        let mut candidates = self.bytes.iter().enumerate().rev().filter(|(_, byte)| dialect.begins_with(**byte));
        let is_escape = |at: usize, first: u8| escape(first, Ahead::Forward(&self.bytes[at + 1..]), dialect).is_some();
        candidates.find(|(at, first)| is_escape(*at, **first)).map(|(at, _)| at)
    }

    /// The view without line breaks and tabs; `None` if it has none.
    pub fn without_breaks(&self) -> Option<Self> {
        let is_break = |b: &u8| matches!(b, b'\n' | b'\r' | b'\t');
        if !self.bytes.iter().any(is_break) {
            return None;
        }
        let mut view = Self { bytes: Vec::with_capacity(self.bytes.len()), origins: Vec::new() };
        for (at, byte) in self.bytes.iter().enumerate().filter(|(_, byte)| !is_break(byte)) {
            view.push(&[*byte], self.origin(at));
        }
        Some(view)
    }
}

/// The decoded end of a text, reversed: the last byte is the front.
struct Stack {
    bytes: Vec<u8>,
    origins: Vec<Origin>,
}

impl Stack {
    /// The end of a view, from a byte on.
    fn of(view: &View, start: usize) -> Self {
        let mut bytes = Vec::with_capacity(view.bytes.len());
        bytes.extend(view.bytes[start..].iter().rev());
        let mut origins = Vec::with_capacity(view.bytes.len());
        match view.origins.get(start..) {
            Some(some) if !view.origins.is_empty() => origins.extend(some.iter().rev()),
            _ => origins.extend((start..view.bytes.len()).rev().map(|at| (at, at + 1))),
        }
        Self { bytes, origins }
    }

    fn push(&mut self, byte: u8, origin: Origin) {
        self.bytes.push(byte);
        self.origins.push(origin);
    }

    fn push_char(&mut self, c: char, origin: Origin) {
        // Decompositions are short: the longest has 18 characters.
        let mut normal = String::new();
        normalized(c, |c| normal.push(c));
        normal.bytes().rev().for_each(|byte| self.push(byte, origin));
    }

    fn push_byte(&mut self, byte: u8, origin: Origin) {
        let length = match byte {
            0..0x80 => return self.push_char(char::from(byte), origin),
            // It may continue a character whose first byte comes next.
            0x80..0xc0 => return self.push(byte, origin),
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let rest = self.bytes.len().checked_sub(length - 1);
        let sequence: Vec<u8> =
            std::iter::once(byte).chain(self.bytes.iter().rev().take(length - 1).copied()).collect();
        match (rest, std::str::from_utf8(&sequence).ok().and_then(|text| text.chars().next())) {
            (Some(rest), Some(c)) => {
                let end = self.origins.get(rest).map_or(origin.1, |(_, end)| *end);
                self.bytes.truncate(rest);
                self.origins.truncate(rest);
                self.push_char(c, (origin.0, end));
            }
            // Latin-1.
            _ => self.push_char(char::from(byte), origin),
        }
    }

    /// Replaces the escape at the front by what it stands for; `false` if there is none.
    fn decode_front(&mut self, dialect: Dialect, steps: &mut usize) -> bool {
        let Some((first, rest)) = self.bytes.split_last() else { return false };
        if !dialect.begins_with(*first) {
            return false;
        }
        let Some((value, length)) = escape(*first, Ahead::Reversed(rest), dialect) else { return false };
        *steps += length;
        let kept = rest.len() - length;
        let (start, _) = self.origins[rest.len()];
        // A blank that ends an escape of CSS stays.
        let blank = usize::from(length > 1 && rest[kept].is_ascii_whitespace());
        let (_, end) = self.origins[kept + blank];
        self.bytes.truncate(kept);
        self.origins.truncate(kept);
        match value {
            Value::Byte(byte) => self.push_byte(byte, (start, end)),
            Value::Char(c) => self.push_char(c, (start, end)),
            Value::Text(text) => text.chars().rev().for_each(|c| self.push_char(c, (start, end))),
            Value::Nothing => {}
        }
        true
    }
}

/// Whether a byte is a character that normalizing does not change.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
}

/// One character normalized. One at a time is enough: nothing is composed.
fn normalized(c: char, mut push: impl FnMut(char)) {
    if c.is_ascii() && is_plain(c as u8) {
        return push(c);
    }
    for c in std::iter::once(c).nfkd() {
        match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => push('-'),
            '\u{3002}' => push('.'),
            '\u{2028}' | '\u{2029}' => push('\n'),
            c if c.is_control() && c.is_whitespace() => push('\n'),
            c if c.is_whitespace() => push(' '),
            c if c.is_control() || is_invisible(c) || c == char::REPLACEMENT_CHARACTER => {}
            c if c.is_ascii() => push(c),
            c => c.to_lowercase().for_each(&mut push),
        }
    }
}
