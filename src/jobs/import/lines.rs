//! Lines of a file that may be compressed, read one by one, with a limit for each.
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first bytes of gzip and zstd files.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The first bytes of formats that are not read.
const OTHERS: [(&[u8], &str); 5] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"PK\x03\x04", "zip"),
    (b"Rar!", "RAR"),
];

/// Opens a file, plain or compressed. Its first bytes decide, not its name.
pub(super) fn open(path: &Path) -> io::Result<(Box<dyn BufRead + Send>, Progress)> {
    let mut file = File::open(path)?;
    let total = file.metadata()?.len();
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head)?;
    if let Some((_, format)) = OTHERS.iter().find(|(signature, _)| head.starts_with(signature)) {
        let reason =
            format!("it is compressed with {format}, which is not supported; decompress it, or use gzip or zstd");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    file.seek(SeekFrom::Start(0))?;
    let done = Arc::new(AtomicU64::new(0));
    let counted = CountingReader { file, done: done.clone() };
    let reader: Box<dyn Read + Send> = if head.starts_with(&GZIP) {
        Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(counted)))
    } else if head.starts_with(&ZSTD) {
        Box::new(zstd::Decoder::new(counted)?)
    } else {
        Box::new(counted)
    };
    Ok((Box::new(BufReader::with_capacity(256 << 10, reader)), Progress { done, total }))
}

/// How many of a file's bytes were read; of a compressed file, its compressed bytes.
#[derive(Clone)]
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    pub total: u64,
}

impl Progress {
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

struct CountingReader {
    file: File,
    done: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A line, unless it is longer than allowed.
pub(super) enum Line {
    Text(Vec<u8>),
    TooLong,
}

/// The next line without its end; `None` after the last. At most `max` bytes of a line are in memory.
pub(super) fn next(reader: &mut dyn BufRead, max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut read = 0;
    let mut ended = false;
    while !ended {
        let some = reader.fill_buf()?;
        if some.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', some);
        ended = end.is_some();
        let length = end.map_or(some.len(), |at| at + 1);
        let kept = (max + 2).saturating_sub(line.len()).min(length);
        line.extend_from_slice(&some[..kept]);
        read += length;
        reader.consume(length);
    }
    if read == 0 {
        return Ok(None);
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Ok(Some(if text.len() > max { Line::TooLong } else { Line::Text(text.to_vec()) }))
}
