//! `GET /live`: server-sent events that say that something has changed. They have no content, so a page asks again with its own rights.
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::access_log::AdmittedKey;
use super::auth::{self, Caller};
use super::session::Presented;
use super::{Http, bodies};
use crate::query::ArchiveState;

/// How soon a page learns of a change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The age of what a page shows although nothing was committed: silences, the disk, the time itself.
const CHANGE_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Keeps proxies from closing the connection, and tells us of clients that are gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Opens the stream. It counts as a WebSocket does, not as a request.
pub(super) async fn follow(State(http): State<Http>, request: Request) -> Response {
    let named = auth::named(&request);
    let presented = Presented::by(&http, &request);
    let caller = match presented.caller(&http).await {
        Ok(Ok(caller)) => caller,
        Ok(Err(refusal)) => return auth::refuse(&http, &refusal, request).await,
        Err(problem) => return bodies::refuse(problem, request).await,
    };
    if let Err(problem) = caller.check_page(&http, named) {
        return bodies::refuse(problem, request).await;
    }
    let Ok(permit) = http.sockets.clone().try_acquire_owned() else {
        return bodies::refuse(auth::busy(), request).await;
    };
    let admitted = AdmittedKey(caller.name.clone());
    let events = events(Follower { http, caller, shown: None, at: Instant::now(), has_ended: false, _permit: permit });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.extensions_mut().insert(admitted);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nginx would collect the events.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page that is open.
struct Follower {
    http: Http,
    caller: Caller,
    /// The state that it was told of.
    shown: Option<ArchiveState>,
    at: Instant,
    has_ended: bool,
    _permit: OwnedSemaphorePermit,
}

fn events(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, |mut follower| async move {
        if follower.has_ended {
            return None;
        }
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })
}

impl Follower {
    /// The next event; `None` once the service is stopping.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.shown.is_some() {
                tokio::select! {
                    () = self.http.app.stopping.cancelled() => return None,
                    () = sleep(LOOK_EVERY) => {}
                }
            }
            if !self.caller.is_still_known(&self.http).await {
                self.has_ended = true;
                return Some(Event::default().event("end").data("-"));
            }
            let state = self.http.queries.state().await;
            let is_due = self.at.elapsed() >= CHANGE_AT_LEAST_EVERY;
            let is_new = state.is_some() && state != self.shown;
            if is_new || is_due {
                self.at = Instant::now();
                self.shown = state.or(self.shown.take());
                return Some(Event::default().event("change").data("-"));
            }
            if self.shown.is_none() {
                // The database does not answer.
                sleep(LOOK_EVERY).await;
            }
        }
    }
}
