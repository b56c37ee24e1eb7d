//! Pieces of a known token, wherever they begin and end in it.
use std::ops::Range;

/// Tokens are looked up by pieces of this length, cut one after the other: every fragment of `2 × PIECE_BYTES - 1` bytes
/// holds a whole one.
const PIECE_BYTES: usize = 8;

/// The shortest fragment that is redacted: what is shorter could be a word.
const FRAGMENT_BYTES_MIN: usize = 12;

/// Tokens, in lower case, and where each of their pieces is.
#[derive(Clone, Default)]
pub(super) struct Fragments {
    tokens: Vec<Vec<u8>>,
    /// Sorted: the piece, the token's index, the position in it.
    pieces: Vec<(u64, usize, usize)>,
}

impl Fragments {
    pub fn add(&mut self, token: Vec<u8>) {
        if self.tokens.contains(&token) {
            return;
        }
        let index = self.tokens.len();
        let pieces = token.chunks_exact(PIECE_BYTES).enumerate();
        self.pieces.extend(pieces.filter_map(|(n, piece)| Some((key(piece)?, index, n * PIECE_BYTES))));
        self.pieces.sort_unstable();
        self.pieces.dedup_by_key(|(piece, ..)| *piece);
        self.tokens.push(token);
    }

    pub fn extend(&mut self, others: Self) {
        others.tokens.into_iter().for_each(|token| self.add(token));
    }

    pub fn find(&self, lower: &[u8], steps: &mut usize, note: &mut impl FnMut(Range<usize>)) {
        if self.pieces.is_empty() {
            return;
        }
        *steps += lower.len();
        let mut start = 0;
        for word in lower.split(u8::is_ascii_whitespace) {
            if word.len() >= FRAGMENT_BYTES_MIN {
                self.find_in_word(word, steps, &mut |span| note(start + span.start..start + span.end));
            }
            start += word.len() + 1;
        }
    }

    fn find_in_word(&self, word: &[u8], steps: &mut usize, note: &mut impl FnMut(Range<usize>)) {
        // A piece that is found is compared to both sides; what was found before is not compared again.
        let mut done = 0;
        for (at, window) in word.windows(PIECE_BYTES).enumerate() {
            if at < done {
                continue;
            }
            let found = key(window).and_then(|key| self.pieces.binary_search_by_key(&key, |(piece, ..)| *piece).ok());
            let Some((_, token, position)) = found.and_then(|found| self.pieces.get(found)) else { continue };
            let (before, after) = self.tokens[*token].split_at(*position);
            let same = |(a, b): &(&u8, &u8)| a == b;
            let left = before.iter().rev().zip(word[done..at].iter().rev()).take_while(same).count();
            let right = after.iter().zip(&word[at..]).take_while(same).count();
            *steps += left + right;
            if left + right >= FRAGMENT_BYTES_MIN {
                note(at - left..at + right);
                done = at + right;
            }
        }
    }
}

fn key(piece: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(piece.try_into().ok()?))
}
