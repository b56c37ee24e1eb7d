//! Output to the terminal. Names, paths and reasons come from outside: everything goes through [`printable`], so that none of
//! them moves the cursor or changes the reading direction.
use std::io::{IsTerminal, Write};

use anyhow::bail;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;

use super::language::{language, say};
use crate::domain::{first_chars, printable, sao_paulo};
use crate::lang::Lang;

/// The longest text in a cell of a table.
const CELL_CHARS_MAX: usize = 200;

/// The program that read standard output has ended, as `head` does. This is not an error, and there is nothing left to do.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(super) struct OutputClosed;

/// Prints a line to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let line_end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    out.write_all(printable(text).as_bytes())
        .and_then(|()| out.write_all(line_end))
        .and_then(|()| out.flush())
        .map_err(write_error)
}

/// What another module says in English, such as an error, a warning or the reason of a failure, in the language of this process.
pub(super) fn reason(english: impl std::fmt::Display) -> String {
    language().error(&english.to_string()).into_owned()
}

/// How a line is shown on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Red,
    Green,
    Yellow,
    Cyan,
    /// A word that was searched for.
    Found,
}

impl Style {
    /// What a terminal needs to show it.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Found => "1;31",
        }
    }
}

/// When lines are shown in their styles.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

impl Color {
    fn is_shown(self) -> bool {
        match self {
            Self::Auto => {
                let is_refused = super::environment("NO_COLOR").is_some_and(|value| !value.is_empty());
                std::io::stdout().is_terminal() && !is_refused
            }
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Prints lines to standard output, each of pieces in a style.
pub(super) fn print_lines<L, T>(color: Color, lines: impl Iterator<Item = L>) -> anyhow::Result<()>
where
    L: AsRef<[(Style, T)]>,
    T: AsRef<str>,
{
    let is_colored = color.is_shown();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in lines {
        writeln!(out, "{}", styled(line.as_ref(), is_colored)).map_err(write_error)?;
    }
    out.flush().map_err(write_error)
}

/// A line of pieces in a style. Only what is in the pieces comes from outside, so only that is made printable.
fn styled<T: AsRef<str>>(pieces: &[(Style, T)], is_colored: bool) -> String {
    let piece = |(style, text): &(Style, T)| {
        let text = printable(text.as_ref());
        match style.code() {
            code if is_colored && !code.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.into_owned(),
        }
    };
    pieces.iter().map(piece).collect()
}

/// Prints a line to standard error, and ignores errors.
pub(super) fn print_message(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// A text from outside for a cell of a table: printable, on one line, of limited length.
pub(super) fn in_cell(text: &str) -> String {
    let start = first_chars(text, CELL_CHARS_MAX);
    let line = printable(start).replace(['\n', '\r', '\t'], " ");
    if start.len() < text.len() { line + "…" } else { line }
}

/// How wide a table may be: the terminal's width, or `COLUMNS` where that is set; `None` where the output is neither.
pub(super) fn width() -> Option<usize> {
    let wanted = super::environment("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    wanted.or_else(|| console::Term::stdout().size_checked().map(|(_, columns)| columns.into()))
}

/// What a failed write to standard output means.
pub(super) fn write_error(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => OutputClosed.into(),
        _ => anyhow::Error::new(error).context(say!("cli-stdout-closed")),
    }
}

/// Bytes for a person: `1.2 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let size = bytesize::ByteSize(bytes).to_string();
    let (number, unit) = size.split_once(' ').unwrap_or((&size, ""));
    format!("{} {unit}", language().number(number))
}

/// A whole number for a person.
pub(super) fn count(number: impl std::fmt::Display) -> String {
    language().number(&number.to_string())
}

/// A number with one decimal, for a person.
pub(super) fn decimal(number: f64) -> String {
    language().number(&format!("{number:.1}"))
}

/// A line of a block: a label in a column, and its value.
pub(super) fn line(label: &str, value: &str) -> String {
    format!("{label:<20} {value}")
}

/// A day for a person.
pub(super) fn day(day: jiff::civil::Date) -> String {
    let format = match language() {
        Lang::English => "%Y-%m-%d",
        Lang::Portuguese => "%d/%m/%Y",
    };
    day.strftime(format).to_string()
}

/// An instant for a person, as the clocks of São Paulo show it: `2026-11-26 14:24`, in Portuguese `26/11/2026 14:24`.
pub(super) fn local(at: Timestamp) -> String {
    let format = match language() {
        Lang::English => "%Y-%m-%d %H:%M",
        Lang::Portuguese => "%d/%m/%Y %H:%M",
    };
    at.to_zoned_datetime(sao_paulo().clone()).strftime(format).to_string()
}

/// The same with its distance from now: `2026-11-26 14:24 (12 min ago)`.
pub(super) fn when(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs();
    let distance = match seconds.unsigned_abs() {
        0..60 => format!("{} s", seconds.abs()),
        60..3_600 => format!("{} min", seconds.abs() / 60),
        3_600..172_800 => format!("{} h", seconds.abs() / 3_600),
        _ => say!("cli-time-days", count = seconds.abs() / 86_400),
    };
    match seconds < 0 {
        true => say!("cli-time-in", at = local(at), distance = distance),
        false => say!("cli-time-ago", at = local(at), distance = distance),
    }
}

/// Objects without nested values as CSV (RFC 4180); the keys of the first one are the columns.
pub(super) fn csv(rows: impl Iterator<Item = Value>) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for (i, row) in rows.enumerate() {
        let Value::Object(row) = row else { bail!("a row of CSV is not an object: {row}") };
        if i == 0 {
            writer.write_record(row.keys())?;
        }
        writer.write_record(row.values().map(cell))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, styled, when};

    #[test]
    fn styles_are_shown_and_control_characters_of_a_text_are_not() {
        let line = [(Style::Found, "FCMAX"), (Style::Plain, " 98.16 \x1b[2J")];
        assert_eq!(styled(&line, true), "\x1b[1;31mFCMAX\x1b[0m 98.16 \\u001b[2J");
        assert_eq!(styled(&line, false), "FCMAX 98.16 \\u001b[2J");
    }

    #[test]
    fn instants_for_people_are_local_and_say_how_long_ago() {
        let at = |text: &str| text.parse().expect("an instant");
        let now = at("2026-11-26T17:24:30Z");
        for (instant, expected) in [
            ("2026-11-26T17:24:30Z", "2026-11-26 14:24 (0 s ago)"),
            ("2026-11-26T17:12:30Z", "2026-11-26 14:12 (12 min ago)"),
            ("2026-11-26T02:24:30Z", "2026-11-25 23:24 (15 h ago)"),
            ("2026-11-01T17:24:30Z", "2026-11-01 14:24 (25 days ago)"),
            ("2026-11-26T17:25:30Z", "2026-11-26 14:25 (in 1 min)"),
        ] {
            assert_eq!(when(at(instant), now), expected);
        }
    }
}
