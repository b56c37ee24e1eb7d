//! Queries of URLs that have one parameter at most, besides the key, which was read before.
use axum::http::StatusCode;

use super::Problem;
use crate::domain::excerpt;

/// The value of the only parameter. Others are refused, since one that is ignored changes what is answered.
pub(super) fn parameter(query: &str, name: &str) -> Result<Option<String>, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut found = None;
    for (given, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match given.as_ref() {
            "key" => {}
            given if given != name => {
                return Err(bad(format!("`{}` is not a parameter here; expected `{name}`", excerpt(given))));
            }
            _ if found.is_some() => return Err(bad(format!("`{name}` was given twice"))),
            _ => found = Some(value.into_owned()),
        }
    }
    Ok(found)
}
