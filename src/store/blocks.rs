//! The hashes of a file's blocks, so that a part of it can be checked without reading the rest.
//!
//! A list comes from a pass over the whole file that matched its digest. It describes the published bytes and stays right
//! whatever happens to the object.
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use tokio::sync::OnceCell;

use crate::domain::Digest;

/// Bytes in one block.
pub(super) const BLOCK: usize = 128 << 10;

/// Half of a SHA-256: another block with the same one cannot be made.
pub(super) type Hash = [u8; 16];

pub(super) type BlockList = Arc<[Hash]>;

/// How many lists are cached, and of how many blocks in all: 8 MiB of hashes, for 64 GiB of files.
const LISTS_MAX: usize = 1024;
const BLOCKS_MAX: usize = 512 << 10;

pub(super) fn hash(block: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(&Digest::of(block).0[..16]);
    hash
}

/// A cache of the lists of files that were recently read in parts.
#[derive(Debug)]
pub(super) struct BlockLists(Mutex<LruCache<Digest, Arc<OnceCell<BlockList>>>>);

impl Default for BlockLists {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl BlockLists {
    /// The entry of a file's list. The first caller fills it, and the others wait for that.
    pub fn entry(&self, digest: Digest) -> Arc<OnceCell<BlockList>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get_or_insert(digest, Arc::default).clone()
    }

    /// Evicts the lists that were not used for longest, until the rest is within its bounds.
    pub fn trim(&self) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blocks = |cell: &OnceCell<BlockList>| cell.get().map_or(0, |list| list.len());
        let mut total: usize = lists.iter().map(|(_, cell)| blocks(cell)).sum();
        while lists.len() > 1 && (total > BLOCKS_MAX || lists.len() > LISTS_MAX) {
            let Some((_, cell)) = lists.pop_lru() else { return };
            total -= blocks(&cell);
        }
    }
}
