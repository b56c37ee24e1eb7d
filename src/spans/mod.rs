//! Spans of what is done for requests and notifications, sent over OTLP where `log.otlp_endpoint` is set; nothing otherwise. Open to
//! all modules, like `stage`.
//!
//! A span is made when what it is about has ended. All spans of a notification are one trace, whose id is that of the notification, and
//! the span of its request has the last half of it: what another process does for it hours later belongs there too, without anything
//! having been stored for that.
//!
//! Attributes are ids, sizes, hosts and states. No link, name of a file, credential or text of an error is one.
mod send;

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};

use crate::domain::NotificationId;
pub use opentelemetry::Value;
pub use send::{Exporter, start};

/// Further notifications that a span names, when it is about several.
const LINKS_MAX: usize = 16;

/// Set where spans are sent.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// When something began.
#[derive(Clone, Copy, Debug)]
pub struct Began(Option<SystemTime>);

/// What is said of a span.
pub type Attributes = Vec<(&'static str, Value)>;

/// Whether spans are sent.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

impl Began {
    pub fn now() -> Self {
        Self(TRACER.get().map(|_| SystemTime::now()))
    }

    /// Sends the span of a part of the work for notifications. `failed`: the kind of failure, if it is one.
    pub fn end(
        self,
        name: &'static str,
        of: impl IntoIterator<Item = NotificationId>,
        attributes: impl FnOnce() -> Attributes,
        failed: Option<&'static str>,
    ) {
        let (Some(tracer), Some(began)) = (TRACER.get(), self.0) else { return };
        let mut all = of.into_iter();
        let Some(first) = all.next() else { return };
        let links = all.take(LINKS_MAX).map(|other| Link::with_context(root_of(other))).collect();
        let mut attributes = key_values(attributes());
        attributes.push(KeyValue::new("acervo.notification.id", first.to_string()));
        let builder = tracer.span_builder(name).with_start_time(began).with_attributes(attributes).with_links(links);
        let within = Context::new().with_remote_span_context(root_of(first));
        let mut span = tracer.build_with_context(builder, &within);
        if let Some(kind) = failed {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(kind));
        }
        span.end();
    }

    /// Sends the span of a request, the root of its notification's trace if it brought one.
    pub fn end_request(self, method: &'static str, route: &str, status: u16, brought: Option<NotificationId>) {
        let (Some(tracer), Some(began)) = (TRACER.get(), self.0) else { return };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(brought.map(|id| KeyValue::new("acervo.notification.id", id.to_string())));
        let builder = tracer
            .span_builder(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_start_time(began)
            .with_attributes(attributes);
        CHOSEN.set(brought.map(|id| (trace_id(id), span_id(id))));
        let mut span = tracer.build_with_context(builder, &Context::new());
        CHOSEN.set(None);
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error("the service answered an error"));
        }
        span.end();
    }
}

/// A number of bytes.
pub fn size(bytes: impl TryInto<i64>) -> Value {
    bytes.try_into().unwrap_or(i64::MAX).into()
}

fn key_values(attributes: Attributes) -> Vec<KeyValue> {
    attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect()
}

/// The span of the request that brought a notification.
fn root_of(id: NotificationId) -> SpanContext {
    SpanContext::new(trace_id(id), span_id(id), TraceFlags::SAMPLED, true, TraceState::default())
}

fn trace_id(id: NotificationId) -> TraceId {
    TraceId::from(id.0.as_u128())
}

/// The random half of the id.
fn span_id(id: NotificationId) -> SpanId {
    SpanId::from(id.0.as_u64_pair().1)
}

thread_local! {
    /// The ids of the span that this thread makes now, where they are not random.
    static CHOSEN: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        CHOSEN.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}
