//! GraphQL over HTTP, according to the published specification.
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request as Operation, Response as Outcome};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::auth::Caller;
use super::bodies::ReceivedBody;
use super::feed::FeedShown;
use super::negotiate::AcceptedMedia;
use super::origin::{self, HostMatch};
use super::problem::RETRY_AFTER_SECS;
use super::server::Exchange;
use super::{Http, Problem};
use crate::domain::excerpt;
use crate::graphql::{Executed, TakesJson, is_request_error, operation_type, request_of, to_json};
use crate::query::Permit;

/// The largest request taken: a document and its variables.
const BODY_BYTES_MAX: usize = 256 << 10;

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

pub(super) async fn handle(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    Extension(named): Extension<HostMatch>,
    request: Request,
) -> Response {
    let media = media_type(request.headers());
    let method = request.method().clone();
    let operation = match method {
        Method::GET => from_query(request.uri().query().unwrap_or_default()),
        Method::POST => from_body(request),
        _ => Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "send a request by GET or POST")
            .header(header::ALLOW, "GET, POST")),
    };
    let mut operation = match operation {
        Ok(operation) => operation,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = http.schema.prepare(&mut operation) {
        return respond(Outcome::from_errors(vec![problem]), media, None);
    }
    if method == Method::GET && !reads_only(&mut operation) {
        return Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only queries are answered by GET; send mutations by POST",
        )
        .header(header::ALLOW, "POST")
        .into_response();
    }
    if !named.is_ours && !reads_only(&mut operation) {
        return origin::foreign_host(&http).into_response();
    }
    let changes = !reads_only(&mut operation);
    let Executed { response, permit, is_busy, repeatable } =
        http.schema.run(operation.data(TakesJson), caller.for_graphql()).await;
    let mut response = respond(response, media, permit);
    if is_busy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
    }
    if changes && let Ok(number) = http.queries.feed_recorded().await {
        // With this number, the next request shows what was changed.
        response.extensions_mut().insert(FeedShown(number));
    }
    if let Some(repeatable) = repeatable {
        response.extensions_mut().insert(repeatable);
    }
    response
}

/// The newer media type if the client names it with no less weight than JSON.
pub(super) fn media_type(headers: &HeaderMap) -> &'static str {
    let accepted = AcceptedMedia::of(headers);
    let (newer, json) = (accepted.weight(GRAPHQL_RESPONSE), accepted.weight(JSON));
    let is_wanted = newer > 0 && newer >= json && (accepted.names(GRAPHQL_RESPONSE) || json == 0);
    if is_wanted { GRAPHQL_RESPONSE } else { JSON }
}

fn from_query(query: &str) -> Result<Operation, Problem> {
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "variables" | "extensions" if !value.is_empty() => serde_json::from_str(&value)
                .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("`{name}` is not JSON")))?,
            _ => Value::String(value.into_owned()),
        };
        fields.insert(name.into_owned(), value);
    }
    request_of(fields).map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e))
}

/// Refuses a body that says to be something else than JSON.
pub(super) fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    let detail = format!("the content type is `{}`: send application/json", excerpt(media));
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

pub(super) async fn read_body(http: &Http, body: Body, exchange: Option<&Exchange>) -> Result<ReceivedBody, Problem> {
    http.api_memory.read(body, BODY_BYTES_MAX, exchange).await
}

/// The operation of a request whose body was read before it came here.
fn from_body(mut request: Request) -> Result<Operation, Problem> {
    check_json(request.headers())?;
    let body = request.extensions_mut().remove::<Arc<ReceivedBody>>();
    let body = body.ok_or_else(|| Problem::internal(&"the body of a request was not read"))?;
    match serde_json::from_slice(&body.bytes) {
        Ok(Value::Object(fields)) => request_of(fields).map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e)),
        Ok(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "the body is not a JSON object; batches of requests are not supported",
        )),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body is not JSON")),
    }
}

/// Whether the operation is a query. A request without an operation changes nothing either.
fn reads_only(operation: &mut Operation) -> bool {
    operation_type(operation).is_none_or(|kind| kind == OperationType::Query)
}

/// The response's bytes; the memory that they take is reserved until they were sent.
fn respond(outcome: Outcome, media: &'static str, permit: Option<Arc<Permit>>) -> Response {
    let is_refused = is_request_error(&outcome);
    let status = if is_refused && media == GRAPHQL_RESPONSE { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    // The response to a request error has no `data` at all, not even null.
    let body = if is_refused {
        serde_json::to_vec(&serde_json::json!({ "errors": outcome.errors }))
    } else {
        to_json(&outcome)
    };
    drop(outcome);
    match body {
        Ok(body) => {
            if let Some(permit) = &permit {
                permit.keep_only(body.len());
            }
            let body = Full::new(Bytes::from(body)).map_frame(move |frame| {
                let _ = &permit;
                frame
            });
            let body = Body::new(body);
            let content_type =
                HeaderValue::from_str(&format!("{media}; charset=utf-8")).unwrap_or(HeaderValue::from_static(JSON));
            (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
        }
        Err(e) => Problem::internal(&e).into_response(),
    }
}
