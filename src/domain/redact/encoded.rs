//! Runs of letters that may be the base64 or the hexadecimal form of something else.
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

/// Everything that a run may decode to. It may begin with letters that do not belong to it, so each alignment is tried.
pub(super) fn decodings(run: &[u8]) -> Vec<Vec<u8>> {
    let url_safe = |b: &u8| match b {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    };
    let letters: Vec<u8> = run.iter().map(url_safe).collect();
    let base64 = (0..4).filter_map(|skipped| {
        let aligned = letters.get(skipped..)?;
        // One letter alone is not a byte.
        let whole = aligned.len() - usize::from(aligned.len() % 4 == 1);
        BASE64.decode(&aligned[..whole]).ok()
    });
    let is_hex = run.iter().all(u8::is_ascii_hexdigit);
    let hex = (0..2).filter(|_| is_hex).filter_map(|skipped| {
        let pairs = run.get(skipped..)?.as_chunks::<2>().0;
        hex::decode(pairs.as_flattened()).ok()
    });
    base64.chain(hex).collect()
}

/// Whether all of it could be decoded once more.
pub(super) fn is_encoded(bytes: &[u8]) -> bool {
    bytes.len() >= RUN_BYTES_MIN && bytes.iter().all(|b| is_base64(*b) || *b == b'=')
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
}
