//! `GET /export/{table}.{format}`: the rows of GraphQL as files, streamed.
mod parameters;
mod request;
mod validators;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::auth::Caller;
use super::conditional::{Conditions, Evaluation, without_body};
use super::{Http, Problem};
use crate::domain::http_date;
use crate::export::RunningExport;
use crate::query::QueryLimits;
use validators::{as_named, coding, validators, weak};

pub(super) async fn export(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    method: Method,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let export = request::read(&file, &query)?;
    let format = export.format;
    let coding = coding(format, &headers);
    http.queries.caught_up().await;
    let (mut tag, changed_at) = validators(&http, &export, &file, &query, coding).await?;
    let mut response = match Conditions::of(&headers).check(tag.as_deref(), changed_at) {
        Evaluation::Failed => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "the export is not what `If-Match` expects any more",
            ));
        }
        Evaluation::NotModified => {
            tag = tag.map(|tag| as_named(&headers, tag));
            without_body(StatusCode::NOT_MODIFIED)
        }
        Evaluation::Proceed => {
            let admission = http.queries.admission();
            let bounds = QueryLimits::lasting(admission.settings().timeout);
            // Both are dropped when the last chunk was read, or the client is gone.
            let guards = (admission.admit_export(&caller.name).await?, bounds.stop_on_drop());
            let RunningExport { chunks, is_whole } = export.start(&http.queries.within(bounds)).await?;
            // The rows of a long export are read while they are sent, so they may include commits made in the meantime.
            let is_exact = is_whole && validators(&http, &export, &file, &query, coding).await?.0 == tag;
            tag = tag.map(|tag| if is_exact { tag } else { weak(&tag) });
            let mut response = match method {
                Method::HEAD => without_body(StatusCode::OK),
                _ => Body::from_stream(chunks.map(move |chunk| {
                    let _ = &guards;
                    chunk.inspect_err(|e| tracing::error!(error = %e, "an export failed before its end"))
                }))
                .into_response(),
            };
            let disposition = format!("attachment; filename=\"{file}\"");
            insert(&mut response, header::CONTENT_TYPE, format.media_type())?;
            insert(&mut response, header::CONTENT_DISPOSITION, &disposition)?;
            response
        }
    };
    // The compression layer sets this only on what it compresses, and the uncompressed response depends on it as well.
    insert(&mut response, header::VARY, "accept-encoding, authorization")?;
    insert(&mut response, header::CACHE_CONTROL, "private, no-cache")?;
    if let Some(tag) = tag {
        insert(&mut response, header::ETAG, &tag)?;
    }
    if let Some(date) = changed_at.and_then(http_date) {
        insert(&mut response, header::LAST_MODIFIED, &date)?;
    }
    Ok(response)
}

fn insert(response: &mut Response, name: HeaderName, value: &str) -> Result<(), Problem> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
    Ok(())
}
