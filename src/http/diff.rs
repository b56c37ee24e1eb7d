//! `GET /files/{a}/diff/{b}`: what changed between two revisions, as JSON or as text.
use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use super::auth::Caller;
use super::conditional::{Conditions, Evaluation, without_body};
use super::files::find;
use super::negotiate::AcceptedMedia;
use super::parameter::parameter;
use super::{Http, Problem};
use crate::domain::Digest;
use crate::query::{Permit, Queries, QueryLimits, Revision};

/// Part of the ETag. To be increased when the same files are compared or written in another way.
const VERSION: &str = "2";

/// About what a response takes.
const RESPONSE_BYTES: u64 = 1 << 20;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// A response's body, and whether the same request gets the same one.
struct Made {
    body: Vec<u8>,
    is_repeatable: bool,
}

pub(super) async fn get_diff(
    State(http): State<Http>,
    Path((from, to)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let member = parameter(query.as_deref().unwrap_or_default(), "member")?;
    if member.as_ref().is_some_and(String::is_empty) {
        let detail = "`member` is empty; expected the path of a member, such as dadger.rv1";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let media = media_type(&headers)?;
    let (from, to) = (find(&http, &from).await?, find(&http, &to).await?);
    let tag = etag(&http.queries, &from, &to, member.as_deref(), media).await?;
    match Conditions::of(&headers).check(Some(&tag), None) {
        Evaluation::Proceed => {}
        Evaluation::Failed => {
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "the diff is not what `If-Match` expects"));
        }
        Evaluation::NotModified => {
            let mut response = without_body(StatusCode::NOT_MODIFIED);
            describe(&mut response, Some(&tag))?;
            return Ok(response);
        }
    }
    let admission = http.queries.admission();
    let settings = admission.settings();
    let deadline = Instant::now() + settings.timeout;
    let permit = Arc::new(admission.admit(&caller.name, RESPONSE_BYTES).await?);
    let queries = http.queries.within(QueryLimits::new(deadline, settings.answer_max, permit.clone()));
    let made = make(&queries, &from, &to, member.as_deref(), media).await?;
    permit.end_work();
    permit.keep_only(made.body.len());
    let mut response = held(made.body, permit).into_response();
    insert(&mut response, header::CONTENT_TYPE, &format!("{media}; charset=utf-8"))?;
    insert(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    describe(&mut response, Some(&tag).filter(|_| made.is_repeatable))?;
    Ok(response)
}

/// JSON unless the client prefers text.
fn media_type(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let accepted = AcceptedMedia::of(headers);
    match (accepted.weight(JSON), accepted.weight(TEXT)) {
        (0, 0) => {
            let detail = "a diff is sent as application/json or text/plain, which Accept excludes";
            Err(Problem::new(StatusCode::NOT_ACCEPTABLE, detail))
        }
        (json, text) if text > json || (text == json && accepted.names(TEXT)) => Ok(TEXT),
        _ => Ok(JSON),
    }
}

/// Weak: a diff that came close to its deadline may be coarser than the next one.
async fn etag(
    queries: &Queries,
    from: &Revision,
    to: &Revision,
    member: Option<&str>,
    media: &str,
) -> Result<String, Problem> {
    let (from, to) = (queries.revision(from.id).await?, queries.revision(to.id).await?);
    let address = queries.file_url(from.revision.id);
    let described = format!("{VERSION} {media} {member:?} {from:?} {to:?} {address}");
    Ok(format!("W/\"{}\"", &Digest::of(described.as_bytes()).to_string()[..32]))
}

async fn make(
    queries: &Queries,
    from: &Revision,
    to: &Revision,
    member: Option<&str>,
    media: &str,
) -> Result<Made, Problem> {
    if media == TEXT {
        let written = queries.diff_text(from.id, to.id, member).await?;
        return Ok(Made { body: written.text.into_bytes(), is_repeatable: !written.is_partial });
    }
    let diff = match member {
        Some(path) => queries.member_diff(from.id, to.id, path).await?,
        None => queries.revision_diff(from.id, to.id).await?,
    };
    let object = diff.to_json(queries).map_err(|e| Problem::internal(&e))?;
    let body = serde_json::to_vec(&object).map_err(|e| Problem::internal(&e))?;
    Ok(Made { body, is_repeatable: !diff.is_partial })
}

/// A body whose memory is reserved until it was sent.
pub(super) fn held(body: Vec<u8>, permit: Arc<Permit>) -> Body {
    Body::new(Full::new(Bytes::from(body)).map_frame(move |frame| {
        let _ = &permit;
        frame
    }))
}

fn describe(response: &mut Response, tag: Option<&String>) -> Result<(), Problem> {
    insert(response, header::VARY, "accept, accept-encoding, authorization")?;
    insert(response, header::CACHE_CONTROL, if tag.is_some() { "private, no-cache" } else { "no-store" })?;
    tag.map_or(Ok(()), |tag| insert(response, header::ETAG, tag))
}

fn insert(response: &mut Response, name: HeaderName, value: &str) -> Result<(), Problem> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
    Ok(())
}
