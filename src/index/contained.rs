//! Documents whose file has the words of a search, by the digests that the index of contents found.
use std::sync::Arc;

use tantivy::query::{EnableScoring, Explanation, Query as TantivyQuery, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED};

use super::Deadline;
use super::contents::Matching;
use super::deadline::STEPS;

#[derive(Clone)]
pub(super) struct ContainedQuery {
    pub matching: Arc<Matching>,
    pub deadline: Deadline,
}

impl std::fmt::Debug for ContainedQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainedQuery").finish_non_exhaustive()
    }
}

impl TantivyQuery for ContainedQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(ContainedWeight(self.clone())))
    }
}

struct ContainedWeight(ContainedQuery);

impl Weight for ContainedWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let digests = segment.fast_fields().u64("digest_high")?;
        let mut found = Vec::new();
        for doc in 0..segment.max_doc() {
            if (doc as usize).is_multiple_of(STEPS) {
                self.0.deadline.check_within()?;
            }
            if let Some(score) = digests.first(doc).and_then(|digest| self.0.matching.score(digest)) {
                found.push((doc, score * boost));
            }
        }
        Ok(Box::new(Found { found, at: 0 }))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("the file has the words", 1.0))
    }
}

/// Documents in their order, with their scores.
struct Found {
    found: Vec<(DocId, Score)>,
    at: usize,
}

impl DocSet for Found {
    fn advance(&mut self) -> DocId {
        self.at = (self.at + 1).min(self.found.len());
        self.doc()
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.at += self.found[self.at..].partition_point(|(doc, _)| *doc < target);
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.found.get(self.at).map_or(TERMINATED, |(doc, _)| *doc)
    }

    fn size_hint(&self) -> u32 {
        u32::try_from(self.found.len()).unwrap_or(u32::MAX)
    }
}

impl Scorer for Found {
    fn score(&mut self) -> Score {
        self.found.get(self.at).map_or(0.0, |(_, score)| *score)
    }
}
