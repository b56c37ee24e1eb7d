//! What the address of a search says. The names are those of the exports where they mean the same.
use jiff::Timestamp;
use jiff::civil::Date;

use super::period::Span;
use crate::domain::{LocalDateTime, ProductId, TextMatch, excerpt, fold, parse_as_of, parse_local_date};
use crate::lang::text;
use crate::query::{Chosen, Filter, Order, SearchIn};
use crate::web::visit::address;
use crate::web::{ViewError, Visit, units};

/// How results are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    PeriodDesc,
    PeriodAsc,
    ArchivedDesc,
    ArchivedAsc,
    NameAsc,
    SizeDesc,
    Relevance,
}

impl Sort {
    pub const ALL: [Self; 7] = [
        Self::PeriodDesc,
        Self::PeriodAsc,
        Self::ArchivedDesc,
        Self::ArchivedAsc,
        Self::NameAsc,
        Self::SizeDesc,
        Self::Relevance,
    ];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PeriodDesc => "PERIOD_DESC",
            Self::PeriodAsc => "PERIOD_ASC",
            Self::ArchivedDesc => "ARCHIVED_DESC",
            Self::ArchivedAsc => "ARCHIVED_ASC",
            Self::NameAsc => "NAME_ASC",
            Self::SizeDesc => "SIZE_DESC",
            Self::Relevance => "RELEVANCE",
        }
    }

    pub fn order(self) -> Order {
        match self {
            Self::PeriodDesc => Order::Period { descending: true },
            Self::PeriodAsc => Order::Period { descending: false },
            Self::ArchivedDesc => Order::Archived { descending: true },
            Self::ArchivedAsc => Order::Archived { descending: false },
            Self::NameAsc => Order::Name,
            Self::SizeDesc => Order::Size { descending: true },
            Self::Relevance => Order::Relevance,
        }
    }
}

/// A facet, as its parameter is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    Process,
    MacroProcess,
    Product,
    Granularity,
    Extension,
    Status,
}

impl Facet {
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::MacroProcess => "macroProcess",
            Self::Product => "productId",
            Self::Granularity => "granularity",
            Self::Extension => "extension",
            Self::Status => "status",
        }
    }
}

/// The parameters of a search, checked.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub search: Option<String>,
    pub search_in: SearchIn,
    pub chosen: Chosen,
    /// The period in words.
    pub span: Option<Span>,
    pub period_from: Option<Date>,
    pub period_to: Option<Date>,
    /// As it was written, and the instant that it means.
    pub as_of: Option<(String, Timestamp)>,
    pub order: Sort,
    pub after: Option<String>,
    pub before: Option<String>,
    today: Date,
}

impl Parameters {
    pub fn read(visit: &Visit) -> Result<Self, ViewError> {
        let texts = |name| visit.all(name).map(str::to_owned).collect::<Vec<_>>();
        let chosen = Chosen {
            process: texts("process"),
            macro_process: texts("macroProcess"),
            product: each(visit, "productId", |text| text.parse::<ProductId>().ok())?,
            granularity: each(visit, "granularity", |text| text.parse().ok())?,
            extension: texts("extension"),
            status: each(visit, "status", |text| text.parse().ok())?,
        };
        let named = |text: &str| Sort::ALL.into_iter().find(|sort| sort.name() == text);
        Ok(Self {
            search: visit.parameter("search").map(str::to_owned),
            search_in: one(visit, "in", place)?.unwrap_or_default(),
            chosen,
            span: one(visit, "period", Span::parse)?,
            period_from: one(visit, "periodFrom", parse_local_date)?,
            period_to: one(visit, "periodTo", parse_local_date)?,
            as_of: one(visit, "asOf", |text| Some((text.to_owned(), parse_as_of(text)?)))?,
            order: one(visit, "orderBy", named)?.unwrap_or(Sort::PeriodDesc),
            after: visit.parameter("after").map(str::to_owned),
            before: visit.parameter("before").map(str::to_owned),
            today: units::local(visit.now).date(),
        })
    }

    pub fn as_of_instant(&self) -> Option<Timestamp> {
        self.as_of.as_ref().map(|(_, at)| *at)
    }

    /// The days of the period: those of the calendar, else those of the words.
    pub fn days(&self) -> (Option<Date>, Option<Date>) {
        match (self.period_from, self.period_to, self.span) {
            (None, None, Some(span)) => span.days(self.today),
            (from, to, _) => (from, to),
        }
    }

    /// Where the search looks, as addresses write it; empty for names.
    pub fn place(&self) -> &'static str {
        match self.search_in {
            SearchIn::Names => "",
            SearchIn::Content => "CONTENT",
        }
    }

    /// The conditions that are not facets.
    pub fn without_facets(&self) -> Filter {
        let (from, to) = self.days();
        Filter {
            period_from: from.map(LocalDateTime::start_of),
            period_to: to.map(LocalDateTime::end_of),
            ..Filter::default()
        }
    }

    pub fn filter(&self) -> Filter {
        let Chosen { process, macro_process, product, granularity, extension, status } = self.chosen.clone();
        let any =
            |texts: Vec<String>| some(texts).map(|any_of| TextMatch { any_of: Some(any_of), ..TextMatch::default() });
        Filter {
            process: any(process),
            macro_process: any(macro_process),
            product_ids: some(product).map(|ids| ids.into_iter().map(|id| id.0).collect()),
            granularity: some(granularity),
            extension: some(extension.into_iter().map(|text| text.to_lowercase()).collect()),
            status: some(status),
            ..self.without_facets()
        }
    }

    /// The values chosen in a facet, as the address writes them.
    pub fn values(&self, facet: Facet) -> Vec<String> {
        let chosen = &self.chosen;
        match facet {
            Facet::Process => chosen.process.clone(),
            Facet::MacroProcess => chosen.macro_process.clone(),
            Facet::Product => chosen.product.iter().map(ToString::to_string).collect(),
            Facet::Granularity => chosen.granularity.iter().map(ToString::to_string).collect(),
            Facet::Extension => chosen.extension.clone(),
            Facet::Status => chosen.status.iter().map(ToString::to_string).collect(),
        }
    }

    const FACETS: [Facet; 6] =
        [Facet::Process, Facet::MacroProcess, Facet::Product, Facet::Granularity, Facet::Extension, Facet::Status];

    /// What the address says but for the page.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let date = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let mut pairs = vec![("search", self.search.clone().unwrap_or_default()), ("in", self.place().to_owned())];
        for facet in Self::FACETS {
            pairs.extend(self.values(facet).into_iter().map(|value| (facet.parameter(), value)));
        }
        pairs.push(("period", self.span.map(Span::name).unwrap_or_default().to_owned()));
        pairs.push(("periodFrom", date(self.period_from)));
        pairs.push(("periodTo", date(self.period_to)));
        pairs.push(("asOf", self.as_of.clone().map(|(text, _)| text).unwrap_or_default()));
        if self.order != Sort::PeriodDesc {
            pairs.push(("orderBy", self.order.name().to_owned()));
        }
        pairs
    }

    fn written<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        address("/", pairs)
    }

    pub fn after_address(&self, cursor: &str) -> String {
        let pairs = self.pairs();
        Self::written(pairs.iter().map(|(name, value)| (*name, value.as_str())).chain([("after", cursor)]))
    }

    pub fn before_address(&self, cursor: &str) -> String {
        let pairs = self.pairs();
        Self::written(pairs.iter().map(|(name, value)| (*name, value.as_str())).chain([("before", cursor)]))
    }

    /// The first page of the same search in another place.
    pub fn in_place(&self, search_in: SearchIn) -> String {
        let other = Self { search_in, ..self.clone() };
        other.without(&[])
    }

    /// The first page with a value of a facet chosen, or no longer.
    pub fn toggled(&self, facet: Facet, value: &str) -> String {
        let pairs = self.pairs();
        // Another spelling of the value is the same one.
        let folded = fold(value);
        let is_it = |(name, other): &&(&str, String)| *name == facet.parameter() && fold(other) == folded;
        let is_chosen = pairs.iter().any(|pair| is_it(&pair));
        let others = pairs.iter().filter(|pair| !is_it(pair)).map(|(name, value)| (*name, value.as_str()));
        Self::written(others.chain((!is_chosen).then_some((facet.parameter(), value))))
    }

    /// The first page without some parameters.
    pub fn without(&self, names: &[&str]) -> String {
        let pairs = self.pairs();
        let others = pairs.iter().filter(|(name, _)| !names.contains(name));
        Self::written(others.map(|(name, value)| (*name, value.as_str())))
    }

    /// What the form does not have fields for, and must not lose.
    pub fn hidden(&self) -> Vec<(&'static str, String)> {
        let facets = Self::FACETS.into_iter();
        facets.flat_map(|facet| self.values(facet).into_iter().map(move |value| (facet.parameter(), value))).collect()
    }
}

fn place(text: &str) -> Option<SearchIn> {
    match text {
        "NAMES" | "names" => Some(SearchIn::Names),
        "CONTENT" | "content" => Some(SearchIn::Content),
        _ => None,
    }
}

fn some<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

/// The value of a parameter; an error names both.
fn one<T>(visit: &Visit, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ViewError> {
    visit.parameter(name).map(|text| read(text).ok_or_else(|| bad(visit, name, text))).transpose()
}

fn each<T>(visit: &Visit, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, ViewError> {
    visit.all(name).map(|text| read(text).ok_or_else(|| bad(visit, name, text))).collect()
}

fn bad(visit: &Visit, name: &str, value: &str) -> ViewError {
    ViewError::BadInput(text!(visit.lang, "bad-parameter", name = name.to_owned(), value = excerpt(value)))
}
