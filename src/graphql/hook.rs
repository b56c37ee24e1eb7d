//! Hooks, their deliveries and their dead letters.
use async_graphql::{Enum, ID, SimpleObject};

use super::rows::resolved_rows;
use crate::contract::{Count, DateTime};
use crate::domain;
use crate::query;

resolved_rows!(HookDelivery, HookDeadLetter);

/// What a hook tells about.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::HookEvent")]
pub enum HookEvent {
    /// A publication has a new revision.
    Archived,
    /// The last link to a publication's file has expired without a file.
    Lost,
    /// An expected period is overdue.
    Late,
    /// A source has sent nothing for longer than its history makes likely.
    Silent,
    /// A replay has ended.
    BurstEnded,
}

/// What became of an attempt.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::DeliveryOutcome")]
pub enum DeliveryOutcome {
    Delivered,
    /// Another attempt follows.
    Failed,
    /// The event is a dead letter.
    Dead,
}

/// A hook of the configuration, which sends events to another service.
#[derive(SimpleObject)]
pub struct Hook {
    name: String,
    /// Whether the configuration has it. A hook that was removed from there sends nothing.
    configured: bool,
    /// The origin of its URL, whose path may be a secret and is not shown; or its mail server.
    endpoint: Option<String>,
    events: Vec<HookEvent>,
    /// Changes of the archive that it has not looked at yet; saved at least once a minute.
    lag: Count,
    /// Events delivered.
    delivered: Count,
    /// Attempts that failed.
    failed: Count,
    /// Events that were given up: `hookDeadLetters` lists them, and `redeliverHook` sends them again.
    dead: Count,
    last_delivered_at: Option<DateTime>,
    /// Of the last attempt, if it failed.
    last_error: Option<String>,
    /// When the event happened that failed and is tried again; null if none is.
    waiting_since: Option<DateTime>,
    /// Attempts to deliver it so far.
    attempts: Count,
    next_attempt_at: Option<DateTime>,
    /// Since when nothing is sent because the endpoint answered 410; `enableHook` ends that.
    disabled_at: Option<DateTime>,
}

impl From<query::HookRow> for Hook {
    fn from(row: query::HookRow) -> Self {
        let (endpoint, events) = row.settings.map(|settings| (settings.endpoint, settings.events)).unzip();
        let state = row.state.as_ref();
        let pending = state.and_then(|state| state.pending.as_ref());
        Self {
            configured: endpoint.is_some(),
            endpoint,
            events: events.unwrap_or_default().into_iter().map(HookEvent::from).collect(),
            lag: Count(row.lag),
            delivered: Count(state.map_or(0, |state| state.delivered)),
            failed: Count(state.map_or(0, |state| state.failed)),
            dead: Count(row.dead),
            last_delivered_at: state.and_then(|state| state.last_delivered_at).map(DateTime),
            last_error: state.and_then(|state| state.last_error.clone()),
            waiting_since: pending.map(|pending| DateTime(pending.at)),
            attempts: Count(pending.map_or(0, |pending| pending.attempts.into())),
            next_attempt_at: pending.map(|pending| DateTime(pending.next_attempt_at)),
            disabled_at: state.and_then(|state| state.disabled_at).map(DateTime),
            name: row.name,
        }
    }
}

/// An attempt to deliver an event.
#[derive(SimpleObject, Clone)]
pub struct HookDelivery {
    id: ID,
    hook: String,
    /// The id of the message (`webhook-id`), the same for each attempt.
    message: String,
    /// The event; null for a test.
    event: Option<HookEvent>,
    at: DateTime,
    /// From 1.
    attempt: Count,
    outcome: DeliveryOutcome,
    /// The status of the response, if there was one.
    status: Option<i32>,
    error: Option<String>,
    milliseconds: Count,
}

impl From<query::HookDelivery> for HookDelivery {
    fn from(row: query::HookDelivery) -> Self {
        Self {
            id: row.id.into(),
            hook: row.hook,
            message: row.message,
            event: row.kind.parse::<domain::HookEvent>().ok().map(HookEvent::from),
            at: DateTime(row.at),
            attempt: Count(row.attempt.into()),
            outcome: row.outcome.into(),
            status: row.status.map(i32::from),
            error: row.error,
            milliseconds: Count(u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// An event that a hook gave up.
#[derive(SimpleObject, Clone)]
pub struct HookDeadLetter {
    id: ID,
    hook: String,
    event: HookEvent,
    /// When the event happened.
    at: DateTime,
    /// When it was given up.
    dead_at: DateTime,
    attempts: Count,
    /// Of the last attempt.
    error: String,
    /// When another attempt was requested that has not been made yet.
    redeliver_at: Option<DateTime>,
}

impl From<query::HookLetter> for HookDeadLetter {
    fn from(row: query::HookLetter) -> Self {
        Self {
            id: row.id.into(),
            hook: row.hook,
            event: row.kind.into(),
            at: DateTime(row.at),
            dead_at: DateTime(row.dead_at),
            attempts: Count(row.attempts.into()),
            error: row.error,
            redeliver_at: row.redeliver_at.map(DateTime),
        }
    }
}

/// The outcome of `testHook`.
#[derive(SimpleObject)]
pub struct HookTest {
    pub delivered: bool,
    /// The status of the response, if there was one.
    pub status: Option<i32>,
    pub error: Option<String>,
}
