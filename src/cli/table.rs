//! Tables for people: one line a row, as wide as the terminal at most. What is too long is cut with an ellipsis, and in a narrow
//! terminal the least important columns are left out, as long as the rest does not fit. Where the output is no terminal, nothing is cut.
use comfy_table::{CellAlignment, ContentArrangement, presets};
use console::{measure_text_width, truncate_str};

use super::language::language;
use crate::lang;

/// Columns between two cells.
const GAP: usize = 2;

/// A flexible column is never narrower.
const FLEXIBLE_MIN: usize = 14;

/// A column of a table.
pub(super) struct Column {
    /// The id of its name.
    name: &'static str,
    is_flexible: bool,
    is_right: bool,
    /// Those with the highest number are left out first; 0: never.
    left_out: u8,
}

impl Column {
    /// One that is always shown in full.
    pub const fn fixed(name: &'static str, left_out: u8) -> Self {
        Self { name, is_flexible: false, is_right: false, left_out }
    }

    /// A number.
    pub const fn right(name: &'static str, left_out: u8) -> Self {
        Self { is_right: true, ..Self::fixed(name, left_out) }
    }

    /// One that may be cut.
    pub const fn flexible(name: &'static str, left_out: u8) -> Self {
        Self { is_flexible: true, ..Self::fixed(name, left_out) }
    }
}

pub(super) struct Table<const N: usize> {
    columns: &'static [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub fn new(columns: &'static [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub fn add(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    fn name(&self, at: usize) -> String {
        lang::message(language(), self.columns[at].name, &[])
    }

    /// The lines, as wide as `width` at most.
    pub fn text(&self, width: Option<usize>) -> String {
        let content: Vec<usize> = (0..N).map(|at| self.content_width(at)).collect();
        let shown = self.shown(&content, width);
        let flexible: Vec<usize> = shown.iter().copied().filter(|at| self.columns[*at].is_flexible).collect();
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(shown.iter().map(|at| self.name(*at)));
        let fixed: usize = shown.iter().filter(|at| !self.columns[**at].is_flexible).map(|at| content[*at] + GAP).sum();
        let widths = shares(
            &flexible.iter().map(|at| content[*at]).collect::<Vec<_>>(),
            width.map(|all| all.saturating_sub(fixed + flexible.len() * GAP)),
        );
        let width_of = |at: &usize| flexible.iter().position(|one| one == at).map_or(usize::MAX, |order| widths[order]);
        for row in &self.rows {
            table.add_row(shown.iter().map(|at| truncate_str(&row[*at], width_of(at), "…")));
        }
        for (position, at) in shown.iter().enumerate() {
            let Some(column) = table.column_mut(position) else { continue };
            column.set_padding((0, if position + 1 == shown.len() { 0 } else { 2 }));
            if self.columns[*at].is_right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
        lines.collect()
    }

    fn content_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| measure_text_width(&row[at]));
        cells.chain([measure_text_width(&self.name(at))]).max().unwrap_or_default()
    }

    /// The columns for which there is room.
    fn shown(&self, content: &[usize], width: Option<usize>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..N).collect();
        let Some(width) = width else { return shown };
        let needed = |at: &usize| {
            GAP + if self.columns[*at].is_flexible { content[*at].min(FLEXIBLE_MIN) } else { content[*at] }
        };
        while shown.iter().map(needed).sum::<usize>() > width + GAP {
            let least = shown.iter().copied().max_by_key(|at| self.columns[*at].left_out);
            match least.filter(|at| self.columns[*at].left_out > 0) {
                Some(least) => shown.retain(|at| *at != least),
                None => break,
            }
        }
        // Where a wide column had to go, narrow ones that went before it have room again.
        let mut left_out: Vec<usize> = (0..N).filter(|at| !shown.contains(at)).collect();
        left_out.sort_by_key(|at| self.columns[*at].left_out);
        for at in left_out.into_iter().skip(1) {
            if shown.iter().chain([&at]).map(needed).sum::<usize>() <= width + GAP {
                shown.push(at);
            }
        }
        shown.sort_unstable();
        shown
    }
}

/// How wide each flexible column is: what it needs where that fits, else an equal share of what the others leave.
fn shares(content: &[usize], room: Option<usize>) -> Vec<usize> {
    let Some(room) = room else { return content.to_vec() };
    let mut widths = vec![0; content.len()];
    let mut order: Vec<usize> = (0..content.len()).collect();
    order.sort_by_key(|at| content[*at]);
    let mut left = room;
    for (done, at) in order.iter().enumerate() {
        widths[*at] = content[*at].min(left / (content.len() - done)).max(FLEXIBLE_MIN.min(content[*at]));
        left = left.saturating_sub(widths[*at]);
    }
    widths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Column, Table, measure_text_width};

    const COLUMNS: [Column; 4] =
        [Column::flexible("name", 0), Column::fixed("date", 1), Column::flexible("file", 2), Column::right("size", 3)];

    proptest! {
        /// Every row is one line, and no line is wider than the terminal, however wide the cells are.
        #[test]
        fn a_table_fits_its_width(
            rows in prop::collection::vec(("[a-zãç漢 ]{0,60}", "[0-9/]{10}", "[a-z_]{0,80}", "[0-9]{1,6}"), 1..8),
            width in 40usize..200,
        ) {
            let mut table = Table::new(&COLUMNS);
            let count = rows.len();
            rows.into_iter().for_each(|(name, date, file, size)| table.add([name, date, file, size]));
            let text = table.text(Some(width));
            prop_assert_eq!(text.lines().count(), count + 1, "{}", text);
            prop_assert!(text.lines().all(|line| measure_text_width(line) <= width), "{}\n{}", width, text);
            prop_assert!(!text.contains('─'));
        }
    }

    #[test]
    fn what_has_room_after_a_wide_column_went_is_shown() {
        const IDS: [Column; 3] = [Column::flexible("name", 0), Column::fixed("id", 1), Column::fixed("status", 2)];
        let mut table = Table::new(&IDS);
        table.add(["n".repeat(30), "i".repeat(36), "lost".into()]);
        let narrow = table.text(Some(40));
        assert!(narrow.contains("lost") && !narrow.contains("iii"), "{narrow}");
        assert!(table.text(Some(55)).contains("iii") && !table.text(Some(55)).contains("lost"));
    }

    #[test]
    fn nothing_is_cut_where_there_is_room() {
        let mut table = Table::new(&COLUMNS);
        table.add(["n".repeat(90), "20/02/2025".into(), "f".repeat(90), "1".into()]);
        assert!(table.text(None).contains(&format!("{}  20/02/2025  {}", "n".repeat(90), "f".repeat(90))));
        let narrow = table.text(Some(40));
        assert!(narrow.contains("20/02/2025  ") && !narrow.contains("fff"), "{narrow}");
    }
}
