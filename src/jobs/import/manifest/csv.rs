//! Rows of a CSV manifest, read one by one, with a limit for each.
use std::io::{self, BufRead, Cursor, Read};

use serde_json::{Map, Value};

use super::{Object, ROW_BYTES_MAX};
use crate::domain::decode;

/// The most columns of a row.
const COLUMNS_MAX: usize = 1024;

/// The most bytes of the header.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// In the order of trying: Brazilian spreadsheets write semicolons, and "Unicode text" has tabs.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A CSV file after its header.
pub(super) struct Csv {
    records: Records<Box<dyn BufRead + Send>>,
    header: Vec<String>,
}

impl Csv {
    /// Reads the header; `None` if a required column is missing.
    pub(super) fn open(mut reader: Box<dyn BufRead + Send>) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        reader.by_ref().take(HEADER_BYTES_MAX as u64).read_to_end(&mut head)?;
        let (said, length) = directive(&head);
        for delimiter in DELIMITERS.into_iter().filter(|delimiter| said.is_none_or(|said| said == *delimiter)) {
            let mut tried = Records::new(&head[length..], delimiter);
            let Some((_, Ok(header))) = tried.next()? else { continue };
            let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
            if ["path", "nome"].iter().all(|wanted| header.iter().any(|name| name.eq_ignore_ascii_case(wanted))) {
                let whole: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(reader));
                let mut records = Records::new(whole, delimiter);
                if length > 0 {
                    records.next()?;
                }
                records.next()?;
                return Ok(Some(Self { records, header }));
            }
        }
        Ok(None)
    }

    /// The next row that is not empty, with its first line number.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Object)>> {
        while let Some((line, record)) = self.records.next()? {
            match record {
                Ok(fields) if fields.iter().all(|field| field.trim().is_empty()) => {}
                Ok(fields) => return Ok(Some((line, self.object(fields)))),
                Err(reason) => return Ok(Some((line, Err(reason)))),
            }
        }
        Ok(None)
    }

    fn object(&self, mut fields: Vec<String>) -> Object {
        let count = fields.len();
        // Spreadsheets write delimiters for columns that are empty.
        while fields.len() > self.header.len() && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        if fields.len() != self.header.len() {
            return Err(format!("it has {count} fields, the header has {}", self.header.len()));
        }
        let mut object = Map::new();
        for (name, field) in self.header.iter().zip(fields) {
            if name.is_empty() && !field.trim().is_empty() {
                return Err("it has a value in a column without a name".to_owned());
            }
            if !name.is_empty() && object.insert(name.clone(), Value::String(field)).is_some() {
                return Err(format!("the header names `{name}` twice"));
            }
        }
        Ok(object)
    }
}

/// The delimiter that a first line `sep=;` names, as Excel reads it, and that line's length.
fn directive(head: &[u8]) -> (Option<u8>, usize) {
    let end = memchr::memchr2(b'\n', b'\r', head).unwrap_or(head.len());
    let line = head[..end].trim_ascii_start();
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    match line.get(..5) {
        Some([s, e, p, b'=', delimiter]) if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => (Some(*delimiter), end),
        _ => (None, 0),
    }
}

/// A record's cells, or why it is invalid.
type Fields = Result<Vec<String>, String>;

/// Records of a CSV file.
struct Records<R> {
    reader: R,
    core: csv_core::Reader,
    output: Vec<u8>,
    ends: Vec<usize>,
    /// The current line, from 1, and whether the last byte was a `\r`.
    line: u64,
    after_return: bool,
}

impl<R: BufRead> Records<R> {
    fn new(reader: R, delimiter: u8) -> Self {
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let (output, ends) = (vec![0; ROW_BYTES_MAX], vec![0; COLUMNS_MAX]);
        Self { reader, core, output, ends, line: 1, after_return: false }
    }

    /// The next record and its line. At most [`ROW_BYTES_MAX`] bytes of it are in memory.
    fn next(&mut self) -> io::Result<Option<(u64, Fields)>> {
        self.skip_line_ends()?;
        let line = self.line;
        let (mut written, mut ended, mut is_too_long) = (0, 0, false);
        loop {
            let input = self.reader.fill_buf()?;
            let (result, read, wrote, fields) =
                self.core.read_record(input, &mut self.output[written..], &mut self.ends[ended..]);
            for byte in &input[..read] {
                self.line += u64::from(*byte == b'\r' || (*byte == b'\n' && !self.after_return));
                self.after_return = *byte == b'\r';
            }
            self.reader.consume(read);
            (written, ended) = (written + wrote, ended + fields);
            match result {
                csv_core::ReadRecordResult::InputEmpty => {}
                csv_core::ReadRecordResult::OutputFull | csv_core::ReadRecordResult::OutputEndsFull => {
                    is_too_long = true;
                    (written, ended) = (0, 0);
                }
                csv_core::ReadRecordResult::Record => break,
                csv_core::ReadRecordResult::End => return Ok(None),
            }
        }
        if is_too_long {
            let reason = format!(
                "it has more than {ROW_BYTES_MAX} bytes or {COLUMNS_MAX} fields; perhaps a quotation mark is not closed"
            );
            return Ok(Some((line, Err(reason))));
        }
        let mut start = 0;
        let fields = self.ends[..ended].iter().map(|end| {
            // Cell by cell, because some manifests mix encodings.
            let field = decode(&self.output[start..*end]).into_owned();
            start = *end;
            field
        });
        Ok(Some((line, Ok(fields.collect()))))
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let input = self.reader.fill_buf()?;
            let Some(byte @ (b'\r' | b'\n')) = input.first().copied() else { return Ok(()) };
            self.line += u64::from(byte == b'\r' || !self.after_return);
            self.after_return = byte == b'\r';
            self.reader.consume(1);
        }
    }
}
