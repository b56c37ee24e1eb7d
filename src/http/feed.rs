//! `Acervo-Feed`: every answer says which number of the feed it shows, and a request may ask for one that shows a number.
//!
//! The number of an answer is read before the answer is made, so it is never later than what the answer shows. A request that names a
//! number, or the id of a notification, waits until this process can show it, and is refused after that: it never gets an older state.
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::Caller;
use super::{Http, Problem};
use crate::domain::{NotificationId, excerpt};
use crate::query::FeedMark;

/// In a request: what its answer must show. In an answer: the number that it shows; in a 202 of the webhook the notification's id.
pub(super) const ACERVO_FEED: HeaderName = HeaderName::from_static("acervo-feed");

/// How long a request waits (RFC 7240: `wait=SECONDS`).
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How long a request waits that does not say it, and how long any waits at most.
const WAIT: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The number of the feed that an answer shows, where it is not the one that this process had before; an extension of the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeedShown(pub i64);

/// The number of the feed that the answer must show at least; an extension of a request that names one.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeedRequired(pub i64);

/// Waits for what the request requires, and adds the number to its answer.
pub(super) async fn follow(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    mut request: Request,
    next: Next,
) -> Response {
    let queries = &http.queries;
    match mark(request.headers()) {
        Ok(None) => {}
        Ok(Some(mark)) => {
            let longest = preferred_wait(request.headers()).unwrap_or(WAIT).min(WAIT_MAX);
            if let Err(e) = queries.until_shown(mark, longest, &caller.name).await {
                return Problem::from(e).into_response();
            }
            let required = match mark {
                FeedMark::Number(number) => number,
                FeedMark::Notification(_) => queries.feed_shown(),
            };
            request.extensions_mut().insert(FeedRequired(required));
        }
        Err(problem) => return problem.into_response(),
    }
    let before = queries.feed_shown();
    let mut response = next.run(request).await;
    let shown = response.extensions().get::<FeedShown>().map_or(before, |shown| shown.0);
    response.headers_mut().insert(ACERVO_FEED, HeaderValue::from(shown));
    response
}

/// What a request requires, if anything.
fn mark(headers: &HeaderMap) -> Result<Option<FeedMark>, Problem> {
    let Some(value) = headers.get(ACERVO_FEED) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let number = || text.parse().ok().filter(|number| *number >= 0).map(FeedMark::Number);
    let id = || text.parse().ok().map(|id| FeedMark::Notification(NotificationId(id)));
    number().or_else(id).map(Some).ok_or_else(|| {
        let text = excerpt(text);
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!(
                "`Acervo-Feed` is `{text}`; expected a number that an answer had in it, or the id of a notification"
            ),
        )
    })
}

/// The seconds of `Prefer: wait=…`. What cannot be read is ignored, as the specification says.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(PREFER).into_iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split([',', ';']));
    preferences.find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then_some(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(line: &'static str) -> Option<Duration> {
        preferred_wait(&HeaderMap::from_iter([(PREFER, HeaderValue::from_static(line))]))
    }

    #[test]
    fn the_wait_is_found_among_other_preferences() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(waits("wait=5"), seconds(5));
        assert_eq!(waits("respond-async, Wait = \"7\"; x=1"), seconds(7));
        assert_eq!(waits("wait=soon"), None);
        assert_eq!(waits("return=minimal"), None);
    }
}
