//! Deflate streams without their compression, and back, bit for bit. The only file that calls preflate-rs.
//!
//! That crate meets bytes from anywhere and asserts in places, so each call is guarded: a panic in it means that the stream is
//! not expandable, or can't be restored, and what the call worked on is dropped.
//!
//! A stream is given to it whole. Given in parts, streams of some packers don't come back, and the crate then prints to the
//! standard output before it panics.
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::{Decompress, FlushDecompress, Status};
use preflate_rs::{PreflateConfig, PreflateStreamProcessor, RecreateStreamProcessor};

use super::{DenseError, Work};

/// The version of preflate-rs that is linked, as it is written into objects. `Cargo.toml` pins it: what it records of a stream
/// can be read by this version alone.
pub(super) const PREFLATE_VERSION: [u8; 3] = [0, 7, 6];

/// Longer streams stay as they are. The crate holds 4 bytes for each token of a stream, of which there are at most as many as
/// plain bytes, and can't be interrupted.
const PLAIN_MAX: u64 = 32 << 20;

/// Hash chains are followed no further than by deflate's own level 9.
const CHAIN_MAX: u32 = 4096;

/// An expanded stream.
pub(super) struct Stream {
    pub compressed_len: usize,
    pub plain: Vec<u8>,
    /// What preflate-rs needs besides the plain bytes.
    pub corrections: Vec<u8>,
}

/// What became of an attempt to expand a stream.
pub(super) enum Attempt {
    Expanded(Stream),
    /// The stream stays as it is. So many plain bytes were produced in vain.
    Failed {
        wasted: u64,
    },
    /// It has more plain bytes than there is room for.
    NoRoom,
}

/// Expands the deflate stream that `data` begins with. One that does not come back bit for bit is not expanded.
/// `room`: how many plain bytes may come of it.
pub(super) fn expand(data: &[u8], room: usize, work: &Work) -> Result<Attempt, DenseError> {
    let (compressed_len, plain_len) = match measure(data, work)? {
        Ok((_, plain_len)) if plain_len > room as u64 => return Ok(Attempt::NoRoom),
        Ok(lengths) => lengths,
        Err(wasted) => return Ok(Attempt::Failed { wasted }),
    };
    let failed = Ok(Attempt::Failed { wasted: plain_len });
    let compressed = &data[..compressed_len];
    let config = PreflateConfig {
        max_chain_length: CHAIN_MAX,
        plain_text_limit: PLAIN_MAX as usize + 1,
        verify_compression: false,
    };
    // Nothing outlives the call but what it returns, so a panic leaves no broken state.
    let expanded = catch_unwind(AssertUnwindSafe(|| {
        let mut processor = PreflateStreamProcessor::new(&config);
        let result = processor.decompress(compressed).ok()?;
        let is_whole = processor.is_done() && result.compressed_size == compressed_len;
        is_whole.then(|| Stream {
            compressed_len,
            plain: processor.detach_plain_text().text().to_vec(),
            corrections: result.corrections,
        })
    }));
    let Ok(Some(stream)) = expanded else { return failed };
    match restore(&stream.plain, &stream.corrections, work) {
        Ok(restored) if restored == compressed => Ok(Attempt::Expanded(stream)),
        Ok(_) | Err(DenseError::Damaged(_)) => failed,
        Err(e) => Err(e),
    }
}

/// The compressed and the plain length of the deflate stream that `data` begins with; if it is none or too long, the plain bytes
/// up to where that was known.
fn measure(data: &[u8], work: &Work) -> Result<Result<(usize, u64), u64>, DenseError> {
    let mut inflate = Decompress::new(false);
    let mut piece = vec![0; 64 << 10];
    loop {
        work.check()?;
        let rest = &data[inflate.total_in() as usize..];
        let before = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(rest, &mut piece, FlushDecompress::None);
        let plain_len = inflate.total_out();
        match status {
            _ if plain_len > PLAIN_MAX => return Ok(Err(plain_len)),
            Ok(Status::StreamEnd) => return Ok(Ok((inflate.total_in() as usize, plain_len))),
            Ok(_) if (inflate.total_in(), plain_len) != before => {}
            Ok(_) | Err(_) => return Ok(Err(plain_len)),
        }
    }
}

/// The compressed bytes of an expanded stream.
pub(super) fn restore(mut plain: &[u8], corrections: &[u8], work: &Work) -> Result<Vec<u8>, DenseError> {
    work.check()?;
    let restored =
        catch_unwind(AssertUnwindSafe(|| RecreateStreamProcessor::new().recompress(&mut plain, corrections)));
    match restored {
        Ok(Ok((compressed, _))) => Ok(compressed),
        Ok(Err(_)) | Err(_) => Err(DenseError::Damaged("a deflate stream can't be restored")),
    }
}
