//! Completions of what is being typed, for the script of the search box.
use serde_json::{Value, json};

use super::visit::address;
use super::{ViewError, Visit};
use crate::lang::text;
use crate::query::{Queries, SuggestionKind};

const SUGGESTIONS: i64 = 8;

/// `[{ text, kind, href }]`: a product leads to its own view, everything else to a search.
pub async fn suggest(queries: &Queries, visit: &Visit) -> Result<Value, ViewError> {
    let lang = visit.lang;
    let found = queries.suggest(visit.parameter("prefix").unwrap_or_default(), SUGGESTIONS).await?;
    let rows = found.into_iter().map(|one| {
        let kind = match one.kind {
            SuggestionKind::Product => text!(lang, "suggested-product"),
            SuggestionKind::Alias => text!(lang, "suggested-alias"),
            SuggestionKind::Process => text!(lang, "suggested-process"),
            SuggestionKind::MacroProcess => text!(lang, "suggested-macro-process"),
            SuggestionKind::File => text!(lang, "suggested-file"),
        };
        let href = match (one.kind, one.product_id) {
            (SuggestionKind::Product | SuggestionKind::Alias, Some(id)) => format!("/products/{id}"),
            (SuggestionKind::Process, _) => address("/", [("process", one.text.as_str())]),
            (SuggestionKind::MacroProcess, _) => address("/", [("macroProcess", one.text.as_str())]),
            (SuggestionKind::File | SuggestionKind::Product | SuggestionKind::Alias, _) => {
                address("/", [("search", one.text.as_str())])
            }
        };
        json!({ "text": one.text, "kind": kind, "href": href, "publications": one.publications })
    });
    Ok(Value::Array(rows.collect()))
}
