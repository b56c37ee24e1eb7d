//! zstd frames, with or without a prefix.
use zstd::zstd_safe::{CCtx, CParameter, DCtx, compress_bound, get_error_name};

use super::{DenseError, Work};

/// The largest window that is written: 128 MiB. Whoever decodes a frame without its prefix needs that much memory.
const WINDOW_LOG_MAX: u32 = 27;
const WINDOW_LOG_MIN: u32 = 17;

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    pub level: i32,
    /// The logarithm of the number of entries in the table that finds matches; each takes 4 bytes of memory.
    pub table_log_max: u32,
}

fn failed(code: usize) -> DenseError {
    DenseError::Zstd(get_error_name(code))
}

/// Compresses `data`; matches with `prefix` cost hardly anything.
pub(super) fn compress(data: &[u8], prefix: &[u8], effort: Effort, work: &Work) -> Result<Vec<u8>, DenseError> {
    let mut context = CCtx::try_create().ok_or(DenseError::Zstd("no memory"))?;
    let mut set = |parameter| context.set_parameter(parameter).map(drop).map_err(failed);
    let reach = (data.len() + prefix.len()).max(1).ilog2() + 1;
    let window_log = reach.clamp(WINDOW_LOG_MIN, WINDOW_LOG_MAX);
    set(CParameter::CompressionLevel(effort.level))?;
    set(CParameter::WindowLog(window_log))?;
    if effort.level >= 19 {
        let table_log = (window_log + 1).min(effort.table_log_max);
        set(CParameter::ChainLog(table_log))?;
        set(CParameter::HashLog(table_log.min(22)))?;
    }
    set(CParameter::EnableLongDistanceMatching(reach > 22 || !prefix.is_empty()))?;
    context.set_pledged_src_size(Some(data.len() as u64)).map_err(failed)?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    work.check()?;
    // All at once: with pieces, zstd would keep a copy of everything that it may look back to.
    let mut out = Vec::with_capacity(compress_bound(data.len()));
    context.compress2(&mut out, data).map_err(failed)?;
    out.shrink_to_fit();
    Ok(out)
}

/// Decompresses a frame to exactly `len` bytes, the caller's bound.
pub(super) fn decompress(frame: &[u8], prefix: &[u8], len: usize) -> Result<Vec<u8>, DenseError> {
    const DAMAGED: DenseError = DenseError::Damaged("its zstd frame doesn't decode to its length");
    let stated = zstd::zstd_safe::get_frame_content_size(frame).map_err(|_| DAMAGED)?;
    if stated != Some(len as u64) {
        return Err(DAMAGED);
    }
    let mut context = DCtx::try_create().ok_or(DenseError::Zstd("no memory"))?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    let mut out = Vec::new();
    out.try_reserve_exact(len).map_err(|_| DenseError::Zstd("no memory"))?;
    match context.decompress(&mut out, frame) {
        Ok(n) if n == len => Ok(out),
        _ => Err(DAMAGED),
    }
}
