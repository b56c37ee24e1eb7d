//! Caches opened segment columns. Opening one reads the metadata of each block, which for a query with few hits costs more
//! than everything else.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::{Searcher, SegmentReader};

/// The open columns of all segments.
#[derive(Default)]
pub(super) struct OpenColumns(Mutex<HashMap<SegmentId, Arc<Columns>>>);

impl OpenColumns {
    pub fn of(&self, segment: &SegmentReader) -> Arc<Columns> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(segment.segment_id()).or_default().clone()
    }

    /// Drops the columns of segments that no longer exist.
    pub fn retain(&self, searcher: &Searcher) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|id, _| searcher.segment_readers().iter().any(|segment| segment.segment_id() == *id));
    }
}

/// The open columns of one segment.
#[derive(Default)]
pub(super) struct Columns {
    signed: Mutex<HashMap<&'static str, Column<i64>>>,
    unsigned: Mutex<HashMap<&'static str, Column<u64>>>,
}

impl Columns {
    pub fn i64(&self, segment: &SegmentReader, name: &'static str) -> tantivy::Result<Column<i64>> {
        let mut open = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = open.get(name) {
            return Ok(column.clone());
        }
        let column = segment.fast_fields().i64(name)?;
        Ok(open.entry(name).or_insert(column).clone())
    }

    pub fn u64(&self, segment: &SegmentReader, name: &'static str) -> tantivy::Result<Column<u64>> {
        let mut open = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = open.get(name) {
            return Ok(column.clone());
        }
        let column = segment.fast_fields().u64(name)?;
        Ok(open.entry(name).or_insert(column).clone())
    }
}
