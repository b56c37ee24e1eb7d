//! What happens to a document between its parsing and its execution: it is validated as it was sent, once, and replaced by its
//! normal form.
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::{Request, Response, ServerError, Value, Variables};
use lru::LruCache;

use super::coerce::Types;
use super::normal::{Abnormal, Normal, check_size, chosen, for_validation, normalize, without_placeholders};
use super::usages::check_usages;
use super::{Schema, builder};

/// Documents that are known to be valid at most, and characters of each.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(200).unwrap();
const LENGTH_MAX: usize = 2_000;

/// Clones share it.
#[derive(Clone)]
pub(super) struct Rules {
    /// Validates and executes nothing.
    validator: Schema,
    types: &'static Types,
    /// Documents that keep all rules but those about the values of their variables.
    known: Arc<Mutex<LruCache<String, ()>>>,
}

/// What is left to do when a question was answered.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    has_placeholders: bool,
}

impl Finish {
    pub fn finish(self, mut answer: Response) -> Response {
        if self.has_placeholders {
            without_placeholders(&mut answer.data);
        }
        answer
    }
}

impl Rules {
    pub fn new() -> Self {
        let validator = builder().extension(ValidateOnly).finish();
        Self { validator, types: Types::get(), known: Arc::new(Mutex::new(LruCache::new(KNOWN_MAX))) }
    }

    /// Puts a question's normal form in the place of its document, so that async-graphql executes that.
    pub async fn apply(&self, question: &mut Request) -> Result<Finish, Vec<ServerError>> {
        let plain = Finish { has_placeholders: false };
        let variables = std::mem::take(&mut question.variables);
        let normal = self.normal(question, &variables);
        question.variables = variables;
        match normal {
            Ok(None) => Ok(plain),
            Ok(Some(normal)) => {
                let finish = Finish { has_placeholders: normal.has_placeholders };
                if normal.is_changed {
                    self.validate(question, normal.variables).await?;
                    question.set_parsed_query(normal.document);
                    question.variables = Variables::default();
                    question.operation_name = None;
                }
                Ok(finish)
            }
            Err(Abnormal::Refused(error)) => Err(vec![error]),
            Err(Abnormal::Invalid) => {
                // Its validation says what is wrong.
                let variables = question.variables.clone();
                self.validate(question, variables).await.map(|()| plain)
            }
        }
    }

    /// None for what cannot be parsed, or names no operation of the document: its execution says so.
    fn normal(&self, question: &mut Request, variables: &Variables) -> Result<Option<Normal>, Abnormal> {
        let name = question.operation_name.clone();
        let Ok(document) = question.parsed_query() else { return Ok(None) };
        check_size(document)?;
        match chosen(document, name.as_deref()) {
            Some(operation) => normalize(self.types, document, operation, variables).map(Some),
            None => Ok(None),
        }
    }

    /// The rules of the specification, for a document as it was sent: its normal form would pass some that it breaks.
    async fn validate(&self, question: &mut Request, variables: Variables) -> Result<(), Vec<ServerError>> {
        let is_known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&question.query).is_some();
        if is_known {
            return Ok(());
        }
        let mut request = Request::new("");
        match question.parsed_query() {
            Ok(document) => {
                check_usages(self.types, document).map_err(|error| vec![error])?;
                request.set_parsed_query(for_validation(document));
            }
            Err(error) => return Err(vec![error]),
        }
        request.operation_name = question.operation_name.clone();
        request.variables = variables;
        let checked = self.validator.execute(request).await;
        if checked.is_err() {
            return Err(checked.errors);
        }
        if question.query.len() <= LENGTH_MAX {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).put(question.query.clone(), ());
        }
        Ok(())
    }
}

/// Stops a request between its validation and its execution.
struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for ValidateOnly {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::new(Value::Null)
    }
}
