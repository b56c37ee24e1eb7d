//! Decodes the `Content-Encoding` of a body.
use std::borrow::Cow;
use std::io::Read;

use super::ReceiveError;
use crate::domain::excerpt;

/// The largest window of a zstd frame, as a power of two. Enough for the usual compression levels.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The supported encodings.
pub(super) const ENCODINGS: &str = "gzip, deflate, zstd";

/// The decoded body, of at most `bytes_max` bytes.
pub(super) fn unpack<'a>(
    encoding: Option<&str>,
    body: &'a [u8],
    bytes_max: usize,
) -> Result<Cow<'a, [u8]>, ReceiveError> {
    let name = encoding.unwrap_or_default().trim();
    let unpacked = match name.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body.into()),
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(body), bytes_max),
        // The standard means zlib by "deflate"; some senders mean raw deflate.
        "deflate" => read(flate2::read::ZlibDecoder::new(body), bytes_max)
            .or_else(|_| read(flate2::read::DeflateDecoder::new(body), bytes_max)),
        "zstd" => zstd::stream::read::Decoder::new(body).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            read(decoder, bytes_max)
        }),
        _ => return Err(ReceiveError::ContentEncoding(excerpt(name))),
    };
    match unpacked {
        Ok(unpacked) if unpacked.len() > bytes_max => Err(ReceiveError::TooLarge(bytes_max)),
        Ok(unpacked) => Ok(unpacked.into()),
        Err(_) => Err(ReceiveError::BadEncoding(name.to_owned())),
    }
}

/// Reads one byte more than allowed, so that the caller sees when there is more.
fn read(packed: impl Read, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    packed.take(bytes_max as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
