//! The parameters of an export's URL, and how each is parsed.
use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::domain::{excerpt, parse_instant};
use crate::http::Problem;
use crate::http::language::say;

/// The parameters of a request. Each is taken once, so one that is left is misspelt.
pub(super) struct Parameters {
    given: BTreeMap<String, String>,
    /// Those that were asked for, so all that the export has.
    known: BTreeSet<String>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name == "key" {
                continue;
            }
            if all.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    say!("problem-twice", name = excerpt(&name).to_string()),
                ));
            }
        }
        Ok(Self { given: all, known: BTreeSet::new() })
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.given.remove(name).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is given that the export does not have.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    pub(super) fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    pub(super) fn parse<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`{name}` is `{}`, which is not a valid {what}", excerpt(&text)),
            )
        })
    }

    pub(super) fn each<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let Some(texts) = self.list(name) else { return Ok(None) };
        let wrong = |text: &str| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`{name}` holds `{}`, which is not a valid {what}", excerpt(text)),
            )
        };
        texts.iter().map(|text| parse(text).ok_or_else(|| wrong(text))).collect::<Result<Vec<T>, _>>().map(Some)
    }

    pub(super) fn instant(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parse(name, "instant; expected one such as 2025-02-20T12:00:00Z", parse_instant)
    }

    pub(super) fn done(self) -> Result<(), Problem> {
        let Some(name) = self.given.into_keys().next() else { return Ok(()) };
        let known = self.known.into_iter().collect::<Vec<_>>().join(", ");
        let detail = say!("problem-parameter", name = excerpt(&name).to_string(), known = known);
        Err(Problem::new(StatusCode::BAD_REQUEST, detail))
    }
}

/// What a parameter expects, with its names: `status; expected one of A, B`.
pub(super) fn one_of(what: &str, names: impl Iterator<Item = &'static str>) -> String {
    format!("{what}; expected one of {}", names.collect::<Vec<_>>().join(", "))
}
