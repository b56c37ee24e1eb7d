//! The schema as edges have it: documents are looked at before they are parsed, and those that were asked for lately are kept
//! parsed, since a tool sends the same few for ever, with other variables. What is executed is their normal form (`rules`).
//! Every question is let in here, whatever carried it, and answered within its bounds.
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_graphql::dataloader::DataLoader;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Data, Executor, Request, Response, ServerError};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, unfold};
use tokio::sync::Semaphore;

use super::document::check_document;
use super::error::{internal, shown, with_codes};
use super::escapes::with_known_escapes;
use super::loaders::Loaders;
use super::rules::Rules;
use super::{Asker, Schema, cost};
use crate::query::{Admitted, Queries, QueryError, Question};
use crate::threads::Task;

/// Characters of the documents that are kept, and of each: parsed, they take up to two hundred times as much.
const KEPT_LENGTH_MAX: usize = 30_000;
const LENGTH_MAX: usize = 2_000;

/// Operations that are under way over one socket, those that wait included.
const OPERATIONS_PER_SOCKET: usize = 64;

/// Clones share it.
#[derive(Clone)]
pub struct CheckedSchema {
    schema: Schema,
    rules: Rules,
    queries: Queries,
    kept: Arc<Mutex<DocumentCache>>,
}

#[derive(Default)]
struct DocumentCache {
    documents: HashMap<String, Arc<ExecutableDocument>>,
    length: usize,
}

/// The room that one socket has for its questions; it goes with the socket's data.
pub struct SocketRoom {
    subscriptions: Arc<Semaphore>,
    operations: Arc<Semaphore>,
}

/// An answer with the room that it takes until it was sent.
pub struct Answered {
    pub response: Response,
    /// Absent where the question was not let in.
    pub room: Option<Arc<Admitted>>,
    /// Whether the question was not let in, and may be asked again soon.
    pub is_busy: bool,
}

impl Answered {
    fn refused(error: QueryError) -> Self {
        let is_busy = matches!(error, QueryError::Overloaded);
        Self { response: failed(error), room: None, is_busy }
    }
}

fn failed(error: QueryError) -> Response {
    of_error(shown(error))
}

/// Of the whole question, and so of no place in its document.
fn of_error(error: async_graphql::Error) -> Response {
    let mut refusal = ServerError::new(error.message, None);
    refusal.extensions = error.extensions;
    Response::from_errors(vec![refusal])
}

impl CheckedSchema {
    pub(super) fn new(schema: Schema, queries: Queries) -> Self {
        Self { schema, rules: Rules::new(), queries, kept: Arc::default() }
    }

    /// For a socket that was opened.
    pub fn room_for_socket(&self) -> SocketRoom {
        SocketRoom {
            subscriptions: Arc::new(Semaphore::new(self.queries.admission().settings().subscriptions_per_socket)),
            operations: Arc::new(Semaphore::new(OPERATIONS_PER_SOCKET)),
        }
    }

    /// Checks and parses a question's document. One that does not parse is left to the answer, which tells where.
    pub fn prepare(&self, question: &mut Request) -> Result<(), ServerError> {
        // Clients that name no operation may send an empty name.
        question.operation_name = question.operation_name.take().filter(|name| !name.is_empty());
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).documents.get(&question.query).cloned();
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
            if kept.length + question.query.len() > KEPT_LENGTH_MAX {
                *kept = DocumentCache::default();
            }
            kept.length += question.query.len();
            kept.documents.insert(question.query.clone(), Arc::new(parsed));
        }
        Ok(())
    }

    /// Lets a question in that was prepared, and answers it in time. Its work stops when this is dropped.
    pub async fn answer(&self, mut question: Request, asker: Asker) -> Answered {
        let admission = self.queries.admission();
        let settings = admission.settings();
        let deadline = Instant::now() + settings.timeout;
        let finish = match self.rules.apply(&mut question).await {
            Ok(finish) => finish,
            Err(errors) => {
                return Answered { response: with_codes(Response::from_errors(errors)), room: None, is_busy: false };
            }
        };
        let room = match admission.admit(&asker.name, cost::bytes_of(&mut question)).await {
            Ok(room) => Arc::new(room),
            Err(e) => return Answered::refused(e),
        };
        let bounds = Question::new(deadline, settings.answer_max, room.clone());
        let _work = bounds.stop_on_drop();
        let queries = self.queries.within(bounds);
        let loaders = DataLoader::new(Loaders(queries.clone()), tokio::spawn);
        let question = question.data(asker).data(queries).data(loaders);
        let timeout = settings.timeout;
        let running = tokio::time::timeout_at(deadline.into(), self.schema.execute(question));
        let response =
            running.await.map_or_else(|_| failed(QueryError::TimedOut { timeout }), |response| finish.finish(response));
        room.end_work();
        Answered { response: with_codes(response), room: Some(room), is_busy: false }
    }

    /// The same over a socket, on a task of its own; the room is kept until the answer was sent.
    fn answer_on_socket(&self, question: Request, asker: Asker) -> BoxStream<'static, Response> {
        let schema = self.clone();
        let state = (Some((schema, question, asker)), None);
        let answers = unfold(state, |(left, _sent)| async move {
            let (schema, question, asker) = left?;
            let task = Task::new(tokio::spawn(async move { schema.answer(question, asker).await }));
            let answered = task.await.unwrap_or_else(|e| Answered {
                response: of_error(internal(&e)),
                room: None,
                is_busy: false,
            });
            Some((answered.response, (None, answered.room)))
        });
        answers.boxed()
    }
}

impl Executor for CheckedSchema {
    async fn execute(&self, mut question: Request) -> Response {
        match self.prepare(&mut question) {
            Ok(()) => self.answer(question, nobody()).await.response,
            Err(refusal) => Response::from_errors(vec![refusal]),
        }
    }

    fn execute_stream(&self, mut question: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let refused = |response| stream::iter([response]).boxed();
        if let Err(refusal) = self.prepare(&mut question) {
            return refused(Response::from_errors(vec![refusal]));
        }
        let room = of_session::<SocketRoom>(session.as_ref());
        let operation = room.map(|room| room.operations.clone().try_acquire_owned());
        let Ok(operation) = operation.transpose() else {
            let what = "operations under way over this socket";
            return refused(failed(QueryError::Crowded { what, max: OPERATIONS_PER_SOCKET }));
        };
        if !subscribes(&mut question) {
            let asker = of_session::<Asker>(session.as_ref()).cloned().unwrap_or_else(nobody);
            return holding(self.answer_on_socket(question, asker), operation);
        }
        let admission = self.queries.admission();
        let of_socket = room.map(|room| room.subscriptions.clone().try_acquire_owned());
        let Ok(of_socket) = of_socket.transpose() else {
            let max = admission.settings().subscriptions_per_socket;
            return refused(failed(QueryError::Crowded { what: "subscriptions over this socket", max }));
        };
        match admission.admit_subscription() {
            Ok(place) => {
                let this = self.clone();
                let events = async move {
                    match this.rules.apply(&mut question).await {
                        Ok(finish) => {
                            let events = Executor::execute_stream(&this.schema, question, session);
                            events.map(move |event| with_codes(finish.finish(event))).boxed()
                        }
                        Err(errors) => stream::iter([with_codes(Response::from_errors(errors))]).boxed(),
                    }
                };
                holding(stream::once(events).flatten().boxed(), (operation, of_socket, place))
            }
            Err(e) => refused(failed(e)),
        }
    }
}

/// A stream that holds something until it ends or is dropped.
fn holding<T: Send + 'static>(stream: BoxStream<'static, Response>, held: T) -> BoxStream<'static, Response> {
    stream
        .map(move |response| {
            let _ = &held;
            response
        })
        .boxed()
}

/// Who asks where no edge said it: somebody who may only read.
fn nobody() -> Asker {
    Asker { may_operate: false, may_administer: false, name: String::new() }
}

fn of_session<T: Send + Sync + 'static>(session: Option<&Arc<Data>>) -> Option<&T> {
    session?.get(&TypeId::of::<T>())?.downcast_ref()
}

/// Whether the operation asked for goes on.
fn subscribes(question: &mut Request) -> bool {
    let wanted = question.operation_name.clone();
    let Ok(document) = question.parsed_query() else { return false };
    let mut chosen = document
        .operations
        .iter()
        .filter(|(name, _)| wanted.is_none() || name.map(|name| name.as_str()) == wanted.as_deref());
    chosen.any(|(_, operation)| operation.node.ty == OperationType::Subscription)
}
