//! The schema as edges have it: documents are looked at before they are parsed, and those that were asked for lately are kept
//! parsed, since a tool sends the same few for ever, with other variables. What is executed is their normal form (`rules`).
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Data, Executor, Request, Response, ServerError};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::Schema;
use super::document::check_document;
use super::escapes::with_known_escapes;
use super::rules::Rules;

/// Documents that are kept at most, and characters of each: parsed, one of these takes up to half a megabyte.
const KEPT_MAX: usize = 50;
const LENGTH_MAX: usize = 2_000;

/// Clones share it.
#[derive(Clone)]
pub struct CheckedSchema {
    schema: Schema,
    rules: Rules,
    kept: Arc<Mutex<HashMap<String, Arc<ExecutableDocument>>>>,
}

impl CheckedSchema {
    pub fn new(schema: Schema) -> Self {
        Self { schema, rules: Rules::new(), kept: Arc::default() }
    }

    /// Checks and parses a question's document. One that does not parse is left to the answer, which tells where.
    pub fn prepare(&self, question: &mut Request) -> Result<(), ServerError> {
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&question.query).cloned();
        if let Some(known) = known {
            question.set_parsed_query((*known).clone());
            return Ok(());
        }
        check_document(&question.query)?;
        if let Cow::Owned(written) = with_known_escapes(&question.query) {
            question.query = written;
        }
        if question.query.len() <= LENGTH_MAX
            && let Ok(parsed) = question.parsed_query().cloned()
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(question.query.clone(), Arc::new(parsed));
        }
        Ok(())
    }

    /// Answers a question that was prepared.
    pub async fn answer(&self, mut question: Request) -> Response {
        match self.rules.apply(&mut question).await {
            Ok(finish) => finish.finish(self.schema.execute(question).await),
            Err(errors) => Response::from_errors(errors),
        }
    }
}

impl Executor for CheckedSchema {
    async fn execute(&self, mut question: Request) -> Response {
        match self.prepare(&mut question) {
            Ok(()) => self.answer(question).await,
            Err(refusal) => Response::from_errors(vec![refusal]),
        }
    }

    fn execute_stream(&self, mut question: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let this = self.clone();
        let answers = async move {
            let refused = |errors| stream::iter([Response::from_errors(errors)]).boxed();
            if let Err(refusal) = this.prepare(&mut question) {
                return refused(vec![refusal]);
            }
            match this.rules.apply(&mut question).await {
                Ok(finish) => {
                    let answers = Executor::execute_stream(&this.schema, question, session);
                    answers.map(move |answer| finish.finish(answer)).boxed()
                }
                Err(errors) => refused(errors),
            }
        };
        stream::once(answers).flatten().boxed()
    }
}
