//! The coder.
use std::io::{Error, ErrorKind, Read, Result, Write};

use crate::{CabacReader, CabacWriter};

/// How many zeros and ones were seen, each from 1 on.
pub struct VP8Context {
    zeros: u8,
    ones: u8,
}

impl Default for VP8Context {
    fn default() -> Self {
        Self { zeros: 1, ones: 1 }
    }
}

impl VP8Context {
    /// Divides a range in proportion to the counts. The lower part is that of a zero.
    fn split(&self, range: u32) -> u32 {
        let (zeros, ones) = (u32::from(self.zeros), u32::from(self.ones));
        let zero_in_256 = (zeros << 8) / (zeros + ones);
        1 + ((range - 1) * zero_in_256 >> 8)
    }

    fn count(&mut self, bit: bool) {
        let (seen, other) = if bit { (&mut self.ones, &mut self.zeros) } else { (&mut self.zeros, &mut self.ones) };
        match seen.checked_add(1) {
            Some(more) => *seen = more,
            // A long run of the same bit is not forgotten.
            None if *other == 1 => {}
            None => {
                *seen = 0x81;
                *other = other.div_ceil(2);
            }
        }
    }
}

/// How far a range has to be shifted to use 8 bits again.
fn shift_of(range: u32) -> u32 {
    range.leading_zeros() - 24
}

pub struct VP8Writer<W> {
    writer: W,
    bytes: Vec<u8>,
    /// Bytes that the original writer would have written by now: it holds back two more.
    left_register: usize,
    /// The lower end of the range: 8 bits that belong to the range, and above them `pending` bits and a carry.
    low: u64,
    pending: u32,
    range: u32,
}

impl<W: Write> VP8Writer<W> {
    /// A stream begins with a zero.
    pub fn new(writer: W) -> Result<Self> {
        let mut new = Self { writer, bytes: Vec::new(), left_register: 0, low: 0, pending: 0, range: 255 };
        new.put(false, &mut VP8Context::default())?;
        Ok(new)
    }

    fn take_byte(&mut self) {
        let top = self.low >> self.pending;
        self.low &= (1 << self.pending) - 1;
        self.pending -= 8;
        if top > 0xff {
            for byte in self.bytes.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        self.bytes.push(top as u8);
    }
}

impl<W: Write> CabacWriter<VP8Context> for VP8Writer<W> {
    fn put(&mut self, bit: bool, context: &mut VP8Context) -> Result<()> {
        let split = context.split(self.range);
        context.count(bit);
        if bit {
            self.low += u64::from(split);
            self.range -= split;
        } else {
            self.range = split;
        }
        let shift = shift_of(self.range);
        self.range <<= shift;
        self.low <<= shift;
        self.pending += shift;
        while self.pending >= 8 {
            self.take_byte();
        }
        self.left_register = self.bytes.len().saturating_sub(2);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let fill = self.pending.next_multiple_of(8) - self.pending;
        self.low <<= fill;
        self.pending += fill;
        while self.pending >= 8 {
            self.take_byte();
        }
        self.low <<= 8;
        self.pending = 8;
        self.take_byte();
        // A reader sees zeros after the end. The original writer drops those that are still in its register, which is why this
        // one counts what would have left it.
        while self.bytes.len() > self.left_register && self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.writer.write_all(&self.bytes)
    }
}

pub struct VP8Reader<R> {
    reader: R,
    /// The distance to the lower end of the range: 8 bits that belong to the range, and below them `pending` bits.
    value: u64,
    pending: u32,
    range: u32,
}

impl<R: Read> VP8Reader<R> {
    pub fn new(reader: R) -> Result<Self> {
        let mut new = Self { reader, value: 0, pending: 0, range: 255 };
        new.value = u64::from(new.next_byte()?);
        match new.get(&mut VP8Context::default())? {
            false => Ok(new),
            true => Err(Error::new(ErrorKind::InvalidData, "the stream does not begin with a zero")),
        }
    }

    /// A zero, after the end.
    fn next_byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        let _ = self.reader.read(&mut byte)?;
        Ok(byte[0])
    }
}

impl<R: Read> CabacReader<VP8Context> for VP8Reader<R> {
    fn get(&mut self, context: &mut VP8Context) -> Result<bool> {
        let split = context.split(self.range);
        let split_value = u64::from(split) << self.pending;
        let bit = self.value >= split_value;
        context.count(bit);
        if bit {
            self.value -= split_value;
            self.range -= split;
        } else {
            self.range = split;
        }
        let shift = shift_of(self.range);
        self.range <<= shift;
        if self.pending < shift {
            self.value = self.value << 8 | u64::from(self.next_byte()?);
            self.pending += 8;
        }
        self.pending -= shift;
        Ok(bit)
    }
}
