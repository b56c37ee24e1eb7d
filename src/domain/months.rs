//! Months as people write them in a search, in Portuguese or with a year in English: `novembro`, `novembro de 2025`, `nov/2025`, `nov/25`, and days with them: `20 de novembro
//! de 2025`. Texts are folded, so `MARÇO` is `marco`.
use std::ops::Range;

use super::dates::{SearchedDate, WrittenDate, day, month};

const NAMES: [&str; 12] = [
    "janeiro",
    "fevereiro",
    "marco",
    "abril",
    "maio",
    "junho",
    "julho",
    "agosto",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
];

/// Several are words of their own (`may`, `march`), so they count with a year alone.
const ENGLISH_NAMES: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Letters of an abbreviation. Several are words of their own (`mar`, `set`, `dez`), so they count with a year alone.
const ABBREVIATED: usize = 3;

/// Two digits of a year are of this century.
const CENTURY: i16 = 2000;

/// The months and days in a folded text, with their positions.
pub(super) fn months(folded: &str) -> Vec<(Range<usize>, SearchedDate)> {
    let mut found: Vec<(Range<usize>, SearchedDate)> = Vec::new();
    for word in letter_runs(folded) {
        let is_alone = !folded[..word.start].ends_with(char::is_alphanumeric);
        let Some((number, is_whole)) = number_of(&folded[word.clone()]).filter(|_| is_alone) else { continue };
        let with_year = year_after(&folded[word.end..]);
        let ends_there = !folded[word.end..].starts_with(char::is_alphanumeric);
        let read_to = found.last().map_or(0, |(range, _)| range.end);
        let one = match with_year {
            Some((year, length)) => {
                let end = word.end + length;
                let with_day = day_before(&folded[read_to..word.start])
                    .and_then(|(number_of_day, at)| Some((read_to + at..end, day(year, number, number_of_day)?)));
                with_day.or_else(|| Some((word.start..end, month(year, number)?))).map(written)
            }
            None if is_whole && ends_there => Some((word, SearchedDate::MonthOfAnyYear(number))),
            None => None,
        };
        found.extend(one);
    }
    found
}

fn written((range, date): (Range<usize>, WrittenDate)) -> (Range<usize>, SearchedDate) {
    (range, SearchedDate::Written(date))
}

/// The number of a month from 1 on, and whether its name is written out.
fn number_of(word: &str) -> Option<(i16, bool)> {
    let number = |position: usize| i16::try_from(position + 1).ok();
    if let Some(position) = NAMES.iter().position(|name| *name == word) {
        return Some((number(position)?, true));
    }
    let is_short = |name: &&str| name.get(..ABBREVIATED) == Some(word);
    let position = NAMES.iter().position(is_short);
    let position = position.or_else(|| ENGLISH_NAMES.iter().position(|name| *name == word || is_short(name)))?;
    Some((number(position)?, false))
}

/// The year right after a month's name, and the length of both together with what is between: `/2025`, ` de 2025`, `. 2025`, `2025`,
/// `/25`.
fn year_after(text: &str) -> Option<(i16, usize)> {
    let mut rest = text.strip_prefix('.').unwrap_or(text).trim_start();
    let separator = ["/", "-", "de ", "do ", "of "].into_iter().find(|separator| rest.starts_with(separator));
    if let Some(separator) = separator {
        rest = rest[separator.len()..].trim_start();
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, after) = rest.split_at(digits);
    // A day or a version may follow a month too: `novembro 20/11/2025`, `novembro 2025a`.
    let goes_on = after.starts_with(char::is_alphanumeric)
        || (after.starts_with(['/', '-', '.']) && after[1..].starts_with(|c: char| c.is_ascii_digit()));
    let year = match (digits, separator) {
        (4, _) => number.parse::<i16>().ok()?,
        (2, Some("/" | "-")) => CENTURY + number.parse::<i16>().ok()?,
        _ => return None,
    };
    (!goes_on).then_some((year, text.len() - after.len()))
}

/// The day right before a month's name, and where it begins: `20 de `, `20 `, `20/`.
fn day_before(text: &str) -> Option<(i16, usize)> {
    let text = text.trim_end();
    let rest = text.strip_suffix(" de").or_else(|| text.strip_suffix(['/', '-'])).unwrap_or(text).trim_end();
    // `1º de novembro`
    let rest = rest.strip_suffix(['º', '°', 'o']).filter(|day| day.ends_with('1')).unwrap_or(rest);
    let start = rest.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let is_alone = !rest[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '.'));
    let number = rest[start..].parse().ok().filter(|_| rest.len() - start <= 2 && is_alone)?;
    Some((number, start))
}

fn letter_runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, letter) in text.char_indices().filter(|(_, c)| c.is_alphabetic()) {
        let end = at + letter.len_utf8();
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = end,
            _ => runs.push(at..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::NAMES;
    use crate::domain::{SearchedDate, WrittenDate, dates_in_search, fold};

    fn shown(text: &str) -> Vec<String> {
        let shown = |date| match date {
            SearchedDate::Written(date) => WrittenDate::term(date),
            SearchedDate::MonthOfAnyYear(number) => format!("*-{number:02}"),
        };
        dates_in_search(&fold(text)).into_iter().map(|(_, date)| shown(date)).collect()
    }

    #[test]
    fn months_are_read_as_they_are_typed() {
        for (text, dates) in [
            ("novembro", vec!["*-11"]),
            ("MARÇO", vec!["*-03"]),
            ("deck newave março", vec!["*-03"]),
            ("novembro de 2025", vec!["2025-11"]),
            ("Novembro 2025", vec!["2025-11"]),
            ("novembro/2025", vec!["2025-11"]),
            ("nov/2025", vec!["2025-11"]),
            ("nov/25", vec!["2025-11"]),
            ("nov. 2025", vec!["2025-11"]),
            ("nov2025", vec!["2025-11"]),
            ("nov 2025 decomp", vec!["2025-11"]),
            ("11/2025", vec!["2025-11"]),
            ("out/2025 nov/2025", vec!["2025-10", "2025-11"]),
            ("20 de novembro de 2025", vec!["2025-11-20"]),
            ("20/nov/2025", vec!["2025-11-20"]),
            ("1º de novembro de 2025", vec!["2025-11-01"]),
            ("1o de novembro de 2025", vec!["2025-11-01"]),
            ("novembro 20/11/2025", vec!["*-11", "2025-11-20"]),
            ("31 de novembro de 2025", vec!["2025-11"]),
            ("revisão 3 dezembro de 2025", vec!["2025-12-03"]),
            ("november 2025", vec!["2025-11"]),
            ("february/2025", vec!["2025-02"]),
            ("dec 2025", vec!["2025-12"]),
            ("20 may 2025", vec!["2025-05-20"]),
            ("may", vec![]),
            ("march", vec![]),
            // Words of their own, parts of words, years that are none.
            ("set", vec![]),
            ("dez arquivos", vec![]),
            ("mar 20", vec![]),
            ("novembros", vec![]),
            ("xnovembro", vec![]),
            ("novembro2", vec![]),
            ("nov 25", vec![]),
            ("nov 1900", vec![]),
            ("maiores vazões", vec![]),
            ("novembro 2025a", vec!["*-11"]),
        ] {
            assert_eq!(shown(text), dates, "{text}");
        }
    }

    proptest! {
        /// A month is found in every way of writing it, whatever is around it.
        #[test]
        fn a_month_is_found_in_any_writing(
            month in 1usize..=12, year in 1980i16..=2099, form in 0usize..7, upper: bool,
            before in "(pmo |deck newave |\\(|)", after in "( definitivo|\\)|, rev|)",
        ) {
            let name = NAMES[month - 1];
            let short = &name[..3];
            let accented = if month == 3 { "março" } else { name };
            let text = match form {
                0 => format!("{name} de {year}"),
                1 => format!("{accented} {year}"),
                2 => format!("{accented}/{year}"),
                3 => format!("{short}/{year}"),
                4 => format!("{short}-{year}"),
                5 => format!("{short} {year}"),
                _ => format!("{month:02}/{year}"),
            };
            let text = format!("{before}{text}{after}");
            let text = if upper { text.to_uppercase() } else { text };
            prop_assert_eq!(shown(&text), vec![format!("{year}-{month:02}")], "{}", text);
        }

        /// The positions are those of the text, in order, whatever it is.
        #[test]
        fn positions_are_in_order(text in "([a-z ./-]|[0-9]{1,4}|novembro|mar|de |março|ç|漢|/){0,12}") {
            let folded = fold(&text);
            let mut read_to = 0;
            for (range, _) in dates_in_search(&folded) {
                prop_assert!(range.start >= read_to && range.end > range.start);
                prop_assert!(folded.get(range.clone()).is_some());
                read_to = range.end;
            }
        }
    }
}
