//! Published files: names, ranges, validators, and the stored zstd frame for clients that accept it.
use std::ops::Range;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::auth::Caller;
use super::conditional::{Conditions, Evaluation, without_body};
use super::downloads::Slot;
use super::language::say;
use super::negotiate::AcceptedCodings;
use super::{Http, Problem};
use crate::domain::{Digest, RevisionId, excerpt, file_name, http_date};
use crate::query::Revision;
use crate::query::{FileBytes, has_zstd_frame};

/// A revision never changes, so a cached copy needs no revalidation.
const CACHE: &str = "private, max-age=31536000, immutable";

/// Published files are somebody else's: even where a browser shows one, nothing in it runs on our origin.
pub(super) const SANDBOX: &str = "default-src 'none'; sandbox";

pub(super) async fn get_file(
    State(http): State<Http>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let size = revision.file.size;
    let modified = Some(revision.archived_at);
    let conditions = Conditions::of(&headers);
    let accepted = AcceptedCodings::of(&headers);
    let range = match accepted.accepts("identity") {
        true => wanted_part(&method, &headers, &conditions, &revision),
        false => Part::Whole,
    };
    let representations = match range {
        Part::Whole => acceptable_representations(&accepted, &revision)?,
        Part::Some(_) | Part::None => vec![Representation::Plain],
    };
    // A client that names the representation it has gets that one.
    let representation = representations
        .iter()
        .find(|representation| conditions.allows(&representation.etag(&revision)))
        .or(representations.first());
    let etag = representation.copied().unwrap_or(Representation::Plain).etag(&revision);
    let evaluation = conditions.check(Some(&etag), modified);
    if evaluation == Evaluation::Failed {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            format!("the file is {etag}, which If-Match or If-Unmodified-Since excludes"),
        ));
    }
    let known = Representation::ALL
        .iter()
        .map(|representation| representation.etag(&revision))
        .find(|etag| conditions.is_known_as(etag));
    if evaluation == Evaluation::NotModified || known.is_some() {
        let mut response = without_body(StatusCode::NOT_MODIFIED);
        describe(response.headers_mut(), known.as_ref().unwrap_or(&etag), &revision)?;
        return Ok(response);
    }
    let wanted = FileRequest { http: &http, caller: &caller, revision: &revision, is_head: method == Method::HEAD };
    let mut response = match (range, representation) {
        (Part::None, _) => return Ok(beyond_the_end(size)),
        (Part::Some(part), _) => send_part(&wanted, part).await?,
        (Part::Whole, Some(Representation::Frame)) => send_frame(&wanted).await?,
        (Part::Whole, _) => send_whole(&wanted).await?,
    };
    describe(response.headers_mut(), &etag, &revision)?;
    let described = [
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition(&revision.file_name))),
        (header::CONTENT_TYPE, Ok(media_type(revision.content_type.as_deref()))),
        (header::X_CONTENT_TYPE_OPTIONS, Ok(HeaderValue::from_static("nosniff"))),
        (header::CONTENT_SECURITY_POLICY, Ok(HeaderValue::from_static(SANDBOX))),
    ];
    for (name, value) in described {
        response.headers_mut().insert(name, value.map_err(|e| Problem::internal(&e))?);
    }
    Ok(response)
}

/// How a file can be sent: each representation has its own ETag, so that clients never join parts of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Representation {
    Plain,
    /// The stored zstd frame.
    Frame,
}

impl Representation {
    const ALL: [Self; 2] = [Self::Plain, Self::Frame];

    /// The SHA-256 is the tag of the published bytes.
    fn etag(self, revision: &Revision) -> String {
        match self {
            Self::Plain => format!("\"{}\"", revision.file.digest),
            Self::Frame => format!("\"{}-zstd\"", revision.file.digest),
        }
    }
}

/// The representations that the client accepts, the best one first.
fn acceptable_representations(accepted: &AcceptedCodings, revision: &Revision) -> Result<Vec<Representation>, Problem> {
    let is_frame = has_zstd_frame(revision);
    let available: &[&str] = if is_frame { &["zstd", "identity"] } else { &["identity"] };
    let best = accepted.choose(available).ok_or_else(|| {
        let codings = available.join(" and ");
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("the file is sent as {codings}, which Accept-Encoding excludes"),
        )
    })?;
    let mut representations = vec![if best == "zstd" { Representation::Frame } else { Representation::Plain }];
    for (representation, coding) in [(Representation::Plain, "identity"), (Representation::Frame, "zstd")] {
        if available.contains(&coding) && accepted.accepts(coding) && !representations.contains(&representation) {
            representations.push(representation);
        }
    }
    Ok(representations)
}

/// The headers of a response with the file and of a 304 alike.
fn describe(headers: &mut HeaderMap, etag: &str, revision: &Revision) -> Result<(), Problem> {
    headers.insert(header::ETAG, HeaderValue::from_str(etag).map_err(|e| Problem::internal(&e))?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(at) = http_date(revision.archived_at).and_then(|at| HeaderValue::from_str(&at).ok()) {
        headers.insert(header::LAST_MODIFIED, at);
    }
    Ok(())
}

pub(super) fn beyond_the_end(size: u64) -> Response {
    let mut response =
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("the file has {size} bytes")).into_response();
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

async fn send_part(wanted: &FileRequest<'_>, part: Range<u64>) -> Result<Response, Problem> {
    let slot = wanted.http.downloads.enter(&wanted.caller.name).await?;
    wanted.http.queries.require_sound(wanted.revision).await?;
    let size = wanted.revision.file.size;
    let response = Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", part.start, part.end - 1))
        .header(header::CONTENT_LENGTH, part.end - part.start);
    let bytes = wanted.http.queries.file(wanted.revision, Some(part)).await?;
    build(response, wanted.http.downloads.body(bytes, slot))
}

async fn send_frame(wanted: &FileRequest<'_>) -> Result<Response, Problem> {
    let response = Response::builder().header(header::CONTENT_ENCODING, "zstd");
    let slot = wanted.http.downloads.enter(&wanted.caller.name).await?;
    wanted.http.queries.require_sound(wanted.revision).await?;
    let (size, bytes) = wanted.http.queries.frame(wanted.revision).await?;
    build(response.header(header::CONTENT_LENGTH, size), wanted.body(bytes, slot))
}

async fn send_whole(wanted: &FileRequest<'_>) -> Result<Response, Problem> {
    let response = Response::builder().header(header::CONTENT_LENGTH, wanted.revision.file.size);
    let slot = wanted.http.downloads.enter(&wanted.caller.name).await?;
    wanted.http.queries.require_sound(wanted.revision).await?;
    let bytes = wanted.http.queries.file(wanted.revision, None).await?;
    build(response, wanted.body(bytes, slot))
}

/// A request for a revision's file.
struct FileRequest<'a> {
    http: &'a Http,
    caller: &'a Caller,
    revision: &'a Revision,
    is_head: bool,
}

impl FileRequest<'_> {
    /// The body of a response. The one to HEAD is empty, and everything before it is as for GET: a file that cannot be read
    /// has the same status.
    fn body(&self, bytes: FileBytes, slot: Slot) -> Body {
        if self.is_head { Body::empty() } else { self.http.downloads.body(bytes, slot) }
    }
}

/// The revision whose file is requested; an error if the file was removed.
pub(super) async fn find(http: &Http, id: &str) -> Result<Revision, Problem> {
    let no_id = || Problem::new(StatusCode::NOT_FOUND, say!("problem-not-a-file-id", id = excerpt(id).to_string()));
    let revision = match id.parse::<Digest>() {
        Ok(digest) => http.queries.revision_with(digest).await?,
        Err(()) => {
            let id: RevisionId = id.parse().map_err(|_| no_id())?;
            http.queries.revision(id).await?.revision
        }
    };
    match revision.purged_at {
        Some(at) => {
            let why = revision.purge_rule.unwrap_or_default();
            Err(Problem::new(
                StatusCode::GONE,
                say!("problem-purged", at = crate::domain::format_instant(at), why = why),
            ))
        }
        None => Ok(revision),
    }
}

/// What a `Range` requests.
pub(super) enum Part {
    Whole,
    Some(Range<u64>),
    /// Nothing: it lies beyond the end.
    None,
}

/// The part that `Range` requests. Only GET has ranges (RFC 9110, 14.2).
fn wanted_part(method: &Method, headers: &HeaderMap, conditions: &Conditions, revision: &Revision) -> Part {
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = range.filter(|_| method == Method::GET) else { return Part::Whole };
    // A part is only useful together with other parts of the same bytes.
    if !conditions.allow_range(Some(&Representation::Plain.etag(revision)), Some(revision.archived_at)) {
        return Part::Whole;
    }
    part_of(range, revision.file.size)
}

/// The part that a `Range` names of something with `size` bytes.
pub(super) fn part_of(range: &str, size: u64) -> Part {
    let Ok(parsed) = http_range_header::parse_range_header(range) else { return Part::Whole };
    match parsed.validate(size).as_deref() {
        Ok([one]) => Part::Some(*one.start()..*one.end() + 1),
        // Multipart ranges are not supported; the whole file is a valid response.
        Ok(_) => Part::Whole,
        Err(_) => Part::None,
    }
}

/// RFC 6266: the plain parameter for old clients, the extended one with every character.
pub(super) fn disposition(name: &str) -> String {
    let name = file_name(name).unwrap_or_else(|| "file".to_owned());
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encoding::utf8_percent_encode(&name, KEPT))
}

pub(super) fn media_type(said: Option<&str>) -> HeaderValue {
    said.and_then(|said| HeaderValue::from_str(said).ok())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

pub(super) fn build(response: axum::http::response::Builder, body: Body) -> Result<Response, Problem> {
    response.body(body).map_err(|e| Problem::internal(&e))
}
