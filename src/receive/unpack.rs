//! Bodies that were compressed for the way.
use std::borrow::Cow;
use std::io::Read;

use super::Rejection;
use crate::domain::excerpt;

/// The largest window of a zstd frame, as a power of two: what the usual levels of compression need.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The encodings that are unpacked.
pub(super) const ENCODINGS: &str = "gzip, deflate, zstd";

/// The body as it was before `Content-Encoding`, of at most `bytes_max` bytes.
pub(super) fn unpack<'a>(encoding: Option<&str>, body: &'a [u8], bytes_max: usize) -> Result<Cow<'a, [u8]>, Rejection> {
    let said = encoding.unwrap_or_default().trim();
    let unpacked = match said.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body.into()),
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(body), bytes_max),
        // What is called deflate is zlib by the standard, and bare deflate by some senders.
        "deflate" => read(flate2::read::ZlibDecoder::new(body), bytes_max)
            .or_else(|_| read(flate2::read::DeflateDecoder::new(body), bytes_max)),
        "zstd" => zstd::stream::read::Decoder::new(body).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read(decoder, bytes_max)
        }),
        _ => return Err(Rejection::ContentEncoding(excerpt(said))),
    };
    match unpacked {
        Ok(unpacked) if unpacked.len() > bytes_max => Err(Rejection::TooLarge(bytes_max)),
        Ok(unpacked) => Ok(unpacked.into()),
        Err(_) => Err(Rejection::NotPacked(said.to_owned())),
    }
}

/// Reads one byte more than may be, so that more is noticed.
fn read(packed: impl Read, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    packed.take(bytes_max as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
