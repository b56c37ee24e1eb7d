//! Runs of letters that may be base64 or hexadecimal.
use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shorter runs hold no address.
const RUN_BYTES_MIN: usize = 8;

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::RequireNone);
const BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

/// Runs of base64 letters of both alphabets, without their padding.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += bytes[at..].iter().take_while(|b| !is_base64(**b)).count();
            let start = at;
            at += bytes[at..].iter().take_while(|b| is_base64(**b)).count();
            if start == at {
                return None;
            }
            if at - start >= RUN_BYTES_MIN {
                return Some(start..at);
            }
        }
    })
}

/// Whether anything that a run may decode to is secret. The run may begin with letters that do not belong to it, so each
/// alignment is tried.
pub(super) fn any_decoding(run: &[u8], mut is_secret: impl FnMut(&[u8]) -> bool) -> bool {
    let url_safe = |b: &u8| match b {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    };
    let letters: Vec<u8> = run.iter().map(url_safe).collect();
    let mut decoded = Vec::with_capacity(run.len());
    for skipped in 0..4 {
        let aligned = &letters[skipped..];
        // One letter alone is not a byte.
        let whole = aligned.len() - usize::from(aligned.len() % 4 == 1);
        decoded.clear();
        if BASE64.decode_vec(&aligned[..whole], &mut decoded).is_ok() && is_secret(&decoded) {
            return true;
        }
    }
    run.iter().all(u8::is_ascii_hexdigit)
        && (0..2).any(|skipped| {
            let pairs = run[skipped..].as_chunks::<2>().0;
            hex::decode(pairs.as_flattened()).is_ok_and(|decoded| is_secret(&decoded))
        })
}

/// Shorter pieces of text within decoded bytes are noise.
const TEXT_BYTES_MIN: usize = 5;

/// Whether decoded bytes hold a piece of text. Ordinary words decode to noise, and need not be searched. Text in UTF-16 has
/// zeros; full-width letters begin with 0xef.
pub(super) fn holds_text(decoded: &[u8]) -> bool {
    let is_text = |b: &u8| matches!(b, 0 | b' '..=b'~');
    decoded.contains(&0xef) || decoded.split(|b| !is_text(b)).any(|piece| piece.len() >= TEXT_BYTES_MIN)
}

/// Whether all of it could be decoded once more.
pub(super) fn is_encoded(bytes: &[u8]) -> bool {
    bytes.len() >= RUN_BYTES_MIN && bytes.iter().all(|b| is_base64(*b) || *b == b'=')
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
}
