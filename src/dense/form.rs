//! The expanded form of a file: its bytes with the deflate streams in them replaced by what these decompress to.
//!
//! ```text
//! length of the operations   varint
//! operations
//! length of the corrections  varint
//! corrections                of all streams, in the order of the operations
//! plain bytes                to the end
//! ```
//!
//! The operations say how the file is put together again; each consumes the corrections and plain bytes where the one before
//! ended. `docs/archive-format.md` has all of it.
use sha2::Digest as _;

use super::streams;
use super::varint::{self, Reader};
use super::{DenseError, Work};

pub(super) const END: u64 = 0;
pub(super) const LITERAL: u64 = 1;
pub(super) const DEFLATE: u64 = 2;
pub(super) const NESTED_DEFLATE: u64 = 3;
pub(super) const PNG: u64 = 4;

/// Streams inside of streams, at most.
pub(super) const NESTING_MAX: usize = 4;

/// The first bytes of a form's SHA-256. They tell whether a form is the one that was meant, so that no damaged form is ever given
/// to preflate-rs.
pub type FormHash = [u8; 8];

/// What is needed to write a form.
#[derive(Default)]
pub(super) struct FormBuilder {
    pub operations: Vec<u8>,
    pub corrections: Vec<u8>,
    pub plain: Vec<u8>,
}

impl FormBuilder {
    pub fn literal(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.number(LITERAL);
            self.number(bytes.len() as u64);
            self.plain.extend_from_slice(bytes);
        }
    }

    pub fn number(&mut self, number: u64) {
        varint::write(&mut self.operations, number);
    }

    pub fn len(&self) -> usize {
        self.operations.len() + self.corrections.len() + self.plain.len()
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.number(END);
        let mut head = Vec::new();
        varint::write(&mut head, self.operations.len() as u64);
        head.append(&mut self.operations);
        varint::write(&mut head, self.corrections.len() as u64);
        head.append(&mut self.corrections);
        // In place: the plain bytes may be most of what the process has in memory.
        self.plain.splice(0..0, head);
        self.plain
    }
}

pub(super) fn hash(form: &[u8]) -> FormHash {
    let digest: [u8; 32] = sha2::Sha256::digest(form).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// The published bytes of a form.
pub(super) fn collapse(
    form: &[u8],
    work: &Work,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), DenseError>,
) -> Result<(), DenseError> {
    let mut reader = Reader(form);
    let len = reader.len()?;
    let operations = Reader(reader.bytes(len)?);
    let len = reader.len()?;
    let corrections = Reader(reader.bytes(len)?);
    let mut collapse = Collapse { operations, corrections, plain: reader, work };
    collapse.list(0, sink)?;
    let is_all = collapse.operations.0.is_empty() && collapse.corrections.0.is_empty() && collapse.plain.0.is_empty();
    if is_all { Ok(()) } else { Err(DenseError::Damaged("the expanded form has more than its operations use")) }
}

struct Collapse<'a> {
    operations: Reader<'a>,
    corrections: Reader<'a>,
    plain: Reader<'a>,
    work: &'a Work<'a>,
}

impl Collapse<'_> {
    /// Carries out operations up to the end of their list.
    fn list(
        &mut self,
        nesting: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), DenseError>,
    ) -> Result<(), DenseError> {
        // A PNG's data is a list of its own, so a level of streams has two.
        if nesting > 2 * NESTING_MAX + 2 {
            return Err(DenseError::Damaged("the expanded form is nested too deeply"));
        }
        loop {
            match self.operations.number()? {
                END => return Ok(()),
                LITERAL => {
                    let len = self.operations.len()?;
                    sink(self.plain.bytes(len)?)?;
                }
                DEFLATE => {
                    let (plain, corrections) = (self.operations.len()?, self.operations.len()?);
                    let (plain, corrections) = (self.plain.bytes(plain)?, self.corrections.bytes(corrections)?);
                    sink(&streams::restore(plain, corrections, self.work)?)?;
                }
                NESTED_DEFLATE => {
                    // Written before those of the streams inside of it.
                    let corrections = self.operations.len()?;
                    let corrections = self.corrections.bytes(corrections)?;
                    let plain = self.nested(nesting)?;
                    sink(&streams::restore(&plain, corrections, self.work)?)?;
                }
                PNG => {
                    let count = self.operations.len()?;
                    let lengths: Vec<usize> = (0..count).map(|_| self.operations.len()).collect::<Result<_, _>>()?;
                    let data = self.nested(nesting)?;
                    super::png::write_chunks(&lengths, &data, sink)?;
                }
                _ => return Err(DenseError::Damaged("the expanded form has an unknown operation")),
            }
        }
    }

    fn nested(&mut self, nesting: usize) -> Result<Vec<u8>, DenseError> {
        let mut bytes = Vec::new();
        self.list(nesting + 1, &mut |some| {
            bytes.extend_from_slice(some);
            Ok(())
        })?;
        Ok(bytes)
    }
}
