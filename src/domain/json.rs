//! JSON as text, read token by token. Numbers of any size, strings with invalid escapes and nesting of any depth are
//! preserved, where a parser into values would refuse or round them. Every function takes linear time and no recursion.
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

/// Deeper values become strings: parsers commonly stop at 128 levels, and a response adds some.
const DEPTH_MAX: usize = 64;

/// What a link is replaced by.
const LINK: &str = "\"[link]\"";

/// What was changed in a document so that every parser accepts it.
#[derive(Debug, Default)]
pub struct Changes {
    /// Halves of surrogate pairs became U+FFFD.
    pub lone_surrogates: bool,
    /// Values deeper than [`DEPTH_MAX`] became strings.
    pub too_deep: bool,
    /// Numbers that are infinite for common parsers, and became strings.
    pub numbers: Vec<String>,
    /// Keys that occur more than once in an object.
    pub repeated_keys: Vec<String>,
}

/// The text of a valid JSON object. Raw control characters and invalid escapes in strings, which the grammar forbids and some
/// programs send, are escaped. `None` if the text is not an object.
pub fn object(text: &str) -> Option<Cow<'_, str>> {
    let is_object =
        |text: &str| serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'));
    if is_object(text) {
        return Some(Cow::Borrowed(text));
    }
    Some(repaired(text)).filter(|text| is_object(text)).map(Cow::Owned)
}

/// Escapes raw control characters and the backslashes of invalid escapes.
fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len() + 16);
    let mut in_string = false;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '"' => {
                in_string = !in_string;
                repaired.push(c);
            }
            '\\' if in_string => {
                let after = &text[at + 1..];
                let is_escape = match after.as_bytes().first() {
                    Some(b'u') => after.as_bytes().get(1..5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
                    Some(c) => b"\"\\/bfnrt".contains(c),
                    None => false,
                };
                repaired.push('\\');
                match is_escape {
                    true => repaired.extend(rest.next().map(|(_, c)| c)),
                    false => repaired.push('\\'),
                }
            }
            c if in_string && c < ' ' => repaired.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => repaired.push(c),
        }
    }
    repaired
}

/// The keys of an object, decoded, and the positions of their values, in the order sent. The text is one from [`object`].
pub fn members(text: &str) -> Vec<(String, Range<usize>)> {
    let mut members = Vec::with_capacity(8);
    let mut tokens = Tokens { text, at: 0 };
    tokens.next();
    while let Some(key) = tokens.next() {
        if key.kind == Kind::String {
            tokens.next();
            let Some(value) = tokens.value() else { break };
            members.push((unescaped(inside(text, &key.span)).0.into_owned(), value));
        }
    }
    members
}

/// The text of a string; `None` if the value is not a string.
pub fn string(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescaped(inner).0.into_owned())
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A document from [`object`] with its strings rewritten and the values at `links` replaced, such that every parser accepts it.
/// Everything else stays as it was sent.
pub fn rewritten(text: &str, links: &[Range<usize>], rewrite: &dyn Fn(&str) -> Option<String>) -> (String, Changes) {
    let mut out = Output { text, copied: 0, written: String::with_capacity(text.len()) };
    let mut changes = Changes::default();
    let mut links = links.iter();
    let mut link = links.next();
    let mut keys: Vec<HashSet<String>> = Vec::new();
    let mut tokens = Tokens { text, at: 0 };
    while let Some(token) = tokens.next() {
        if let Some(span) = link.filter(|span| span.start == token.span.start) {
            out.replace(span, LINK);
            tokens.at = span.end;
            link = links.next();
            continue;
        }
        match token.kind {
            Kind::Open if keys.len() == DEPTH_MAX => {
                tokens.at = token.span.start;
                let Some(span) = tokens.value() else { break };
                let deep = &text[span.clone()];
                out.replace(&span, &quoted(&rewrite(deep).unwrap_or_else(|| deep.to_owned())));
                changes.too_deep = true;
            }
            Kind::Open => keys.push(HashSet::new()),
            Kind::Close => drop(keys.pop()),
            Kind::String => {
                let (decoded, is_lone) = unescaped(inside(text, &token.span));
                let instead = rewrite(&decoded);
                changes.lone_surrogates |= is_lone;
                if tokens.is_key() && keys.last_mut().is_some_and(|keys| !keys.insert(decoded.clone().into_owned())) {
                    changes.repeated_keys.push(instead.clone().unwrap_or_else(|| decoded.clone().into_owned()));
                }
                if is_lone || instead.is_some() {
                    out.replace(&token.span, &quoted(instead.as_deref().unwrap_or(&decoded)));
                }
            }
            Kind::Bare => {
                let literal = &text[token.span.clone()];
                if literal.parse::<f64>().is_ok_and(f64::is_infinite) {
                    out.replace(&token.span, &quoted(literal));
                    changes.numbers.push(literal.to_owned());
                }
            }
            Kind::Separator => {}
        }
    }
    (out.finish(), changes)
}

/// A document as a value. Integers that a value cannot hold become strings.
pub fn value(text: &str) -> Option<Value> {
    let mut out = Output { text, copied: 0, written: String::with_capacity(text.len()) };
    let tokens = Tokens { text, at: 0 };
    for token in tokens.filter(|token| token.kind == Kind::Bare) {
        let literal = &text[token.span.clone()];
        let is_integer = literal.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
        if is_integer && literal.parse::<i64>().is_err() && literal.parse::<u64>().is_err() {
            out.replace(&token.span, &quoted(literal));
        }
    }
    serde_json::from_str(&out.finish()).ok()
}

struct Output<'a> {
    text: &'a str,
    copied: usize,
    written: String,
}

impl Output<'_> {
    fn replace(&mut self, span: &Range<usize>, instead: &str) {
        self.written.push_str(&self.text[self.copied..span.start]);
        self.written.push_str(instead);
        self.copied = span.end;
    }

    fn finish(mut self) -> String {
        self.written.push_str(&self.text[self.copied..]);
        self.written
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Separator,
    String,
    /// A number, `true`, `false` or `null`.
    Bare,
}

struct Token {
    kind: Kind,
    span: Range<usize>,
}

/// The tokens of a valid document.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    }

    /// Whether a colon follows, so that the last string was a key.
    fn is_key(&mut self) -> bool {
        self.skip_space();
        self.text.as_bytes().get(self.at) == Some(&b':')
    }

    /// The next value, complete.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.next()?;
        let mut depth = usize::from(first.kind == Kind::Open);
        let mut end = first.span.end;
        while depth > 0 {
            let token = self.next()?;
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                _ => {}
            }
            end = token.span.end;
        }
        Some(first.span.start..end)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.skip_space();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let kind = match bytes.get(start)? {
            b'{' | b'[' => Kind::Open,
            b'}' | b']' => Kind::Close,
            b':' | b',' => Kind::Separator,
            b'"' => Kind::String,
            _ => Kind::Bare,
        };
        let length = match kind {
            Kind::String => string_length(&bytes[start..]),
            Kind::Bare => {
                let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b']' | b'}' | b':');
                bytes[start..].iter().take_while(|b| !ends(b)).count()
            }
            _ => 1,
        };
        self.at = start + length;
        Some(Token { kind, span: start..self.at })
    }
}

/// The length of the string at the beginning, its quotes included.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The part between the quotes of a string.
fn inside<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    text.get(span.start + 1..span.end - 1).unwrap_or_default()
}

/// A string with its escapes decoded, and whether it held half of a surrogate pair, which becomes U+FFFD.
fn unescaped(inner: &str) -> (Cow<'_, str>, bool) {
    if !inner.contains('\\') {
        return (Cow::Borrowed(inner), false);
    }
    let mut text = String::with_capacity(inner.len());
    let mut is_lone = false;
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let Some(kind) = escape.chars().next() else { break };
        rest = &escape[kind.len_utf8()..];
        text.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = code_unit(rest);
                rest = rest.get(4..).unwrap_or_default();
                let second = rest.strip_prefix("\\u").map(code_unit);
                match (char::from_u32(first), second) {
                    (Some(c), _) => c,
                    (None, Some(second @ 0xdc00..=0xdfff)) if first < 0xdc00 => {
                        rest = &rest[6..];
                        let pair = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    (None, _) => {
                        is_lone = true;
                        char::REPLACEMENT_CHARACTER
                    }
                }
            }
            other => other,
        });
    }
    text.push_str(rest);
    (Cow::Owned(text), is_lone)
}

/// The value of the four hexadecimal digits at the beginning.
fn code_unit(text: &str) -> u32 {
    text.get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0xfffd)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{members, object, rewritten, string, value};

    #[test]
    fn what_parsers_cannot_hold_becomes_a_string() {
        let deep = format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000));
        let sent =
            format!(r#"{{"a":"x\ud800y\ud83d\ude00","n":1e999,"big":123456789012345678901234567890,"a":{deep}}}"#);
        let (text, changes) = rewritten(&object(&sent).expect("an object"), &[], &|_| None);
        assert!(text.contains("123456789012345678901234567890") && text.contains("\"1e999\""), "{text}");
        assert!(text.contains("x\u{fffd}y\u{1f600}"), "{text}");
        assert!(changes.lone_surrogates && changes.too_deep);
        assert_eq!((changes.numbers, changes.repeated_keys), (vec!["1e999".to_owned()], vec!["a".to_owned()]));
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        assert_eq!(rewritten(&text, &[], &|_| None).0, text, "a second time changes nothing");
        assert_eq!(value(&text).expect("a value")["big"], "123456789012345678901234567890");
    }

    #[test]
    fn raw_control_characters_and_invalid_escapes_are_repaired() {
        let repaired = object("{\"a\": \"x\ny\\q\\u12\"}").expect("an object");
        assert_eq!(serde_json::from_str::<Value>(&repaired).expect("JSON")["a"], "x\ny\\q\\u12");
        for no in ["[1]", "{\"a\":1", "{} {}", "\"text\"", ""] {
            assert!(object(no).is_none(), "{no}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_that_a_parser_finds(map in prop::collection::btree_map(any::<String>(), any_json(), 0..6), pretty in any::<bool>()) {
            let value = Value::Object(map.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let found = members(&object(&text).expect("an object"));
            prop_assert_eq!(found.len(), value.as_object().expect("an object").len());
            for (key, span) in found {
                prop_assert_eq!(serde_json::from_str::<Value>(&text[span.clone()]).expect("JSON"), value[&key].clone());
                prop_assert_eq!(string(&text[span]), value[&key].as_str().map(str::to_owned));
            }
            prop_assert_eq!(rewritten(&text, &[], &|_| None).0, text);
        }
    }
}
