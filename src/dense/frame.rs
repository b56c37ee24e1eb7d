//! zstd frames, with or without a prefix, made in pieces so that they can be interrupted.
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::{ZSTD_e_continue, ZSTD_e_end};

use super::{DenseError, Work};

/// Bytes compressed between two looks at whether to go on.
const PIECE: usize = 256 << 10;

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
    let mut out = Vec::with_capacity(CCtx::out_size());
    let mut pieces = data.chunks(PIECE).peekable();
    loop {
        work.check()?;
        let piece = pieces.next().unwrap_or_default();
        let end = if pieces.peek().is_none() { ZSTD_e_end } else { ZSTD_e_continue };
        let mut input = InBuffer::around(piece);
        loop {
            out.reserve(CCtx::out_size());
            let at = out.len();
            let mut output = OutBuffer::around_pos(&mut out, at);
            let left = context.compress_stream2(&mut output, &mut input, end).map_err(failed)?;
            let is_taken = input.pos() == piece.len() && (end == ZSTD_e_continue || left == 0);
            if is_taken {
                break;
            }
        }
        if end == ZSTD_e_end {
            return Ok(out);
        }
    }
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

/// Decompresses a frame to at most `len` bytes, some at a time; `sink` must check what it gets.
pub(super) fn decompress_to(
    frame: &[u8],
    prefix: &[u8],
    work: &Work,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), DenseError>,
) -> Result<(), DenseError> {
    const DAMAGED: DenseError = DenseError::Damaged("its zstd frame doesn't decode");
    let mut context = DCtx::try_create().ok_or(DenseError::Zstd("no memory"))?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(failed)?;
    }
    let mut input = InBuffer::around(frame);
    let mut piece = Vec::with_capacity(DCtx::out_size());
    loop {
        work.check()?;
        piece.clear();
        let mut output = OutBuffer::around(&mut piece);
        let left = context.decompress_stream(&mut output, &mut input).map_err(|_| DAMAGED)?;
        let is_stuck = piece.is_empty() && input.pos() == frame.len();
        sink(&piece)?;
        match left {
            0 if input.pos() == frame.len() => return Ok(()),
            0 => return Err(DAMAGED),
            _ if is_stuck => return Err(DAMAGED),
            _ => {}
        }
    }
}
