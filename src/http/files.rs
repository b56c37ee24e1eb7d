//! Files as they were published: names, ranges, validators, and the stored frame for those who can decode it.
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Http, Problem};
use crate::domain::RevisionId;
use crate::record::Revision;
use crate::store::Bytes;

/// A revision never changes: whoever has it need not ask again.
const CACHE: &str = "private, max-age=31536000, immutable";

pub(super) async fn get_file(
    State(http): State<Http>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let etag = format!("\"{}\"", revision.file.digest);
    let mut response = Response::builder()
        .header(header::ETAG, &etag)
        .header(header::CACHE_CONTROL, CACHE)
        .header(header::VARY, "accept-encoding, authorization")
        .header(header::ACCEPT_RANGES, "bytes");
    if text(&headers, header::IF_NONE_MATCH).is_some_and(|wanted| names(wanted, &etag)) {
        return build(response.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    response = response
        .header(header::CONTENT_DISPOSITION, disposition(&revision.file_name))
        .header(header::CONTENT_TYPE, media_type(revision.content_type.as_deref()))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let size = revision.file.size;
    let part = match wanted_part(&headers, &etag, size) {
        Part::Some(part) => Some(part),
        Part::Whole => None,
        Part::None => {
            let range = HeaderValue::from_str(&format!("bytes */{size}")).map_err(|e| Problem::internal(&e))?;
            let mut response = Problem::new(416, format!("the file has {size} bytes")).into_response();
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            return Ok(response);
        }
    };
    let sends = method != Method::HEAD;
    if let Some(part) = part {
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", part.start, part.end - 1))
            .header(header::CONTENT_LENGTH, part.end - part.start);
        let body = if sends { body(http.queries.file(&revision, Some(part)).await?) } else { Body::empty() };
        return build(response, body);
    }
    if accepts_zstd(&headers)
        && let Some(frame) = http.queries.frame(&revision).await?
    {
        response =
            response.header(header::CONTENT_ENCODING, "zstd").header(header::CONTENT_LENGTH, revision.file.stored_size);
        return build(response, if sends { body(frame) } else { Body::empty() });
    }
    response = response.header(header::CONTENT_LENGTH, size);
    let body = if sends { body(http.queries.file(&revision, None).await?) } else { Body::empty() };
    build(response, body)
}

/// The revision whose file is asked for, unless that is gone.
pub(super) async fn find(http: &Http, id: &str) -> Result<Revision, Problem> {
    let shown: String = id.chars().take(60).collect();
    let id: RevisionId = id.parse().map_err(|_| Problem::new(404, format!("`{shown}` is no id of a revision")))?;
    let revision = http.queries.revision(id).await?.revision;
    match revision.purged_at {
        Some(at) => {
            let why = revision.purge_rule.unwrap_or_default();
            Err(Problem::new(
                410,
                format!("the file was removed by retention at {}: {why}", crate::domain::format_instant(at)),
            ))
        }
        None => Ok(revision),
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a list of validators names this one; weak ones do as well, the bytes are the same.
fn names(list: &str, etag: &str) -> bool {
    list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == "*" || one == etag)
}

enum Part {
    Whole,
    Some(Range<u64>),
    None,
}

fn wanted_part(headers: &HeaderMap, etag: &str, size: u64) -> Part {
    let Some(range) = text(headers, header::RANGE) else { return Part::Whole };
    // A part is of use only together with what the client has of the same bytes.
    if text(headers, header::IF_RANGE).is_some_and(|wanted| wanted != etag) {
        return Part::Whole;
    }
    let Ok(parsed) = http_range_header::parse_range_header(range) else { return Part::Whole };
    match parsed.validate(size).as_deref() {
        Ok([one]) => Part::Some(*one.start()..*one.end() + 1),
        // Several parts at once are not needed by anyone we know; the whole file is a right answer.
        Ok(_) => Part::Whole,
        Err(_) => Part::None,
    }
}

fn accepts_zstd(headers: &HeaderMap) -> bool {
    text(headers, header::ACCEPT_ENCODING).unwrap_or_default().split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd"));
        let refused = parts
            .any(|parameter| matches!(parameter.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        named && !refused
    })
}

/// RFC 6266: the plain form for old clients, the extended one with every character.
pub(super) fn disposition(name: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encoding::utf8_percent_encode(name, KEPT))
}

pub(super) fn media_type(said: Option<&str>) -> HeaderValue {
    said.and_then(|said| HeaderValue::from_str(said).ok())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn body(bytes: Bytes) -> Body {
    // A file that turns out damaged ends the connection before its length: the client cannot take it for whole.
    Body::from_stream(bytes)
}

pub(super) fn build(response: axum::http::response::Builder, body: Body) -> Result<Response, Problem> {
    response.body(body).map_err(|e| Problem::internal(&e))
}
