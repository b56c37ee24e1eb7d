//! Finds the deflate streams of a file and expands them: members of zips (and so of workbooks), streams of PDFs, gzip, the image
//! data of PNGs, and all of these inside of one another.
//!
//! What is found depends on the bytes alone, so that a base expands in the same way each time. Streams are looked for by their
//! signatures, from the beginning to the end; nothing that a zip's directory says is used, so it can say what it likes.
use memchr::memmem;

use super::form::{self, FormBuilder};
use super::streams::{self, Attempt, Stream};
use super::{DenseError, Work, png};

/// The largest expanded form.
pub(super) const EXPANDED_MAX: usize = 64 << 20;

/// Streams of a file, at most; one with more is left as it is.
const STREAMS_MAX: usize = 8_000;

/// Signatures that are looked at, at most.
const ATTEMPTS_MAX: usize = 50_000;

/// Plain bytes of streams that then stay as they are, at most. They cost time.
const WASTED_MAX: u64 = 4 * EXPANDED_MAX as u64;

/// Shorter streams are left as they are: there is nothing to gain.
const COMPRESSED_MIN: usize = 24;

const ZIP_MEMBER: &[u8] = b"PK\x03\x04";
const PDF_STREAM: &[u8] = b"stream";
const GZIP: &[u8] = b"\x1f\x8b\x08";

/// The expanded form of a file; `None` if it has no stream worth it, or is too large.
pub(super) fn expand(file: &[u8], work: &Work) -> Result<Option<Vec<u8>>, DenseError> {
    if file.len() > EXPANDED_MAX {
        return Ok(None);
    }
    let mut expand = Expand { out: FormBuilder::default(), work, streams: 0, attempts: 0, wasted: 0 };
    match expand.level(file, 0) {
        Ok(()) if expand.streams > 0 => Ok(Some(expand.out.finish())),
        Ok(()) | Err(Stop::TooMuch) => Ok(None),
        Err(Stop::Error(e)) => Err(e),
    }
}

/// Why expanding ended.
enum Stop {
    /// A limit was reached.
    TooMuch,
    Error(DenseError),
}

impl From<DenseError> for Stop {
    fn from(e: DenseError) -> Self {
        Self::Error(e)
    }
}

struct Expand<'a> {
    out: FormBuilder,
    work: &'a Work<'a>,
    streams: usize,
    attempts: usize,
    /// Plain bytes that were produced in vain.
    wasted: u64,
}

/// Where a stream may be.
enum Candidate {
    /// Its first byte.
    Deflate(usize),
    Png(usize),
    /// Nothing after all; the search goes on at this byte.
    None(usize),
}

impl Expand<'_> {
    /// Everything in `data`, in order.
    fn level(&mut self, data: &[u8], nesting: usize) -> Result<(), Stop> {
        // Each stream costs time, so it is known beforehand whether there are too many.
        if memmem::find_iter(data, ZIP_MEMBER).take(STREAMS_MAX + 1).count() > STREAMS_MAX {
            return Err(Stop::TooMuch);
        }
        let mut search = Search::new(data);
        // Up to here all was written.
        let mut written = 0;
        let mut at = 0;
        while let Some(candidate) = search.next(at) {
            self.attempts += 1;
            if self.attempts > ATTEMPTS_MAX {
                return Err(Stop::TooMuch);
            }
            at = match candidate {
                Candidate::None(next) => next,
                Candidate::Deflate(start) => match self.stream(&data[start..])? {
                    Some(stream) => {
                        self.out.literal(&data[written..start]);
                        written = start + stream.compressed_len;
                        self.write(&stream, nesting)?;
                        written
                    }
                    None => start,
                },
                Candidate::Png(start) => match self.png(data, written, start)? {
                    Some(end) => {
                        written = end;
                        written
                    }
                    None => start + png::SIGNATURE.len(),
                },
            };
        }
        self.out.literal(&data[written..]);
        self.limit(0)
    }

    fn limit(&self, more: usize) -> Result<(), Stop> {
        let len = self.out.len() + more;
        if len > EXPANDED_MAX || self.streams > STREAMS_MAX { Err(Stop::TooMuch) } else { Ok(()) }
    }

    fn stream(&mut self, data: &[u8]) -> Result<Option<Stream>, Stop> {
        let wasted = match streams::expand(data, EXPANDED_MAX.saturating_sub(self.out.len()), self.work)? {
            Attempt::Expanded(stream) if is_worth_it(&stream) => {
                self.limit(stream.plain.len() + stream.corrections.len())?;
                self.streams += 1;
                return Ok(Some(stream));
            }
            Attempt::Expanded(stream) => stream.plain.len() as u64,
            Attempt::Failed { wasted } => wasted,
            Attempt::NoRoom => return Err(Stop::TooMuch),
        };
        self.wasted += wasted;
        if self.wasted > WASTED_MAX { Err(Stop::TooMuch) } else { Ok(None) }
    }

    fn write(&mut self, stream: &Stream, nesting: usize) -> Result<(), Stop> {
        let is_nested = nesting < form::NESTING_MAX && Search::new(&stream.plain).next(0).is_some();
        self.out.number(if is_nested { form::NESTED_DEFLATE } else { form::DEFLATE });
        if !is_nested {
            self.out.number(stream.plain.len() as u64);
        }
        self.out.number(stream.corrections.len() as u64);
        self.out.corrections.extend_from_slice(&stream.corrections);
        if is_nested {
            self.level(&stream.plain, nesting + 1)?;
            self.out.number(form::END);
        } else {
            self.out.plain.extend_from_slice(&stream.plain);
        }
        Ok(())
    }

    /// Expands the image data of the PNG that begins at `start`; up to `written` all was written. Returns where it ends.
    fn png(&mut self, data: &[u8], written: usize, start: usize) -> Result<Option<usize>, Stop> {
        let Some(image) = png::image_data(&data[start..]) else { return Ok(None) };
        let Some(body) = image.data.get(2..).filter(|_| is_zlib(&image.data)) else { return Ok(None) };
        let Some(stream) = self.stream(body)? else { return Ok(None) };
        self.out.literal(&data[written..start + image.start]);
        self.out.number(form::PNG);
        self.out.number(image.lengths.len() as u64);
        for len in &image.lengths {
            self.out.number(*len as u64);
        }
        self.out.literal(&image.data[..2]);
        // Pixels are no place for further streams.
        self.write(&stream, form::NESTING_MAX)?;
        self.out.literal(&body[stream.compressed_len..]);
        self.out.number(form::END);
        Ok(Some(start + image.end))
    }
}

/// What has to be kept to restore a stream is not compressible. Where it is nearly as much as the stream there is nothing to gain.
fn is_worth_it(stream: &Stream) -> bool {
    stream.compressed_len >= COMPRESSED_MIN && stream.corrections.len() < stream.compressed_len / 4 * 3
}

/// Whether the bytes begin as a zlib stream without a preset dictionary.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..]
        if method & 0x0f == 8 && method >> 4 <= 7 && flags & 0x20 == 0 && (u32::from(*method) << 8 | u32::from(*flags)) % 31 == 0)
}

/// Finds signatures in order.
struct Search<'a> {
    data: &'a [u8],
    /// The next place of each, from the last place that was asked for.
    zip: Next,
    pdf: Next,
    png: Next,
}

struct Next {
    finder: memmem::Finder<'static>,
    at: Option<usize>,
    is_known: bool,
}

impl Next {
    fn new(signature: &'static [u8]) -> Self {
        Self { finder: memmem::Finder::new(signature), at: None, is_known: false }
    }

    fn from(&mut self, data: &[u8], from: usize) -> Option<usize> {
        let is_current = self.is_known && self.at.is_none_or(|at| at >= from);
        if !is_current {
            self.at = data.get(from..).and_then(|rest| self.finder.find(rest)).map(|at| from + at);
            self.is_known = true;
        }
        self.at
    }
}

impl<'a> Search<'a> {
    fn new(data: &'a [u8]) -> Self {
        let [zip, pdf] = [ZIP_MEMBER, PDF_STREAM].map(Next::new);
        Self { data, zip, pdf, png: Next::new(&png::SIGNATURE) }
    }

    /// What may be a stream, at `from` or after.
    fn next(&mut self, from: usize) -> Option<Candidate> {
        if from == 0 && self.data.starts_with(GZIP) {
            return Some(gzip_body(self.data).map_or(Candidate::None(GZIP.len()), Candidate::Deflate));
        }
        let zip = self.zip.from(self.data, from);
        let pdf = self.pdf.from(self.data, from);
        let png = self.png.from(self.data, from);
        let first = [zip, pdf, png].into_iter().flatten().min()?;
        Some(if zip == Some(first) {
            zip_member_body(self.data, first).map_or(Candidate::None(first + ZIP_MEMBER.len()), Candidate::Deflate)
        } else if png == Some(first) {
            Candidate::Png(first)
        } else {
            pdf_stream_body(self.data, first).map_or(Candidate::None(first + PDF_STREAM.len()), Candidate::Deflate)
        })
    }
}

/// Where the compressed bytes of the zip member whose header is at an offset begin.
fn zip_member_body(data: &[u8], at: usize) -> Option<usize> {
    let header = data.get(at..at + 30)?;
    let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let (flags, method) = (number(6), number(8));
    let is_encrypted = flags & 1 != 0;
    let start = at + 30 + usize::from(number(26)) + usize::from(number(28));
    (method == 8 && !is_encrypted && start < data.len()).then_some(start)
}

/// Where the compressed bytes of the PDF stream whose keyword is at an offset begin.
fn pdf_stream_body(data: &[u8], at: usize) -> Option<usize> {
    let rest = &data[at + PDF_STREAM.len()..];
    let line_end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(matches!(rest.first(), Some(b'\n' | b'\r'))) };
    let body = &rest[line_end..];
    (line_end > 0 && is_zlib(body)).then_some(at + PDF_STREAM.len() + line_end + 2)
}

/// Where the compressed bytes of a gzip file begin.
fn gzip_body(data: &[u8]) -> Option<usize> {
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let flags = *data.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*data.get(at)?, *data.get(at + 1)?]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += memchr::memchr(0, data.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at < data.len()).then_some(at)
}
