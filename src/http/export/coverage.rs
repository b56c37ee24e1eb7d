//! `GET /export/coverage.{format}`: which periods of which products.
use axum::http::StatusCode;

use super::parameters::{Parameters, one_of};
use super::request::contains;
use crate::domain::parse_local_date;
use crate::http::Problem;
use crate::query::{CoverageRequest, CoverageState, CoverageStates, Filter};

/// What `state` may hold besides the states of a period.
const ARRIVED_LATE: &str = "ARRIVED_LATE";

pub(super) fn request(parameters: &mut Parameters) -> Result<CoverageRequest, Problem> {
    let mut day = |name: &str| {
        let day = parameters.parse(name, "day; expected one such as 2025-02-20", parse_local_date)?;
        day.ok_or_else(|| {
            let detail =
                format!("`{name}` is missing: give the first and the last day, such as from=2025-11-01&to=2025-11-30");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    };
    let (from, to) = (day("from")?, day("to")?);
    let names = CoverageState::ALL.iter().map(|state| state.as_str()).chain([ARRIVED_LATE]);
    let expected = one_of("state of a period", names);
    let states = parameters.each("state", &expected, chosen)?.map(|chosen| CoverageStates {
        states: chosen.iter().filter_map(|state| *state).collect(),
        arrived_late: chosen.contains(&None),
    });
    let filter = Filter {
        name: contains(parameters, "name"),
        process: contains(parameters, "process"),
        macro_process: contains(parameters, "macroProcess"),
        ids: parameters.each("productId", "id", |text| text.parse().ok())?,
        ..Filter::default()
    };
    Ok(CoverageRequest { filter, from, to, states })
}

/// A state of periods; the inner `None` is that their file arrived late.
fn chosen(text: &str) -> Option<Option<CoverageState>> {
    if text.eq_ignore_ascii_case(ARRIVED_LATE) {
        return Some(None);
    }
    CoverageState::ALL.iter().find(|state| state.as_str().eq_ignore_ascii_case(text)).map(|state| Some(*state))
}
