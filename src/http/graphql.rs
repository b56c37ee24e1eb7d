//! GraphQL over HTTP, as the published specification says.
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request as Question, Response as Answer, Variables};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::auth::Caller;
use super::negotiate::AcceptedMedia;
use super::origin::{self, Named};
use super::problem::RETRY_AFTER_SECS;
use super::server::Exchange;
use super::{Http, Problem};
use crate::graphql::{Answered, TakesJson, to_json};
use crate::query::Admitted;

/// The largest request taken: a document and its variables.
const BODY_BYTES_MAX: usize = 256 << 10;

const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

pub(super) async fn answer(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    Extension(named): Extension<Named>,
    request: Request,
) -> Response {
    let media = media_type(request.headers());
    let method = request.method().clone();
    let question = match method {
        Method::GET => from_query(request.uri().query().unwrap_or_default()),
        Method::POST => from_body(&http, request).await,
        _ => Err(Problem::new(405, "ask by GET or POST").header(header::ALLOW, "GET, POST")),
    };
    let mut question = match question {
        Ok(question) => question,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = http.schema.prepare(&mut question) {
        return respond(Answer::from_errors(vec![problem]), media, None);
    }
    if method == Method::GET && !reads_only(&mut question) {
        return Problem::new(405, "by GET only queries are answered: send mutations by POST")
            .header(header::ALLOW, "POST")
            .into_response();
    }
    if !named.is_ours && !reads_only(&mut question) {
        return origin::foreign_host(&http).into_response();
    }
    let Answered { response, room, is_busy } = http.schema.answer(question.data(TakesJson), caller.asker()).await;
    let mut response = respond(response, media, room);
    if is_busy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
    }
    response
}

/// The newer media type where it is named and no less welcome than JSON, which every tool takes.
fn media_type(headers: &HeaderMap) -> &'static str {
    let accepted = AcceptedMedia::of(headers);
    let (newer, json) = (accepted.weight(GRAPHQL_RESPONSE), accepted.weight(JSON));
    let is_wanted = newer > 0 && newer >= json && (accepted.names(GRAPHQL_RESPONSE) || json == 0);
    if is_wanted { GRAPHQL_RESPONSE } else { JSON }
}

fn from_query(query: &str) -> Result<Question, Problem> {
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match name.as_ref() {
            "variables" | "extensions" if !value.is_empty() => {
                serde_json::from_str(&value).map_err(|_| Problem::new(400, format!("`{name}` is not JSON")))?
            }
            _ => Value::String(value.into_owned()),
        };
        fields.insert(name.into_owned(), value);
    }
    from_fields(fields)
}

async fn from_body(http: &Http, request: Request<Body>) -> Result<Question, Problem> {
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case(JSON) {
        return Err(Problem::new(415, format!("the content type is `{media}`: send application/json")));
    }
    let (parts, body) = request.into_parts();
    let body = http.api_room.read(body, BODY_BYTES_MAX, parts.extensions.get::<Exchange>()).await?;
    match serde_json::from_slice(&body.bytes) {
        Ok(Value::Object(fields)) => from_fields(fields),
        Ok(_) => {
            Err(Problem::new(400, "the body is not a JSON object; several questions in one request are not answered"))
        }
        Err(_) => Err(Problem::new(400, "the body is not JSON")),
    }
}

fn from_fields(mut fields: serde_json::Map<String, Value>) -> Result<Question, Problem> {
    let wrong = |name: &str, what: &str| Problem::new(400, format!("`{name}` is no {what}"));
    let Some(Value::String(query)) = fields.remove("query") else {
        return Err(Problem::new(400, "`query` is missing: the GraphQL document"));
    };
    let mut question = Question::new(query);
    match fields.remove("variables") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::Object(variables)) => question = question.variables(Variables::from_json(Value::Object(variables))),
        Some(_) => return Err(wrong("variables", "JSON object")),
    }
    match fields.remove("operationName") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => question = question.operation_name(name),
        Some(_) => return Err(wrong("operationName", "text")),
    }
    match fields.remove("extensions") {
        None | Some(Value::Null | Value::Object(_)) => Ok(question),
        Some(Value::String(text)) if text.is_empty() => Ok(question),
        Some(_) => Err(wrong("extensions", "JSON object")),
    }
}

/// Whether the operation asked for is a query. A document that does not parse changes nothing either.
fn reads_only(question: &mut Question) -> bool {
    let wanted = question.operation_name.clone();
    let Ok(document) = question.parsed_query() else { return true };
    let mut chosen = document
        .operations
        .iter()
        .filter(|(name, _)| wanted.is_none() || name.map(|n| n.as_str()) == wanted.as_deref());
    chosen.all(|(_, operation)| operation.node.ty == OperationType::Query)
}

/// The answer's bytes; the room that they take is kept until they were sent.
fn respond(answer: Answer, media: &'static str, room: Option<Arc<Admitted>>) -> Response {
    // A document that could not be run has no data; with the newer media type that is the client's error.
    let refused = answer.is_err()
        && answer.data == async_graphql::Value::Null
        && answer.errors.iter().all(|error| error.path.is_empty());
    let status = if refused && media == GRAPHQL_RESPONSE { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    // What was refused has no data at all, not even none.
    let body =
        if refused { serde_json::to_vec(&serde_json::json!({ "errors": answer.errors })) } else { to_json(&answer) };
    drop(answer);
    match body {
        Ok(body) => {
            if let Some(room) = &room {
                room.keep_only(body.len());
            }
            let body = Full::new(Bytes::from(body)).map_frame(move |frame| {
                let _ = &room;
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
