//! The response with an export: streamed, or from a file that is kept for a while, whole or in part.
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::super::auth::Caller;
use super::super::conditional::{Conditions, no_body};
use super::super::feed::FeedShown;
use super::super::files::{Part, beyond_the_end, part_of};
use super::insert;
use super::snapshots::{Snapshot, Told};
use super::validators::{validators, weak};
use crate::domain::Digest;
use crate::export::{Export, ExportError, Format, RunningExport, ScratchFile};
use crate::http::{Http, Problem};
use crate::query::QueryLimits;

pub(super) struct ExportRequest {
    pub http: Http,
    pub caller: Caller,
    pub export: Export,
    pub file: String,
    pub query: String,
    /// The content coding of the response; none for the bytes as they are.
    pub coding: Option<String>,
    pub headers: HeaderMap,
    pub method: Method,
    /// The key and the address, by which requests for parts are known to belong together.
    pub client: Digest,
    /// The number of the feed that the response shows, unless it is from a file that was made before.
    pub feed: i64,
    /// The number that it must show.
    pub feed_required: i64,
}

/// Why an export is not a file that can be kept.
enum NotKept {
    /// The rows changed while it was made.
    Changed,
    Failed(Problem),
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Query(e) => e.into(),
            ExportError::Write(e) => Self::internal(&e),
        }
    }
}

impl ExportRequest {
    pub async fn validators(&self) -> Result<(Option<String>, Option<Timestamp>), Problem> {
        validators(&self.http, &self.export, &self.file, &self.query, self.coding.as_deref()).await
    }

    /// The response, and its ETag. `tag`: of the present state; absent while the rows are changing.
    pub async fn respond(
        self: &Arc<Self>,
        tag: Option<String>,
        changed_at: Option<Timestamp>,
    ) -> Result<(Response, Option<String>), Problem> {
        let Some(tag) = tag else { return self.stream(None).await };
        if self.coding.is_some() {
            return self.stream(Some(tag)).await;
        }
        if let Some(state) = self.state_for_part(&tag, changed_at)
            && let Some(snapshot) = self.file_of(&state, &tag).await?
        {
            self.tell(Told::State(state.clone()));
            let mut response = self.send_file(&snapshot.file)?;
            if state != tag {
                response.extensions_mut().insert(FeedShown(snapshot.feed));
            }
            return Ok((response, Some(state)));
        }
        // A workbook is made as a file in any case; of Parquet, programs ask for the length before they ask for parts.
        let is_file = match self.export.format {
            Format::Xlsx => true,
            Format::Parquet => self.method == Method::HEAD,
            Format::Csv(_) | Format::Ndjson => false,
        };
        let snapshot = if is_file { self.file_of(&tag, &tag).await? } else { self.http.snapshots.kept(&tag) };
        match snapshot {
            Some(snapshot) => {
                self.tell(Told::State(tag.clone()));
                Ok((self.send_whole(&snapshot.file)?, Some(tag)))
            }
            None => self.stream(Some(tag)).await,
        }
    }

    fn range(&self) -> Option<&str> {
        let range = self.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        // Only GET has ranges (RFC 9110, 14.2).
        range.filter(|_| self.method == Method::GET)
    }

    /// The state that a part is requested of. `None` if the whole is to be sent: no part is requested, or it is one of a state that is
    /// gone.
    fn state_for_part(&self, tag: &str, changed_at: Option<Timestamp>) -> Option<String> {
        self.range()?;
        if !Conditions::of(&self.headers).allow_range(Some(tag), changed_at) {
            return None;
        }
        if [header::IF_RANGE, header::IF_MATCH].iter().any(|name| self.headers.contains_key(name)) {
            return Some(tag.to_owned());
        }
        // The client does not say what it has already. It must not join that with something else.
        match self.http.snapshots.told(&self.client) {
            None => Some(tag.to_owned()),
            Some(Told::State(told)) if told == tag || self.has_kept(&told) => Some(told),
            Some(Told::State(_) | Told::Mixed) => None,
        }
    }

    /// Whether an earlier state is kept, and shows what the response must show.
    fn has_kept(&self, state: &str) -> bool {
        self.http.snapshots.kept(state).is_some_and(|snapshot| snapshot.feed >= self.feed_required)
    }

    /// The export in a state as a file, which is made if it is the present state. `None` if it cannot be had any more.
    async fn file_of(&self, state: &str, present: &str) -> Result<Option<Snapshot>, Problem> {
        if let Some(snapshot) = self.http.snapshots.kept(state) {
            return Ok(Some(snapshot));
        }
        if state != present {
            return Ok(None);
        }
        match self.http.snapshots.get_or_make(state, self.make(state)).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(NotKept::Changed) => Ok(None),
            Err(NotKept::Failed(problem)) => Err(problem),
        }
    }

    async fn make(&self, state: &str) -> Result<Snapshot, NotKept> {
        let failed = |e: ExportError| NotKept::Failed(e.into());
        let admission = self.http.queries.admission();
        let bounds = QueryLimits::lasting(admission.settings().timeout);
        let permits = admission.admit_export(&self.caller.name).await.map_err(|e| failed(e.into()))?;
        let _guards = (permits, bounds.stop_on_drop());
        let file = self.export.to_file(&self.http.queries.within(bounds)).await.map_err(failed)?;
        let (after, _) = self.validators().await.map_err(NotKept::Failed)?;
        if after.as_deref() == Some(state) { Ok(Snapshot { file, feed: self.feed }) } else { Err(NotKept::Changed) }
    }

    fn tell(&self, told: Told) {
        self.http.snapshots.tell(self.client, told);
    }

    /// A part of a file, or all of it if several parts are requested.
    fn send_file(&self, file: &ScratchFile) -> Result<Response, Problem> {
        match self.range().map_or(Part::Whole, |range| part_of(range, file.length())) {
            Part::Whole => self.send_whole(file),
            Part::None => Ok(beyond_the_end(file.length())),
            Part::Some(part) => {
                let mut response = self.described(StatusCode::PARTIAL_CONTENT, body_of(file, part.clone()))?;
                let of = format!("bytes {}-{}/{}", part.start, part.end - 1, file.length());
                insert(&mut response, header::CONTENT_RANGE, &of)?;
                insert(&mut response, header::CONTENT_LENGTH, &(part.end - part.start).to_string())?;
                Ok(response)
            }
        }
    }

    fn send_whole(&self, file: &ScratchFile) -> Result<Response, Problem> {
        let body = if self.method == Method::HEAD { no_body() } else { body_of(file, 0..file.length()) };
        let mut response = self.described(StatusCode::OK, body)?;
        insert(&mut response, header::CONTENT_LENGTH, &file.length().to_string())?;
        Ok(response)
    }

    /// Sends rows while they are read. The response has a weak tag if later commits may be in them.
    async fn stream(self: &Arc<Self>, tag: Option<String>) -> Result<(Response, Option<String>), Problem> {
        let admission = self.http.queries.admission();
        let bounds = QueryLimits::lasting(admission.settings().timeout);
        // Both are dropped when the last chunk was read, or the client is gone.
        let guards = (admission.admit_export(&self.caller.name).await?, bounds.stop_on_drop());
        let RunningExport { chunks, is_whole } = self.export.start(&self.http.queries.within(bounds)).await?;
        let is_exact = is_whole && self.validators().await?.0 == tag;
        let told = tag.clone().filter(|_| is_exact).map_or(Told::Mixed, Told::State);
        let body = match self.method {
            Method::HEAD => no_body(),
            _ => {
                self.tell(told);
                let chunks = chunks.map(move |chunk| {
                    let _ = &guards;
                    chunk.inspect_err(|e| tracing::error!(error = %e, "an export failed before its end"))
                });
                Body::from_stream(chunks.chain(self.clone().after_last(tag.clone())))
            }
        };
        let tag = tag.map(|tag| if is_exact { tag } else { weak(&tag) });
        Ok((self.described(StatusCode::OK, body)?, tag))
    }

    /// Notes, once all rows were sent, that they were those of one state, if they were. Adds nothing to the export.
    fn after_last(
        self: Arc<Self>,
        tag: Option<String>,
    ) -> impl stream::Stream<Item = Result<Bytes, ExportError>> + Send + 'static {
        let check = async move {
            if let Some(tag) = tag
                && self.validators().await.is_ok_and(|(after, _)| after.as_ref() == Some(&tag))
            {
                self.tell(Told::State(tag));
            }
            None
        };
        stream::once(check).filter_map(ready)
    }

    fn described(&self, status: StatusCode, body: Body) -> Result<Response, Problem> {
        let mut response = (status, body).into_response();
        insert(&mut response, header::CONTENT_TYPE, self.export.format.media_type())?;
        insert(&mut response, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", self.file))?;
        if self.coding.is_none() {
            insert(&mut response, header::ACCEPT_RANGES, "bytes")?;
        }
        Ok(response)
    }
}

fn body_of(file: &ScratchFile, part: Range<u64>) -> Body {
    Body::from_stream(file.stream(part))
}
