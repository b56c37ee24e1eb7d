//! Documents that were asked for lately, parsed: a tool sends the same few for ever, with other variables.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Request, ServerError};

use super::document::check_document;

/// Documents that are kept at most, and characters of each: parsed, one of these takes up to half a megabyte.
const KEPT_MAX: usize = 50;
const LENGTH_MAX: usize = 2_000;

#[derive(Clone, Default)]
pub struct Documents(Arc<Mutex<HashMap<String, ExecutableDocument>>>);

impl Documents {
    /// Checks and parses a question's document. One that does not parse is left to the answer, which tells where.
    pub fn prepare(&self, question: &mut Request) -> Result<(), ServerError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&question.query).cloned();
        if let Some(known) = known {
            question.set_parsed_query(known);
            return Ok(());
        }
        check_document(&question.query)?;
        if let Ok(parsed) = question.parsed_query().cloned()
            && question.query.len() <= LENGTH_MAX
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(question.query.clone(), parsed);
        }
        Ok(())
    }
}
