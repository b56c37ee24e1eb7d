//! Numbers of variable length (LEB128: seven bits a byte, the lowest first, the high bit set on all but the last).
use super::DenseError;

pub(super) fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A reader of what [`write`] and others wrote.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn number(&mut self) -> Result<u64, DenseError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DenseError::Damaged("a number is too large"))
    }

    /// A number that counts bytes in memory.
    pub fn len(&mut self) -> Result<usize, DenseError> {
        usize::try_from(self.number()?).map_err(|_| DenseError::Damaged("a length is too large"))
    }

    pub fn byte(&mut self) -> Result<u8, DenseError> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DenseError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(DenseError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DenseError> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| DenseError::Damaged("it ends too early"))
    }
}
