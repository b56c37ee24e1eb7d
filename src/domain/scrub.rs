//! What may hold a secret without our knowing: tokens and e-mail addresses are overwritten wherever they stand.

/// Overwrites, with `*`, every token (a JWT) and every e-mail address in a text. The length stays.
pub fn scrub(text: &mut [u8]) {
    scrub_tokens(text);
    scrub_addresses(text);
}

/// The same for a text that is kept as one.
pub fn scrubbed(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    scrub(&mut bytes);
    // Only whole ASCII runs are overwritten, so it is UTF-8 still.
    String::from_utf8(bytes).unwrap_or_default()
}

/// A JWT begins with `{"`, which is `eyJ` in base64; its parts are joined by dots.
fn scrub_tokens(text: &mut [u8]) {
    let in_token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
    let starts: Vec<usize> = memchr::memmem::find_iter(text, b"eyJ").collect();
    for start in starts {
        let length = text[start..].iter().take_while(|b| in_token(**b)).count();
        if text[start..start + length].contains(&b'.') {
            text[start..start + length].fill(b'*');
        }
    }
}

fn scrub_addresses(text: &mut [u8]) {
    let local = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-');
    let domain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let signs: Vec<usize> = memchr::memchr_iter(b'@', text).collect();
    for at in signs {
        let before = text[..at].iter().rev().take_while(|b| local(**b)).count();
        let after = text[at + 1..].iter().take_while(|b| domain(**b)).count();
        if before > 0 && text[at + 1..at + 1 + after].contains(&b'.') {
            text[at - before..at + 1 + after].fill(b'*');
        }
    }
}
