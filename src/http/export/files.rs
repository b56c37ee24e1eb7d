//! `GET /export/files.zip`: the files of a query in one zip; and `GET /export/files.ndjson`: which they are.
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;

use super::super::conditional::no_body;
use super::super::files::build;
use super::request::read_files;
use crate::export::FileList;
use crate::http::auth::Caller;
use crate::http::downloads::Slot;
use crate::http::{Http, Problem};
use crate::query::QueryLimits;

/// Answers with the zip and its length. While it is sent, the request holds a slot for downloads, and the database only for as long
/// as it takes to look up one file.
pub(super) async fn send(http: &Http, caller: &Caller, query: &str, method: &Method) -> Result<Response, Problem> {
    let (list, slot) = list(http, caller, query).await?;
    let response = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/zip")
        .header(header::CONTENT_DISPOSITION, "attachment; filename=\"files.zip\"")
        .header(header::CONTENT_LENGTH, list.zip_length().await?)
        .header(header::CACHE_CONTROL, "private, no-store")
        .header(header::VARY, HeaderValue::from_static("authorization"))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if method == Method::HEAD {
        return build(response, no_body());
    }
    let zip = list.into_zip(http.queries.clone()).inspect(|piece| {
        if let Err(e) = piece {
            tracing::warn!(error = %e, "a zip of files was ended before its directory, because a file could not be read");
        }
    });
    build(response, http.downloads.body(zip, slot))
}

/// Answers with the manifest of the zip: a path for each file, and the reason for each publication without one.
pub(super) async fn send_list(http: &Http, caller: &Caller, query: &str, method: &Method) -> Result<Response, Problem> {
    let (list, slot) = list(http, caller, query).await?;
    let (length, manifest) = list.into_manifest();
    let response = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .header(header::CONTENT_LENGTH, length)
        .header(header::CACHE_CONTROL, "private, no-store")
        .header(header::VARY, HeaderValue::from_static("authorization"))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if method == Method::HEAD {
        return build(response, no_body());
    }
    build(response, http.downloads.body(manifest, slot))
}

async fn list(http: &Http, caller: &Caller, query: &str) -> Result<(FileList, Slot), Problem> {
    let (request, limit) = read_files(query)?;
    http.queries.caught_up().await;
    let slot = http.downloads.enter(&caller.name).await?;
    let admission = http.queries.admission();
    let bounds = QueryLimits::lasting(admission.settings().timeout);
    let _guards = (admission.admit_export(&caller.name).await?, bounds.stop_on_drop());
    let list = FileList::of(&http.queries.within(bounds), request, limit).await?;
    Ok((list, slot))
}
