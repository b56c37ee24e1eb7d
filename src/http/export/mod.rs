//! `GET /export/{table}.{format}`: the rows of GraphQL as files, streamed; and `GET /export/files.zip` and `files.ndjson`.
mod coverage;
mod files;
mod parameters;
mod request;
mod respond;
mod snapshots;
mod validators;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::auth::Caller;
use super::conditional::{Conditions, Evaluation, opaque, without_body};
use super::feed::FeedRequired;
use super::{Http, Problem};
use crate::domain::{Digest, http_date};
use respond::ExportRequest;
pub(super) use snapshots::Snapshots;
use validators::{as_named, coding};

pub(super) async fn export(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    required: Option<Extension<FeedRequired>>,
    headers: HeaderMap,
    method: Method,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    if file == "files.zip" {
        return files::send(&http, &caller, &query, &method).await;
    }
    if file == "files.ndjson" {
        return files::send_list(&http, &caller, &query, &method).await;
    }
    let export = request::read(&file, &query)?;
    let coding = coding(export.format, &headers).map(str::to_owned);
    let client = Digest::of(format!("{}\n{file}\n{query}", caller.name).as_bytes());
    let feed = http.queries.feed_shown();
    let feed_required = required.map_or(0, |Extension(required)| required.0);
    let request =
        ExportRequest { http, caller, export, file, query, coding, headers, method, client, feed, feed_required };
    let request = Arc::new(request);
    request.http.queries.caught_up().await;
    let (tag, changed_at) = request.validators().await?;
    let conditions = Conditions::of(&request.headers);
    let present = tag.clone();
    let (mut response, tag) = match conditions.check(tag.as_deref(), changed_at) {
        Evaluation::Failed => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "the export is not what `If-Match` expects any more",
            ));
        }
        Evaluation::NotModified => {
            let tag = tag.map(|tag| as_named(&request.headers, tag));
            (without_body(StatusCode::NOT_MODIFIED), tag)
        }
        Evaluation::Proceed => request.respond(tag, changed_at).await?,
    };
    // The compression layer sets this only on what it compresses, and the uncompressed response depends on it as well.
    insert(&mut response, header::VARY, "accept-encoding, authorization")?;
    insert(&mut response, header::CACHE_CONTROL, "private, no-cache")?;
    let is_present = tag.as_deref().map(opaque) == present.as_deref();
    if let Some(tag) = tag {
        insert(&mut response, header::ETAG, &tag)?;
    }
    if let Some(date) = changed_at.filter(|_| is_present).and_then(http_date) {
        insert(&mut response, header::LAST_MODIFIED, &date)?;
    }
    Ok(response)
}

fn insert(response: &mut Response, name: HeaderName, value: &str) -> Result<(), Problem> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
    Ok(())
}
