//! Unified diffs, as `diff -u` writes them and `patch` reads them. Lines end with LF, whatever the files have.
use std::fmt::Write;

use similar::{DiffOp, group_diff_ops};

use super::LineDiff;
use super::text::Line;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A unified diff.
#[derive(Debug, PartialEq, Eq)]
pub struct Unified {
    pub text: String,
    /// It ends before the last change. Its last line says so.
    pub is_cut: bool,
}

/// A part of the diff, with the lines of both texts that it covers.
#[derive(Default)]
struct Hunk {
    body: String,
    from: usize,
    to: usize,
}

impl Hunk {
    fn push(&mut self, sign: char, line: Line<'_>) {
        self.from += usize::from(sign != '+');
        self.to += usize::from(sign != '-');
        self.body.push(sign);
        self.body.push_str(line.text);
        self.body.push('\n');
        if !line.has_end {
            self.body.push_str("\\ No newline at end of file\n");
        }
    }

    /// Writes it with its position. A hunk without lines of a text names the line before it, as `diff` does.
    fn write(&self, text: &mut String, first_from: usize, first_to: usize) {
        let range = |first: usize, lines: usize| match lines {
            0 => format!("{first},0"),
            1 => format!("{}", first + 1),
            _ => format!("{},{lines}", first + 1),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "@@ -{} +{} @@", range(first_from, self.from), range(first_to, self.to));
        text.push_str(&self.body);
    }
}

/// The diff of two texts under these names, of about `bytes_max` bytes at most. Empty if the lines are the same.
pub fn unified(diff: &LineDiff<'_>, from_name: &str, to_name: &str, bytes_max: usize) -> Unified {
    let mut text = String::new();
    let groups = group_diff_ops(diff.operations.clone(), CONTEXT);
    for group in groups.iter().filter(|group| group.iter().any(|one| !matches!(one, DiffOp::Equal { .. }))) {
        if text.is_empty() {
            let _ = write!(text, "--- {from_name}\n+++ {to_name}\n");
        }
        let Some((first_from, first_to)) = group.first().map(|one| (one.old_range().start, one.new_range().start))
        else {
            continue;
        };
        let mut hunk = Hunk::default();
        let is_whole = fill(&mut hunk, diff, group, bytes_max.saturating_sub(text.len()));
        if hunk.from + hunk.to > 0 {
            hunk.write(&mut text, first_from, first_to);
        }
        if !is_whole {
            let at = first_to + hunk.to;
            let _ = writeln!(text, "# cut here, at line {at} of {to_name}: the diff has more than {bytes_max} bytes");
            return Unified { text, is_cut: true };
        }
    }
    Unified { text, is_cut: false }
}

/// Adds the lines of a group. Returns whether there was room for all of them.
fn fill(hunk: &mut Hunk, diff: &LineDiff<'_>, group: &[DiffOp], bytes_max: usize) -> bool {
    for operation in group {
        let lines: [(char, &[Line<'_>]); 2] = match operation {
            DiffOp::Equal { .. } => [(' ', &diff.to[operation.new_range()]), ('+', &[])],
            _ => [('-', &diff.from[operation.old_range()]), ('+', &diff.to[operation.new_range()])],
        };
        for (sign, lines) in lines {
            for line in lines {
                if hunk.body.len() + line.text.len() > bytes_max {
                    return false;
                }
                hunk.push(sign, *line);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::unified;
    use crate::engine::compare::{LineDiff, read_pair};

    fn diff(from: &str, to: &str, deadline: Instant, bytes_max: usize) -> (String, (u64, u64), bool) {
        let (from, to) = read_pair(from.as_bytes(), to.as_bytes()).expect("texts");
        let lines = LineDiff::new(&from, &to, deadline).expect("within the bounds");
        let written = unified(&lines, "a", "b", bytes_max);
        (written.text, lines.counts(), written.is_cut)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// A line with its end, if it has one.
    type Piece = (String, bool);

    fn pieces(text: &str) -> Vec<Piece> {
        text.split_inclusive('\n').map(|line| (line.trim_end_matches('\n').to_owned(), line.ends_with('\n'))).collect()
    }

    /// What `patch` makes of a text: everything before a hunk is copied, and its old lines must be there.
    fn apply(diff: &str, from: &str) -> Vec<Piece> {
        let from = pieces(from);
        let (mut made, mut at) = (Vec::new(), 0);
        let mut lines = diff.lines().skip(2).peekable();
        while let Some(line) = lines.next() {
            if let Some(range) = line.strip_prefix("@@ -") {
                let range = range.split(' ').next().expect("a range");
                let (first, count) = range.split_once(',').unwrap_or((range, "1"));
                let first: usize = first.parse().expect("a number");
                let start = if count == "0" { first } else { first - 1 };
                made.extend_from_slice(&from[at..start]);
                at = start;
                continue;
            }
            let has_end = lines.next_if(|next| next.starts_with('\\')).is_none();
            let piece = (line[1..].to_owned(), has_end);
            match &line[..1] {
                " " | "-" => {
                    assert_eq!(from[at], piece, "{diff}");
                    at += 1;
                    if line.starts_with(' ') {
                        made.push(piece);
                    }
                }
                "+" => made.push(piece),
                _ => panic!("{line:?}"),
            }
        }
        made.extend_from_slice(&from[at..]);
        made
    }

    fn text() -> impl Strategy<Value = String> {
        let line = prop::sample::select(vec![
            "",
            " ",
            "UH  1",
            "UH  2",
            "&",
            "-x",
            "+x",
            "@@",
            "çã",
            "\\ No newline",
            "# cut",
        ]);
        (prop::collection::vec(line, 0..40), any::<bool>()).prop_map(|(lines, has_end)| {
            let text = lines.join("\n");
            if has_end && !text.is_empty() { text + "\n" } else { text }
        })
    }

    proptest! {
        #[test]
        fn a_diff_leads_from_one_text_to_the_other(from in text(), to in text(), is_late in any::<bool>()) {
            // A deadline that has passed gives a coarser diff, never a wrong one.
            let deadline = if is_late { Instant::now() } else { later() };
            let (written, (added, removed), is_cut) = diff(&from, &to, deadline, usize::MAX);
            prop_assert!(!is_cut);
            prop_assert_eq!(apply(&written, &from), pieces(&to));
            prop_assert_eq!(pieces(&from).len() as u64 + added, pieces(&to).len() as u64 + removed);
            prop_assert_eq!(written.is_empty(), pieces(&from) == pieces(&to));
        }

        #[test]
        fn a_diff_that_is_cut_says_where(from in text(), to in text(), bytes_max in 0_usize..200) {
            let (whole, _, _) = diff(&from, &to, later(), usize::MAX);
            let (written, _, is_cut) = diff(&from, &to, later(), bytes_max);
            if is_cut {
                let (part, end) = written.trim_end_matches('\n').rsplit_once('\n').expect("two lines");
                prop_assert!(end.starts_with("# cut here, at line "), "{}", end);
                // What was written before leads to the beginning of the other text.
                let made = apply(&format!("{part}\n"), &from);
                let line: usize = end["# cut here, at line ".len()..].split(' ').next().expect("a number").parse().expect("a number");
                prop_assert_eq!(&made[..line], &pieces(&to)[..line]);
            } else {
                prop_assert_eq!(written, whole);
            }
        }
    }

    #[test]
    fn a_diff_is_written_as_diff_writes_it() {
        let from = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let to = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10";
        let expected =
            "--- a\n+++ b\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+10\n\\ No newline at end of file\n";
        assert_eq!(diff(from, to, later(), usize::MAX), (expected.to_owned(), (2, 1), false));
        let added = "--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n";
        assert_eq!(diff("", "x\n", later(), usize::MAX).0, added);
        assert_eq!(diff("x\n", "", later(), usize::MAX).0, "--- a\n+++ b\n@@ -1 +0,0 @@\n-x\n");
    }

    #[test]
    fn fixed_columns_are_kept() {
        let from = "UH  1    1      34.39\r\nUH  2    1\t     2.0  \r\n";
        let to = "UH  1    1      34.40\r\nUH  2    1\t     2.0  \r\n";
        let (written, counts, _) = diff(from, to, later(), usize::MAX);
        assert!(
            written.contains("\n-UH  1    1      34.39\n+UH  1    1      34.40\n UH  2    1\t     2.0  \n"),
            "{written}"
        );
        assert_eq!(counts, (1, 1));
    }

    #[test]
    fn texts_without_a_common_line_are_compared_in_bounded_time() {
        let lines =
            |from: usize| (from..from + 150_000).map(|i| format!("{}\n", i % 1_000 * 7919 % 1_009)).collect::<String>();
        let (from, to) = (lines(0), lines(501));
        let began = Instant::now();
        let (_, (added, removed), _) = diff(&from, &to, began + Duration::from_millis(200), 1 << 20);
        assert_eq!(added, removed);
    }
}
