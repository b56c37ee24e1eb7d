//! `GET /export/{table}.{format}`: the rows of GraphQL as files, streamed.
mod parameters;
mod request;
mod validators;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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
            let described = [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, &disposition)];
            for (name, value) in described {
                response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
            }
            response
        }
    };
    // The compression layer sets this only on what it compresses, and the uncompressed response depends on it as well.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization"));
    let validators = [
        (header::CACHE_CONTROL, Some("private, no-cache".to_owned())),
        (header::ETAG, tag),
        (header::LAST_MODIFIED, changed_at.and_then(http_date)),
    ];
    for (name, value) in validators {
        if let Some(value) = value {
            response.headers_mut().insert(name, HeaderValue::from_str(&value).map_err(|e| Problem::internal(&e))?);
        }
    }
    Ok(response)
}
