//! The ETag and `Last-Modified` of an export, from the state of the rows that it reads.
use axum::http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};

use crate::domain::Digest;
use crate::export::{Export, Format, Rows};
use crate::http::{Http, Problem};
use crate::query::Order;

/// Part of the ETag. To be increased when the same columns of the same rows are written in another way.
const VERSION: &str = "4";

/// The content coding that the compression layer will use: negotiation has reduced the request to one.
pub(super) fn coding(format: Format, headers: &HeaderMap) -> Option<&str> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.filter(|coding| *coding != "identity" && crate::http::is_text(format.media_type()))
}

/// An instant becomes `Last-Modified` only when it is this old: the header has whole seconds, and a client would keep the first
/// of two states within one second.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// The ETag of an export, different for each content coding, and when its rows changed last; none while they are changing.
pub(super) async fn validators(
    http: &Http,
    export: &Export,
    file: &str,
    query: &str,
    coding: Option<&str>,
) -> Result<(Option<String>, Option<Timestamp>), Problem> {
    let (rows, changed_at) = match export.rows {
        Rows::Publications(..) | Rows::Members(..) => http.queries.state_of_publications().await?,
        Rows::Revisions(..) => (http.queries.state_of_revisions().await?, None),
        Rows::Notifications(..) => (http.queries.state_of_notifications().await?, None),
        // What is late depends on the time too.
        Rows::Coverage(..) => (None, None),
    };
    let Some(rows) = rows else { return Ok((None, None)) };
    let scores = match &export.rows {
        Rows::Publications(request, _) if request.scored || request.order == Order::Relevance => {
            http.queries.state_of_scores()
        }
        Rows::Revisions(request, _) if request.order == Order::Relevance => http.queries.state_of_scores(),
        Rows::Members(request, _) if request.order == Order::Relevance => http.queries.state_of_scores(),
        _ => String::new(),
    };
    let address = http.app.settings.public_url.as_deref().unwrap_or_default();
    let columns = export.rows.column_names().join(",");
    let described = format!("{VERSION} {file} {query} {columns} {rows} {scores} {address}");
    let digest = Digest::of(described.as_bytes()).to_string();
    let suffix = coding.map(|coding| format!("-{coding}")).unwrap_or_default();
    let is_settled = |at: &Timestamp| scores.is_empty() && http.app.clock.now().duration_since(*at) >= SETTLED_AFTER;
    let changed_at = changed_at.filter(is_settled);
    Ok((Some(format!("\"{}{suffix}\"", &digest[..32])), changed_at))
}

pub(super) fn weak(tag: &str) -> String {
    format!("W/{tag}")
}

/// A tag as the client has it: weak if it was sent as a weak one.
pub(super) fn as_named(headers: &HeaderMap, tag: String) -> String {
    let weak = weak(&tag);
    let is_named = |line: &HeaderValue| line.to_str().is_ok_and(|line| line.contains(&weak));
    if headers.get_all(header::IF_NONE_MATCH).iter().any(is_named) { weak } else { tag }
}
