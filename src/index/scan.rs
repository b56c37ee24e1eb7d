//! Iterates over the documents of a segment as tantivy does, but can be interrupted.
use tantivy::collector::SegmentCollector;
use tantivy::query::Weight;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, DocSet, SegmentReader, TERMINATED};

use super::deadline::{Deadline, STEPS};

/// Blocks of documents between two checks of the deadline.
const BLOCKS: usize = STEPS / COLLECT_BLOCK_BUFFER_LEN;

/// Moves the documents that are wanted to the front. Returns how many they are.
fn keep(docs: &mut [DocId], is_wanted: impl Fn(DocId) -> bool) -> usize {
    let mut kept = 0;
    for at in 0..docs.len() {
        if is_wanted(docs[at]) {
            docs[kept] = docs[at];
            kept += 1;
        }
    }
    kept
}

/// Passes all matching documents of a segment to its collector.
pub(super) fn scan(
    collector: &mut impl SegmentCollector,
    weight: &dyn Weight,
    segment: &SegmentReader,
    scored: bool,
    deadline: &Deadline,
) -> tantivy::Result<()> {
    deadline.check_within()?;
    fail::fail_point!("index.hang");
    fail::fail_point!("index.endless", |_| {
        while !deadline.is_over() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        deadline.check_within()
    });
    let alive = segment.alive_bitset();
    let mut scorer = weight.scorer(segment, 1.0)?;
    if scored {
        let mut steps = 0;
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            if steps % STEPS == 0 {
                deadline.check_within()?;
            }
            steps += 1;
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                collector.collect(doc, scorer.score());
            }
            doc = scorer.advance();
        }
        return Ok(());
    }
    let mut block = [0; COLLECT_BLOCK_BUFFER_LEN];
    let mut blocks = 0;
    loop {
        if blocks % BLOCKS == 0 {
            deadline.check_within()?;
        }
        blocks += 1;
        let found = scorer.fill_buffer(&mut block);
        let kept = match alive {
            Some(alive) => keep(&mut block[..found], |doc| alive.is_alive(doc)),
            None => found,
        };
        collector.collect_block(&block[..kept]);
        if found < block.len() {
            return Ok(());
        }
    }
}
