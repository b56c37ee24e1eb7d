//! A share of the archive: the files and rows of a range of points. The point of a file is the beginning of its digest, and
//! that of a row is the end of its id. Both are spread evenly, so that equal ranges are equal shares.
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::Digest;

/// Points are below this.
const END: u64 = 1 << 32;

/// From one point, included, to another, excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub from: u64,
    pub to: u64,
}

/// All digests from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRange {
    pub first: Digest,
    pub last: Digest,
}

impl Share {
    pub const END: u64 = END;

    pub const ALL: Self = Self { from: 0, to: END };

    /// The points to `to`, excluded, which is at most [`Share::END`]; `None` if there are none.
    pub fn new(from: u64, to: u64) -> Option<Self> {
        (from < to && to <= END).then_some(Self { from, to })
    }

    /// How much of the archive it is, from 0 to 1.
    pub fn part(self) -> f64 {
        self.to.saturating_sub(self.from) as f64 / END as f64
    }

    /// The point of a file.
    pub fn point_of_file(digest: Digest) -> u64 {
        let [a, b, c, d, ..] = digest.0;
        u32::from_be_bytes([a, b, c, d]).into()
    }

    /// The point of a publication, a product or a revision. Ids begin with the time, and end with random bits.
    pub fn point_of_row(id: Uuid) -> u64 {
        id.as_u128() as u64 & (END - 1)
    }

    pub fn contains(self, point: u64) -> bool {
        (self.from..self.to).contains(&point)
    }

    /// The digests of the share.
    pub fn digests(self) -> DigestRange {
        let edge = |point: u64, rest: u8| {
            let mut digest = [rest; 32];
            digest[..4].copy_from_slice(&(point.min(END - 1) as u32).to_be_bytes());
            Digest(digest)
        };
        DigestRange { first: edge(self.from, 0), last: edge(self.to.saturating_sub(1), u8::MAX) }
    }
}

impl DigestRange {
    /// The parts of the range in which all digests begin with the same byte.
    pub fn by_first_byte(self) -> impl Iterator<Item = (u8, Self)> {
        (self.first.0[0]..=self.last.0[0]).map(move |byte| {
            let edge = |rest: u8| {
                let mut digest = [rest; 32];
                digest[0] = byte;
                Digest(digest)
            };
            (byte, Self { first: edge(0).max(self.first), last: edge(u8::MAX).min(self.last) })
        })
    }
}

/// One of several equal shares, `2/30`. Together they are the whole archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    number: u32,
    of: u32,
}

impl Sample {
    pub fn share(self) -> Share {
        let edge = |n: u32| u64::from(n) * END / u64::from(self.of);
        Share { from: edge(self.number - 1), to: edge(self.number) }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// The most shares: each still has a point for every file of a large archive.
const SAMPLES_MAX: u32 = 1_000_000;

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(n, t)| Some((n.trim().parse().ok()?, t.trim().parse().ok()?)));
        match parts {
            Some((number, of)) if (1..=of).contains(&number) && of <= SAMPLES_MAX => Ok(Self { number, of }),
            _ => Err(format!(
                "`{text}` is not a valid sample; expected n/t with n from 1 to t and t at most {SAMPLES_MAX}, such as 1/30"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_divide_the_archive_without_gap_or_overlap() {
        for of in [1, 2, 3, 7, 30, 365, 1000] {
            let mut at = 0;
            for number in 1..=of {
                let share = Sample { number, of }.share();
                assert_eq!(share.from, at, "{number}/{of}");
                at = share.to;
            }
            assert_eq!(at, Share::END, "{of}");
        }
        let [low, high] = [[0; 32], [u8::MAX; 32]].map(Digest);
        assert_eq!(Share::ALL.digests(), DigestRange { first: low, last: high });
        let second = Sample { number: 2, of: 2 }.share().digests();
        assert_eq!(second.first.0[..2], [0x80, 0]);
        assert_eq!(second.first.predecessor(), Some(Sample { number: 1, of: 2 }.share().digests().last));
        let parts: Vec<_> = Sample { number: 1, of: 1000 }.share().digests().by_first_byte().collect();
        assert_eq!(parts.len(), 1);
        assert_eq!(Share::ALL.digests().by_first_byte().count(), 256);
    }

    #[test]
    fn a_file_is_in_the_share_of_its_digest() {
        for n in 0..200_u32 {
            let digest = Digest::of(&n.to_le_bytes());
            let point = Share::point_of_file(digest);
            let shares: Vec<u32> = (1..=30).filter(|n| Sample { number: *n, of: 30 }.share().contains(point)).collect();
            assert_eq!(shares.len(), 1);
            let range = Sample { number: shares[0], of: 30 }.share().digests();
            assert!(range.first <= digest && digest <= range.last);
        }
    }

    #[test]
    fn a_sample_is_written_as_n_of_t() {
        assert_eq!("2/30".parse(), Ok(Sample { number: 2, of: 30 }));
        for wrong in ["", "0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/2/3", "1/1000001"] {
            assert!(wrong.parse::<Sample>().is_err_and(|e| e.contains(wrong)), "{wrong}");
        }
    }
}
