//! The schema as edges have it. Documents are checked before they are parsed, and recent ones are cached parsed, since a tool sends
//! the same few again and again, with other variables. What is executed is their normal form (`rules`). Every request is admitted
//! here, whatever protocol carries it, and executed within its limits.
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_graphql::dataloader::DataLoader;
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Data, Executor, Request, Response, ServerError, Variables};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, unfold};
use tokio::sync::Semaphore;

use super::error::{code, coded, internal, query_error, with_codes};
use super::escapes::with_known_escapes;
use super::limits::check_text;
use super::loaders::Loaders;
use super::operation::operation_type;
use super::repeat::{ListStates, Repeatable};
use super::retention::PlanOfRequest;
use super::rules::{PreparedRequest, Rules};
use super::wait::{REQUEST_BYTES_MAX, Wait, Waited};
use super::{Caller, Schema};
use crate::query::{Permit, Queries, QueryError, QueryLimits};
use crate::threads::Task;

/// Characters of all cached documents, and of each: parsed, they take up to two hundred times as much.
const CACHED_LENGTH_MAX: usize = 30_000;
const LENGTH_MAX: usize = 2_000;

/// Operations in progress over one socket, including those that wait.
const OPERATIONS_PER_SOCKET: usize = 64;

/// Clones share it.
#[derive(Clone)]
pub struct CheckedSchema {
    schema: Schema,
    rules: Rules,
    queries: Queries,
    parsed: Arc<Mutex<DocumentCache>>,
}

#[derive(Default)]
struct DocumentCache {
    documents: HashMap<String, Arc<ExecutableDocument>>,
    length: usize,
}

/// The limit of operations in progress over one socket, in the socket's data.
pub struct SocketLimits {
    subscriptions: Arc<Semaphore>,
    operations: Arc<Semaphore>,
}

/// A response, with the permit for its memory until it was sent.
pub struct Executed {
    pub response: Response,
    /// Absent if the request was not admitted.
    pub permit: Option<Arc<Permit>>,
    /// Whether the service was too busy to admit the request, which may be sent again soon.
    pub is_busy: bool,
    /// Absent if the same request may get another response although nothing was committed.
    pub repeatable: Option<Repeatable>,
}

impl Executed {
    fn refused(error: QueryError) -> Self {
        let is_busy = matches!(error, QueryError::Overloaded | QueryError::Crowded { .. });
        Self { response: failed(error), permit: None, is_busy, repeatable: None }
    }

    fn invalid(errors: Vec<ServerError>) -> Self {
        Self { response: with_codes(Response::from_errors(errors)), permit: None, is_busy: false, repeatable: None }
    }

    fn failed(error: async_graphql::Error) -> Self {
        Self { response: of_error(error), permit: None, is_busy: false, repeatable: None }
    }
}

/// A request as it was sent. Requests that wait, for their turn or for memory, do so in this form, since hundreds may wait and a
/// parsed document takes up to two hundred times as much memory.
struct RequestText {
    query: String,
    operation_name: Option<String>,
    variables: String,
    data: Data,
}

impl RequestText {
    fn of(request: &mut Request) -> serde_json::Result<Self> {
        let sent = (request.operation_name.take(), std::mem::take(&mut request.variables));
        Self::take(request, sent)
    }

    /// Of a request whose operation name and variables were `sent`.
    fn take(request: &mut Request, sent: (Option<String>, Variables)) -> serde_json::Result<Self> {
        let (operation_name, variables) = sent;
        let mut whole = std::mem::replace(request, Request::new(""));
        Ok(Self {
            query: std::mem::take(&mut whole.query),
            operation_name,
            variables: serde_json::to_string(&variables)?,
            data: std::mem::take(&mut whole.data),
        })
    }

    fn into_request(self) -> serde_json::Result<Request> {
        let mut request = Request::new(self.query).variables(serde_json::from_str(&self.variables)?);
        request.operation_name = self.operation_name;
        request.data = self.data;
        Ok(request)
    }
}

/// A fault point that shows on which threads operations are executed.
fn note_thread() {
    fail::fail_point!("graphql.execute", |_| {
        tracing::warn!(thread = std::thread::current().name(), "an operation is executed");
    });
}

fn failed(error: QueryError) -> Response {
    of_error(query_error(error))
}

/// An error of the whole request, and so of no position in its document.
fn of_error(error: async_graphql::Error) -> Response {
    let mut of_request = ServerError::new(error.message, None);
    of_request.extensions = error.extensions;
    Response::from_errors(vec![of_request])
}

impl CheckedSchema {
    pub(super) fn new(schema: Schema, queries: Queries) -> Self {
        Self { schema, rules: Rules::new(), queries, parsed: Arc::default() }
    }

    /// The limits of a socket that was opened.
    pub fn socket_limits(&self) -> SocketLimits {
        SocketLimits {
            subscriptions: Arc::new(Semaphore::new(self.queries.admission().settings().subscriptions_per_socket)),
            operations: Arc::new(Semaphore::new(OPERATIONS_PER_SOCKET)),
        }
    }

    /// Checks and parses a request's document. One that does not parse is left to the execution, whose error has the position.
    pub fn prepare(&self, request: &mut Request) -> Result<(), ServerError> {
        let known = self.parsed.lock().unwrap_or_else(PoisonError::into_inner).documents.get(&request.query).cloned();
        if let Some(known) = known {
            request.set_parsed_query((*known).clone());
            return Ok(());
        }
        check_text(&request.query)?;
        if let Cow::Owned(written) = with_known_escapes(&request.query) {
            request.query = written;
        }
        if request.query.len() <= LENGTH_MAX
            && let Ok(parsed) = request.parsed_query().cloned()
        {
            let mut cache = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.length + request.query.len() > CACHED_LENGTH_MAX {
                *cache = DocumentCache::default();
            }
            cache.length += request.query.len();
            cache.documents.insert(request.query.clone(), Arc::new(parsed));
        }
        Ok(())
    }

    /// Admits and executes a prepared request before its deadline. Its work stops when this is dropped.
    pub async fn run(&self, mut request: Request, caller: Caller) -> Executed {
        let admission = self.queries.admission();
        let settings = admission.settings();
        let mut deadline = Instant::now() + settings.timeout;
        self.queries.caught_up().await;
        let (ready, permit) = match self.admit(&mut request, &caller, &mut deadline).await {
            Ok(admitted) => admitted,
            Err(refused) => return refused,
        };
        let limits = QueryLimits::new(deadline, settings.answer_max, permit.clone());
        let _work = limits.stop_on_drop();
        let queries = self.queries.within(limits);
        let loaders = DataLoader::new(Loaders(queries.clone()), tokio::spawn);
        let states = ListStates::default();
        let request =
            request.data(caller).data(queries).data(loaders).data(PlanOfRequest::default()).data(states.clone());
        note_thread();
        let timeout = settings.timeout;
        let running = tokio::time::timeout_at(deadline.into(), self.schema.execute(request));
        let response =
            running.await.map_or_else(|_| failed(QueryError::TimedOut { timeout }), |response| ready.finish(response));
        permit.end_work();
        let state = (ready.has_lists_alone && response.is_ok()).then(|| states.common()).flatten();
        let repeatable = state.map(|state| Repeatable { state, cost_bytes: ready.cost.bytes });
        Executed { response: with_codes(response), permit: Some(permit), is_busy: false, repeatable }
    }

    /// Applies the rules to a request and admits it. A request that has to wait does so as text.
    /// The deadline of one that waits for changes begins when that ends.
    async fn admit(
        &self,
        request: &mut Request,
        caller: &Caller,
        deadline: &mut Instant,
    ) -> Result<(PreparedRequest, Arc<Permit>), Executed> {
        let admission = self.queries.admission();
        let sent = (request.operation_name.clone(), request.variables.clone());
        let mut ready = self.rules.apply(request).await.map_err(Executed::invalid)?;
        let wait = ready.wait.take();
        if wait.is_none()
            && let Some(permit) = admission.try_admit(&caller.name, ready.cost.bytes)
        {
            return Ok((ready, Arc::new(permit)));
        }
        let bytes = ready.cost.bytes;
        drop(ready);
        let mut text = RequestText::take(request, sent).map_err(|e| Executed::failed(internal(&e)))?;
        if let Some(wait) = wait {
            let waited = self.wait(wait, &text, caller).await?;
            text.data.insert(waited);
            *deadline = Instant::now() + admission.settings().timeout;
        }
        let permit = admission.admit(&caller.name, bytes).await.map_err(Executed::refused)?;
        *request = text.into_request().map_err(|e| Executed::failed(internal(&e)))?;
        self.prepare(request).map_err(|error| Executed::invalid(vec![error]))?;
        let ready = self.rules.apply(request).await.map_err(Executed::invalid)?;
        Ok((ready, Arc::new(permit)))
    }

    /// Waits for what a request waits for.
    async fn wait(&self, wait: Wait, text: &RequestText, caller: &Caller) -> Result<Waited, Executed> {
        let bytes = text.query.len() + text.variables.len();
        if bytes > REQUEST_BYTES_MAX {
            let message = format!(
                "the request has {bytes} bytes: one with `wait` may have {REQUEST_BYTES_MAX}; list fewer values in the filter"
            );
            return Err(Executed::failed(coded(code::TOO_COMPLEX, message)));
        }
        let position = self.queries.wait_for_change(&wait.request, wait.longest, &caller.name).await;
        position.map(Waited).map_err(Executed::refused)
    }

    /// The same for a socket, on a separate task. The permit lasts until the response was sent.
    fn execute_on_socket(&self, text: RequestText, caller: Caller) -> BoxStream<'static, Response> {
        let schema = self.clone();
        let state = (Some((schema, text, caller)), None);
        let responses = unfold(state, |(left, _sent)| async move {
            let (schema, text, caller) = left?;
            let task = Task::new(tokio::spawn(async move { schema.run_text(text, caller).await }));
            let executed = task.await.unwrap_or_else(|e| Executed::failed(internal(&e)));
            Some((executed.response, (None, executed.permit)))
        });
        responses.boxed()
    }

    async fn run_text(&self, text: RequestText, caller: Caller) -> Executed {
        let mut request = match text.into_request() {
            Ok(request) => request,
            Err(e) => return Executed::failed(internal(&e)),
        };
        match self.prepare(&mut request) {
            Ok(()) => self.run(request, caller).await,
            Err(error) => Executed::invalid(vec![error]),
        }
    }
}

impl Executor for CheckedSchema {
    async fn execute(&self, mut request: Request) -> Response {
        match self.prepare(&mut request) {
            Ok(()) => self.run(request, Caller::default()).await.response,
            Err(error) => Response::from_errors(vec![error]),
        }
    }

    fn execute_stream(&self, mut request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let refused = |response| stream::iter([response]).boxed();
        if let Err(error) = self.prepare(&mut request) {
            return refused(Response::from_errors(vec![error]));
        }
        let socket = of_session::<SocketLimits>(session.as_ref());
        let operation = socket.map(|socket| socket.operations.clone().try_acquire_owned());
        let Ok(operation) = operation.transpose() else {
            let what = "operations in progress over this socket";
            return refused(failed(QueryError::Crowded { what, max: OPERATIONS_PER_SOCKET }));
        };
        if operation_type(&mut request) != Some(OperationType::Subscription) {
            let caller = of_session::<Caller>(session.as_ref()).cloned().unwrap_or_default();
            return match RequestText::of(&mut request) {
                Ok(text) => with_guard(self.execute_on_socket(text, caller), operation),
                Err(e) => refused(of_error(internal(&e))),
            };
        }
        let admission = self.queries.admission();
        let of_socket = socket.map(|socket| socket.subscriptions.clone().try_acquire_owned());
        let Ok(of_socket) = of_socket.transpose() else {
            let max = admission.settings().subscriptions_per_socket;
            return refused(failed(QueryError::Crowded { what: "subscriptions over this socket", max }));
        };
        match admission.admit_subscription() {
            Ok(slot) => {
                let this = self.clone();
                let events = async move {
                    match this.rules.apply(&mut request).await {
                        Ok(ready) => {
                            let events = Executor::execute_stream(&this.schema, request, session);
                            events.map(move |event| with_codes(ready.finish(event))).boxed()
                        }
                        Err(errors) => stream::iter([with_codes(Response::from_errors(errors))]).boxed(),
                    }
                };
                with_guard(stream::once(events).flatten().boxed(), (operation, of_socket, slot))
            }
            Err(e) => refused(failed(e)),
        }
    }
}

/// A stream that keeps something until it ends or is dropped.
fn with_guard<T: Send + 'static>(stream: BoxStream<'static, Response>, guard: T) -> BoxStream<'static, Response> {
    stream
        .map(move |response| {
            let _ = &guard;
            response
        })
        .boxed()
}

fn of_session<T: Send + Sync + 'static>(session: Option<&Arc<Data>>) -> Option<&T> {
    session?.get(&TypeId::of::<T>())?.downcast_ref()
}
