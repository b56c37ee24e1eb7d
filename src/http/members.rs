//! What a zip holds, and single files out of it.
use std::io::Read;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, Response as HttpResponse, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::files::{build, disposition, find, media_type};
use super::{Http, Problem};
use crate::domain::file_name;
use crate::query::{FIRST_MAX, MemberRow, Paging};

/// Bytes in one piece of an answer.
const PIECE: usize = 64 << 10;

pub(super) async fn list_members(State(http): State<Http>, Path(id): Path<String>) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let mut members = Vec::new();
    let mut paging = Paging::first(FIRST_MAX);
    loop {
        let page = http.queries.members(&revision, None, &paging).await?;
        paging.after = page.rows.last().map(|(cursor, _)| cursor.clone());
        members.extend(page.rows.into_iter().map(|(_, row)| shown(&row)));
        if !page.has_next {
            return Ok(Json(json!({ "members": members })).into_response());
        }
    }
}

fn shown(row: &MemberRow) -> Value {
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
    method: Method,
) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let (size, bytes) = http.queries.member(&revision, &path).await?;
    let name = file_name(&path).unwrap_or_else(|| "member".to_owned());
    let response = HttpResponse::builder()
        .header(header::CONTENT_DISPOSITION, disposition(&name))
        .header(header::CONTENT_TYPE, media_type(mime_guess::from_path(&name).first_raw()))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_LENGTH, size);
    build(response, if method == Method::HEAD { Body::empty() } else { stream(bytes) })
}

/// Reads on a thread of its own, as fast as the client takes it.
fn stream(mut bytes: impl Read + Send + 'static) -> Body {
    let (pieces, receiver) = mpsc::channel::<std::io::Result<bytes::Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match bytes.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok(bytes::Bytes::copy_from_slice(&buffer[..n])),
                Err(e) => Err(e),
            };
            if pieces.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}
