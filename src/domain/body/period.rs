//! The period of a body, from its reference date and its two dates.
use super::{BodyReader, Field, Value, reject};
use crate::domain::notification::Rejection;
use crate::domain::text::clean;
use crate::domain::{LocalDateTime, Period};

/// A date of the body.
enum Instant {
    Missing,
    Blank,
    At(LocalDateTime),
    /// In a format that is not the portal's: the text, and its meaning if it has only one.
    Unusual(String, Option<LocalDateTime>),
}

impl BodyReader {
    /// Whether `periodicidade` was given.
    pub(super) fn has_period_start(&self) -> bool {
        !matches!(self.instant(&self.period_start), Instant::Missing | Instant::Blank)
    }

    /// The period; an error if nothing says what it is.
    pub(super) fn period(&mut self, reference_date: Option<&str>) -> Result<Period, Rejection> {
        let start = self.instant(&self.period_start);
        let end = self.instant(&self.period_end).at_the_end(&self.period_end);
        if let Some(span) = reference_date.and_then(Period::of_reference_date) {
            return Ok(self.with_reference_period(&start, &end, span, "`dataProduto`"));
        }
        if let Some(start) = self.by_itself("periodicidade", &start) {
            return Ok(self.starting_at(start, &end));
        }
        if let Some((text, span)) =
            reference_date.and_then(|text| Some((text, Period::of_lenient_reference_date(text)?)))
        {
            self.warn(format!(
                "`dataProduto` is `{}`, which is not a form of the portal; read it as {}",
                self.short(text),
                span.reference_date()
            ));
            return Ok(self.with_reference_period(&start, &end, span, "`dataProduto`"));
        }
        let start = match &start {
            Instant::Unusual(text, _) => format!("`periodicidade` is `{text}`, not a date like 2025-02-20T00:00:00"),
            _ => "`periodicidade` is missing".to_owned(),
        };
        match reference_date {
            Some(text) => reject(&format!(
                "`dataProduto` is `{}`, not DD/MM/YYYY, MM/YYYY or DD/MM/YYYY - DD/MM/YYYY, and {start}",
                self.short(text)
            )),
            None if start.ends_with("missing") => {
                reject("`dataProduto` and `periodicidade` are missing: one of them must be there")
            }
            None => reject(&format!("{start}, and `dataProduto` is missing")),
        }
    }

    /// The period of a body whose reference date stands for the period `span`.
    fn with_reference_period(&mut self, start: &Instant, end: &Instant, span: Period, of: &str) -> Period {
        let given_start = self.usable("periodicidade", start, &format!("used the start of {of}"));
        let given_end = self.usable("periodicidadeFinal", end, &format!("used the end of {of}"));
        let period = Period { start: given_start.unwrap_or(span.start), end: given_end.unwrap_or(span.end) };
        if period.end >= period.start {
            return period;
        }
        self.warn(format!("the period ends ({}) before it starts ({}); used that of {of}", period.end, period.start));
        span
    }

    /// The period from `periodicidade` alone.
    fn starting_at(&mut self, start: LocalDateTime, end: &Instant) -> Period {
        let day_end = Period::end_of_first_day(start);
        let end = match end {
            Instant::Unusual(_, Some(_)) => self.by_itself("periodicidadeFinal", end),
            _ => self.usable("periodicidadeFinal", end, "used the end of the first day"),
        };
        let end = end.unwrap_or(day_end);
        if end >= start {
            return Period { start, end };
        }
        self.warn(format!("the period ends ({end}) before it starts ({start}); used the end of the first day"));
        Period { start, end: day_end }
    }

    /// A date in the portal's format; another becomes a warning that says what was used instead.
    fn usable(&mut self, name: &str, at: &Instant, instead: &str) -> Option<LocalDateTime> {
        match at {
            Instant::Missing => None,
            Instant::At(at) => Some(*at),
            Instant::Blank => {
                self.warn(format!("`{name}` is blank; {instead}"));
                None
            }
            Instant::Unusual(text, _) => {
                self.warn(format!("`{name}` is `{text}`, not a date like 2025-02-20T00:00:00; {instead}"));
                None
            }
        }
    }

    /// A date without an alternative: one in an unusual format is used as well if it has only one meaning.
    fn by_itself(&mut self, name: &str, at: &Instant) -> Option<LocalDateTime> {
        match at {
            Instant::At(at) => Some(*at),
            Instant::Unusual(text, Some(at)) => {
                self.warn(format!("`{name}` is `{text}`, not a date like 2025-02-20T00:00:00; read it as {at}"));
                Some(*at)
            }
            _ => None,
        }
    }

    fn instant(&self, field: &Field) -> Instant {
        match &field.value {
            None if field.is_blank => Instant::Blank,
            None => Instant::Missing,
            Some(Value::Other(json)) => Instant::Unusual(self.short(json), None),
            Some(Value::Text(text)) => {
                let date = clean(text);
                match LocalDateTime::parse(&date) {
                    Some(at) if !at.is_unset() => Instant::At(at),
                    Some(_) => Instant::Unusual(self.short(text), None),
                    None => Instant::Unusual(self.short(text), LocalDateTime::parse_lenient(&date)),
                }
            }
        }
    }
}

impl Instant {
    /// A date without a time means the end of the day.
    fn at_the_end(self, field: &Field) -> Self {
        let is_day = |text: &str| text.trim().len() <= "20/02/2025".len();
        match (self, &field.value) {
            (Self::At(at), Some(Value::Text(text))) if is_day(text) => Self::At(LocalDateTime::end_of(at.0.date())),
            (Self::Unusual(value, Some(at)), Some(Value::Text(text))) if is_day(text) => {
                Self::Unusual(value, Some(LocalDateTime::end_of(at.0.date())))
            }
            (instant, _) => instant,
        }
    }
}
