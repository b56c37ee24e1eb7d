//! A product of the catalogue and its versions.
use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan};

use super::content::Content;
use super::deliver::Delivery;
use crate::domain::{LocalDateTime, Period, sao_paulo};

/// How often a product is published, and for which period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Periodicity {
    Daily,
    /// Saturday to Friday.
    Weekly,
    Monthly,
}

impl Periodicity {
    /// The period that contains a day.
    pub fn period_of(self, day: Date) -> Period {
        let (first, last) = match self {
            Self::Daily => (day, day),
            Self::Weekly => {
                let since_saturday = i64::from(day.weekday().since(Weekday::Saturday));
                let first = day.saturating_sub(since_saturday.days());
                (first, first.saturating_add(6.days()))
            }
            Self::Monthly => (day.first_of_month(), day.last_of_month()),
        };
        Period { start: LocalDateTime::start_of(first), end: LocalDateTime::end_of(last) }
    }

    fn step(self, day: Date, periods: i64) -> Date {
        day.saturating_add(match self {
            Self::Daily => periods.days(),
            Self::Weekly => periods.weeks(),
            Self::Monthly => periods.months(),
        })
    }
}

/// What the portal publishes under one number.
#[derive(Clone, Debug)]
pub struct Product {
    /// The last part of its list path.
    pub number: u32,
    pub name: String,
    pub process: String,
    pub macro_process: String,
    /// `/sites/9/38/Produtos/487`.
    pub list_path: String,
    pub periodicity: Periodicity,
    /// Otherwise it is a folder, which is sent as a zip with the product's name.
    pub is_file: bool,
    /// The published versions; the last one is sent.
    pub versions: Vec<Version>,
    /// The versions to be published, the next one first.
    pub to_come: Vec<Version>,
    pub delivery: Option<Delivery>,
}

/// One publication of a product, or a later content of one.
#[derive(Clone, Debug)]
pub struct Version {
    pub period: Period,
    pub file_name: String,
    /// When it was published on the portal. A folder is named after this time.
    pub published_at: Timestamp,
    pub content: Content,
}

impl Product {
    /// The version that is sent.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The `URL` of a version in the token.
    pub(super) fn claim_path(&self, version: &Version) -> String {
        if self.is_file {
            return format!("https://sintegre.ons.org.br{}/{}", self.list_path, version.file_name);
        }
        let stamp = sao_paulo().to_datetime(version.published_at).strftime("%d-%m-%Y_%H%M%S").to_string();
        format!("{}/{stamp}", self.list_path)
    }

    /// Publishes the next version: the next one of `to_come`, else alternately a changed file of the same period and the first
    /// file of the next period.
    pub fn publish(&mut self, now: Timestamp) {
        if !self.to_come.is_empty() {
            let mut next = self.to_come.remove(0);
            next.published_at = now;
            return self.versions.push(next);
        }
        let Some(latest) = self.versions.last().cloned() else { return };
        let count = self.versions.len() as u64;
        let same_period = count % 2 == 1;
        let first_day = latest.period.start.0.date();
        let period =
            if same_period { latest.period } else { self.periodicity.period_of(self.periodicity.step(first_day, 1)) };
        let file_name = if same_period {
            latest.file_name.clone()
        } else {
            renamed(&latest.file_name, first_day, period.start.0.date())
        };
        self.versions.push(Version { period, file_name, published_at: now, content: latest.content.next(count) });
    }
}

/// A file name with its date changed, in whichever format the date is written.
fn renamed(name: &str, from: Date, to: Date) -> String {
    let formats = ["%Y%m%d", "%Y-%m-%d", "%d-%m-%Y", "%d_%m_%Y", "%d.%m.%Y", "%d%m%Y", "%Y%m", "%m%Y", "%Y-%m"];
    let write = |day: Date, format: &str| day.strftime(format).to_string();
    formats
        .iter()
        .find(|format| name.contains(&write(from, format)))
        .map_or_else(|| name.to_owned(), |format| name.replace(&write(from, format), &write(to, format)))
}
