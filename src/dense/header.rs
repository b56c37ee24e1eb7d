//! The header of an encoded file. `docs/archive-format.md` describes it.
use super::form::FormHash;
use super::varint::{self, Reader};
use super::{DenseError, Kind};
use crate::domain::Digest;

const MAGIC: [u8; 4] = *b"ACVD";
const FORMAT: u8 = 1;

/// What an encoded file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Bytes as published.
    pub size: u64,
    pub base: Option<BaseRef>,
    pub form: Option<FormRef>,
}

/// The file that is needed to decode another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseRef {
    pub digest: Digest,
    /// How many files are decoded before this one, its base included.
    pub depth: u8,
    /// Of the base's expanded form, where that is what is needed.
    pub form: Option<FormHash>,
}

/// The expanded form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormRef {
    /// The version of preflate-rs that made it.
    pub preflate: [u8; 3],
    pub len: u64,
    pub hash: FormHash,
}

impl Header {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend([FORMAT, self.kind.code()]);
        varint::write(&mut out, self.size);
        if let Some(base) = &self.base {
            out.push(base.depth);
            out.extend(base.digest.0);
            out.extend(base.form.iter().flatten());
        }
        if let Some(form) = &self.form {
            out.extend(form.preflate);
            varint::write(&mut out, form.len);
            out.extend(form.hash);
        }
        out
    }

    /// The header of an encoded file, and what follows it.
    pub fn read(encoded: &[u8]) -> Result<(Self, &[u8]), DenseError> {
        let mut reader = Reader(encoded);
        if reader.array()? != MAGIC {
            return Err(DenseError::Damaged("it doesn't begin as a dense object"));
        }
        match reader.byte()? {
            FORMAT => {}
            format => return Err(DenseError::UnknownFormat { format }),
        }
        let kind = Kind::from_code(reader.byte()?)?;
        let size = reader.number()?;
        let base = match kind.needs_base() {
            true => Some(BaseRef {
                depth: reader.byte()?,
                digest: Digest(reader.array()?),
                form: if kind.is_expanded() { Some(reader.array()?) } else { None },
            }),
            false => None,
        };
        let form = match kind.is_expanded() {
            true => Some(FormRef { preflate: reader.array()?, len: reader.number()?, hash: reader.array()? }),
            false => None,
        };
        Ok((Self { kind, size, base, form }, reader.0))
    }
}
