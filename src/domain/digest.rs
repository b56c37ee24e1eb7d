use std::fmt;
use std::str::FromStr;

/// The SHA-256 of some bytes: the name of a file in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The next digest in order; `None` after the last.
    pub fn successor(self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (next, is_carried) = byte.overflowing_add(1);
            *byte = next;
            if !is_carried {
                return Some(Self(bytes));
            }
        }
        None
    }

    /// The digest before this one; `None` before the first.
    pub fn predecessor(self) -> Option<Self> {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (before, is_borrowed) = byte.overflowing_sub(1);
            *byte = before;
            if !is_borrowed {
                return Some(Self(bytes));
            }
        }
        None
    }
}

/// Computes the digest of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(sha2::Digest::finalize(self.0).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 2 * 32];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(drop)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn digests_are_counted_up_and_down() {
        let mut digest = Digest([0; 32]);
        digest.0[31] = 0xff;
        let next = digest.successor().expect("a digest");
        assert_eq!((next.0[30], next.0[31]), (1, 0));
        assert_eq!(next.predecessor(), Some(digest));
        assert_eq!(Digest([0xff; 32]).successor(), None);
        assert_eq!(Digest([0; 32]).predecessor(), None);
    }

    #[test]
    fn a_digest_is_read_as_it_is_written_and_nothing_else_is() {
        let digest = Digest::of(b"a file");
        let text = digest.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        for wrong in ["", &text[1..], &format!("{text}0"), &"+1".repeat(32), &"é".repeat(32), &"0x".repeat(32)] {
            assert_eq!(wrong.parse::<Digest>(), Err(()), "{wrong}");
        }
    }
}
