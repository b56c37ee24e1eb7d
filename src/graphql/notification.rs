use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{Context, ContextSelectionSet, ID, Object, OutputType, Positioned, Result, ServerResult, Value};

use super::error::internal;
use super::loaders::load;
use super::publication::Publication;
use super::revision::Revision;
use super::rows::{TakesJson, table_rows};
use crate::contract::{DateTime, LocalDateTime, NotificationStatus};
use crate::domain::{ParsedNotification, body_value};
use crate::query;

/// One POST of the portal.
#[derive(Clone)]
pub struct Notification(pub query::Notification);

table_rows!(Notification => query::Notification);

/// One POST from the portal. Every authenticated POST is recorded, whatever becomes of it.
#[Object]
impl Notification {
    async fn id(&self) -> ID {
        self.0.id.0.into()
    }
    async fn received_at(&self) -> DateTime {
        DateTime(self.0.received_at)
    }
    /// `default`, or the last segment of POST /webhook/{source}.
    async fn source(&self) -> &str {
        &self.0.source
    }
    async fn status(&self) -> NotificationStatus {
        self.0.status.into()
    }
    /// Number of fetches started.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }
    async fn next_attempt_at(&self) -> Option<DateTime> {
        self.0.next_attempt_at.map(DateTime)
    }
    async fn link_expires_at(&self) -> Option<DateTime> {
        self.0.link_expires_at.map(DateTime)
    }
    /// Why the notification failed or waits, and what helps. Never contains the link.
    async fn error(&self) -> Option<&str> {
        self.0.error.as_deref()
    }
    /// What was unusual about the notification, and how it was interpreted.
    async fn warnings(&self) -> &[String] {
        &self.0.warnings
    }
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn process(&self) -> Option<&str> {
        self.0.process.as_deref()
    }
    async fn macro_process(&self) -> Option<&str> {
        self.0.macro_process.as_deref()
    }
    async fn reference_date(&self) -> Option<&str> {
        self.0.reference_date.as_deref()
    }
    async fn period_start(&self) -> Option<LocalDateTime> {
        self.0.period_start.map(LocalDateTime)
    }
    async fn period_end(&self) -> Option<LocalDateTime> {
        self.0.period_end.map(LocalDateTime)
    }
    /// The body as sent, with secrets redacted; null when it was not a JSON object.
    async fn body(&self) -> Option<Body> {
        ParsedNotification::body_as_json(&self.0.body).map(Body)
    }
    async fn publication(&self, ctx: &Context<'_>) -> Result<Option<Publication>> {
        match self.0.publication_id {
            Some(id) => Ok(load(ctx, id).await?.map(Publication::from)),
            None => Ok(None),
        }
    }
    /// The revision that it led to, or with status UNCHANGED, the existing revision with the same content.
    async fn revision(&self, ctx: &Context<'_>) -> Result<Option<Revision>> {
        match self.0.revision_id {
            Some(id) => Ok(load(ctx, id).await?.map(Revision)),
            None => Ok(None),
        }
    }
}

/// The text of a JSON value. Where the edge takes JSON it is given as it is, so that big integers keep their digits.
struct Body(String);

impl OutputType for Body {
    fn type_name() -> Cow<'static, str> {
        <serde_json::Value as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <serde_json::Value as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        if ctx.data_opt::<TakesJson>().is_some() {
            return Ok(Value::Binary(self.0.clone().into_bytes().into()));
        }
        let value = body_value(&self.0).and_then(|value| Value::from_json(value).ok());
        value.ok_or_else(|| {
            let error = internal(&"the recorded body of a notification is not valid JSON");
            ctx.set_error_path(error.into_server_error(field.pos))
        })
    }
}
