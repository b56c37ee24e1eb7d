//! The bounds of filters, the same wherever one is given: beyond them neither the index nor a database takes a value.
use super::QueryError;
use crate::domain::{TextMatch, fold};
use crate::engine::index::Filter;
use crate::engine::record::NotificationQuery;

/// Characters of a text that is compared, as sent and as folded.
const TEXT_MAX: usize = 2_000;

/// Values of one list.
const VALUES_MAX: usize = 5_000;

pub(super) fn check_filter(filter: &Filter) -> Result<(), QueryError> {
    check_values("id", filter.ids.as_deref())?;
    check_values("productId", filter.product_ids.as_deref())?;
    let texts = [
        ("name", &filter.name),
        ("process", &filter.process),
        ("macroProcess", &filter.macro_process),
        ("fileName", &filter.file_name),
        ("referenceDate", &filter.reference_date),
        ("listPath", &filter.list_path),
    ];
    for (name, wanted) in texts {
        check_match(name, wanted.as_ref())?;
    }
    check_values("granularity", filter.granularity.as_deref())?;
    check_values("status", filter.status.as_deref())?;
    check_texts("extension", filter.extension.as_deref())
}

/// Public for the jobs that select notifications.
pub fn check_notifications(query: &NotificationQuery) -> Result<(), QueryError> {
    check_values("ids", query.ids.as_deref())?;
    check_values("status", query.status.as_deref())?;
    check_values("productId", query.product_id.as_deref())?;
    check_match("name", query.name.as_ref())?;
    check_texts("source", query.source.as_deref())
}

fn check_match(name: &str, wanted: Option<&TextMatch>) -> Result<(), QueryError> {
    let Some(wanted) = wanted else { return Ok(()) };
    for (way, text) in [("eq", &wanted.eq), ("contains", &wanted.contains), ("startsWith", &wanted.starts_with)] {
        if let Some(text) = text {
            check_text(&format!("{name}.{way}"), text)?;
        }
    }
    check_texts(&format!("{name}.in"), wanted.any_of.as_deref())
}

fn check_texts(name: &str, texts: Option<&[String]>) -> Result<(), QueryError> {
    check_values(name, texts)?;
    texts.unwrap_or_default().iter().try_for_each(|text| check_text(name, text))
}

fn check_values<T>(name: &str, values: Option<&[T]>) -> Result<(), QueryError> {
    match values.map_or(0, <[T]>::len) {
        number if number > VALUES_MAX => Err(QueryError::bad(format!(
            "`{name}` holds {number} values: at most {VALUES_MAX} are compared; ask in parts"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn check_text(name: &str, text: &str) -> Result<(), QueryError> {
    // Some characters are folded to several.
    let length = text.chars().count().max(fold(text).chars().count());
    if length > TEXT_MAX {
        return Err(QueryError::bad(format!("`{name}` has {length} characters: at most {TEXT_MAX} are compared")));
    }
    match text.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        Some(c) => Err(QueryError::bad(format!(
            "`{name}` holds the control character U+{:04X}, which no name has: leave it out",
            u32::from(c)
        ))),
        None => Ok(()),
    }
}
