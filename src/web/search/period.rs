//! Periods in words.
use jiff::ToSpan;
use jiff::civil::Date;

use crate::lang::{Lang, text};

/// Days relative to today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Today,
    Yesterday,
    Week,
    Days30,
    Month,
    LastMonth,
    Year,
    LastYear,
}

impl Span {
    pub const ALL: [Self; 8] = [
        Self::Today,
        Self::Yesterday,
        Self::Week,
        Self::Days30,
        Self::Month,
        Self::LastMonth,
        Self::Year,
        Self::LastYear,
    ];

    /// As an address writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Week => "7d",
            Self::Days30 => "30d",
            Self::Month => "month",
            Self::LastMonth => "last-month",
            Self::Year => "year",
            Self::LastYear => "last-year",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    pub fn label(self, lang: Lang) -> String {
        match self {
            Self::Today => text!(lang, "span-today"),
            Self::Yesterday => text!(lang, "span-yesterday"),
            Self::Week => text!(lang, "span-week"),
            Self::Days30 => text!(lang, "span-days-30"),
            Self::Month => text!(lang, "span-month"),
            Self::LastMonth => text!(lang, "span-last-month"),
            Self::Year => text!(lang, "span-year"),
            Self::LastYear => text!(lang, "span-last-year"),
        }
    }

    /// The first and the last day.
    pub fn days(self, today: Date) -> (Option<Date>, Option<Date>) {
        let before = |days: i64| today.saturating_sub(days.days());
        let last_month = today.first_of_month().saturating_sub(1.day());
        let last_year = today.first_of_year().saturating_sub(1.day());
        let (first, last) = match self {
            Self::Today => (today, today),
            Self::Yesterday => (before(1), before(1)),
            Self::Week => (before(6), today),
            Self::Days30 => (before(29), today),
            Self::Month => (today.first_of_month(), today.last_of_month()),
            Self::LastMonth => (last_month.first_of_month(), last_month),
            Self::Year => (today.first_of_year(), today.last_of_year()),
            Self::LastYear => (last_year.first_of_year(), last_year),
        };
        (Some(first), Some(last))
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn words_mean_days_up_to_today() {
        let today = "2024-03-01".parse().expect("a day");
        let written = |span: Span| {
            let (from, to) = span.days(today);
            format!("{} {}", from.expect("a day"), to.expect("a day"))
        };
        assert_eq!(
            Span::ALL.map(written),
            [
                "2024-03-01 2024-03-01",
                "2024-02-29 2024-02-29",
                "2024-02-24 2024-03-01",
                "2024-02-01 2024-03-01",
                "2024-03-01 2024-03-31",
                "2024-02-01 2024-02-29",
                "2024-01-01 2024-12-31",
                "2023-01-01 2023-12-31",
            ]
        );
        assert!(Span::ALL.into_iter().all(|span| Span::parse(span.name()) == Some(span)));
    }
}
