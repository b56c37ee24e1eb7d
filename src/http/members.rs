//! The members of a zip: their list, and each of them as a file.
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::response::Builder;
use axum::http::{Method, Response as HttpResponse, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::auth::Caller;
use super::files::{SANDBOX, build, disposition, find, media_type};
use super::parameter::parameter;
use super::{Http, Problem};
use crate::domain::file_name;
use crate::query::{FIRST_MAX, MemberRow, Paging};

pub(super) async fn list_members(
    State(http): State<Http>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let matching = parameter(query.as_deref().unwrap_or_default(), "match")?;
    let revision = find(&http, &id).await?;
    let mut members = Vec::new();
    let mut paging = Paging::first(FIRST_MAX);
    loop {
        let page = http.queries.members(&revision, matching.as_deref(), &paging).await?;
        paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        members.extend(page.rows.into_iter().map(|(_, row)| as_json(&row)));
        if !page.has_next {
            return Ok(Json(json!({ "members": members })).into_response());
        }
    }
}

fn as_json(row: &MemberRow) -> Value {
    json!({
        "path": row.member.path,
        "size": row.member.size,
        "compressedSize": row.member.compressed_size,
        "modifiedAt": row.member.modified_at.map(|at| at.to_string()),
        "url": row.url,
    })
}

pub(super) async fn get_member(
    State(http): State<Http>,
    Path((id, path)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    method: Method,
) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let slot = http.downloads.enter(&caller.name).await?;
    http.queries.require_sound(&revision).await?;
    let found = http.queries.member(&revision, &path).await?;
    let response = described(found.path(), found.size());
    let bytes = http.queries.member_bytes(&revision, found).await?;
    // The response to HEAD is that to GET without the body: a member that cannot be unpacked has the same status.
    build(response, if method == Method::HEAD { Body::empty() } else { http.downloads.body(bytes, slot) })
}

fn described(path: &str, size: u64) -> Builder {
    let name = file_name(path).unwrap_or_else(|| "member".to_owned());
    HttpResponse::builder()
        .header(header::CONTENT_DISPOSITION, disposition(&name))
        .header(header::CONTENT_TYPE, media_type(mime_guess::from_path(&name).first_raw()))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, SANDBOX)
        .header(header::CONTENT_LENGTH, size)
}
