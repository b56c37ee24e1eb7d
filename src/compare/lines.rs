//! The lines that two texts share, and those that they do not.
use std::collections::HashMap;
use std::time::Instant;

use similar::algorithms::{Capture, Replace, diff_deadline};
use similar::{Algorithm, DiffOp};

use super::Note;
use super::text::{Line, Text};

/// Lines of one text that are compared.
const LINES_MAX: u64 = 400_000;

/// Two texts, line by line.
pub struct LineDiff<'a> {
    pub(super) from: Vec<Line<'a>>,
    pub(super) to: Vec<Line<'a>>,
    pub(super) operations: Vec<DiffOp>,
}

impl<'a> LineDiff<'a> {
    /// Compares two texts. After the deadline the result is coarser, and still leads from one text to the other. An error says which bound
    /// is exceeded.
    pub fn new(from: &'a Text<'_>, to: &'a Text<'_>, deadline: Instant) -> Result<Self, Note> {
        let longest = from.line_count().max(to.line_count());
        if longest > LINES_MAX {
            return Err(Note::TooManyLines { lines: longest, lines_max: LINES_MAX });
        }
        let (from, to): (Vec<Line<'a>>, Vec<Line<'a>>) = (from.lines().collect(), to.lines().collect());
        let mut known = HashMap::new();
        let mut numbered = |lines: &[Line<'a>]| -> Vec<u32> {
            let number = |line: &Line<'a>| {
                let next = known.len() as u32;
                *known.entry(*line).or_insert(next)
            };
            lines.iter().map(number).collect()
        };
        let numbers = (numbered(&from), numbered(&to));
        drop(known);
        let mut found = Replace::new(Capture::new());
        let whole = (0..numbers.0.len(), 0..numbers.1.len());
        let Ok(()) = diff_deadline(
            Algorithm::Myers,
            &mut found,
            &numbers.0[..],
            whole.0,
            &numbers.1[..],
            whole.1,
            Some(deadline),
        );
        Ok(Self { from, to, operations: found.into_inner().into_ops() })
    }

    /// How many lines were added and removed.
    pub fn counts(&self) -> (u64, u64) {
        let (mut added, mut removed) = (0, 0);
        for operation in &self.operations {
            if !matches!(operation, DiffOp::Equal { .. }) {
                added += operation.new_range().len() as u64;
                removed += operation.old_range().len() as u64;
            }
        }
        (added, removed)
    }
}
