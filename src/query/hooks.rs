//! Hooks as operators see them: how far each has come, what it sent, and what it gave up.
use jiff::Timestamp;
use uuid::Uuid;

use super::paging::{Cursor, Window};
use super::{ListPage, Paging, Queries, QueryError};
use crate::config::Hook;
use crate::domain::HookEvent;
use crate::engine::index::SortValue;
use crate::engine::record::{HookDelivery, HookLetter, HookState};

/// The letters of cursors.
const DELIVERIES: char = 'h';
const LETTERS: char = 'g';

/// A hook: its settings and its state.
#[derive(Clone, Debug)]
pub struct HookRow {
    pub name: String,
    /// What is in the configuration of it; `None` if it was removed from there.
    pub settings: Option<HookSettings>,
    pub state: Option<HookState>,
    /// Events that were given up.
    pub dead: u64,
    /// Changes of the archive that it has not looked at, as far as is saved.
    pub lag: u64,
}

/// The settings of a hook that are no secret.
#[derive(Clone, Debug)]
pub struct HookSettings {
    pub events: Vec<HookEvent>,
    /// The origin of its URL, whose path may be a secret, or its mail server.
    pub endpoint: String,
}

impl HookRow {
    /// Since when the oldest event waits that failed and is tried again.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        Some(self.state.as_ref()?.pending.as_ref()?.at)
    }

    pub fn disabled_at(&self) -> Option<Timestamp> {
        self.state.as_ref()?.disabled_at
    }
}

impl From<&Hook> for HookSettings {
    fn from(hook: &Hook) -> Self {
        Self { events: hook.events.clone(), endpoint: hook.target.shown() }
    }
}

impl Queries {
    /// The hooks of the configuration in its order, and then those that were removed from it.
    pub async fn hooks(&self) -> Result<Vec<HookRow>, QueryError> {
        let settings = self.app.access.settings();
        let configured = &settings.hooks;
        let mut states = self.record.hooks().states().await?;
        if configured.all.is_empty() && states.is_empty() {
            return Ok(Vec::new());
        }
        let mut dead = self.record.hooks().letter_counts().await?;
        let head = self.record.feed().head().await?;
        let mut row = |name: &str, settings: Option<HookSettings>, state: Option<HookState>| HookRow {
            name: name.to_owned(),
            settings,
            lag: state.as_ref().map_or(0, |state| u64::try_from(head - state.position.feed).unwrap_or(0)),
            state,
            dead: dead.remove(name).unwrap_or(0),
        };
        let mut rows = Vec::new();
        for hook in &configured.all {
            let own = states.iter().position(|state| state.name == hook.name).map(|at| states.remove(at));
            rows.push(row(&hook.name, Some(hook.into()), own));
        }
        for state in states {
            rows.push(row(&state.name.clone(), None, Some(state)));
        }
        Ok(rows)
    }

    /// Attempts to deliver events, newest first.
    pub async fn hook_deliveries(
        &self,
        hook: Option<&str>,
        paging: &Paging,
    ) -> Result<ListPage<HookDelivery>, QueryError> {
        self.check_hook(hook).await?;
        let window = paging.window(DELIVERIES)?;
        let before = window.position::<i64>()?;
        let (rows, total) = self.record.hooks().deliveries(hook, before, window.limit as u64 + 1).await?;
        Ok(page(&window, rows, total, DELIVERIES, |row| row.id))
    }

    /// Dead letters, newest first.
    pub async fn hook_letters(&self, hook: Option<&str>, paging: &Paging) -> Result<ListPage<HookLetter>, QueryError> {
        self.check_hook(hook).await?;
        let window = paging.window(LETTERS)?;
        let before = window.position::<i64>()?;
        let (rows, total) = self.record.hooks().letters(hook, before, window.limit as u64 + 1).await?;
        Ok(page(&window, rows, total, LETTERS, |row| row.id))
    }

    /// An error if there never was a hook of this name.
    async fn check_hook(&self, name: Option<&str>) -> Result<(), QueryError> {
        let Some(name) = name else { return Ok(()) };
        if self.app.access.settings().hooks.named(name).is_some() || self.record.hooks().state(name).await?.is_some() {
            return Ok(());
        }
        Err(QueryError::NotFound { what: "hook", id: format!("`{}`", crate::domain::excerpt(name)) })
    }
}

fn page<Row>(window: &Window, rows: Vec<Row>, total: u64, kind: char, id: impl Fn(&Row) -> i64) -> ListPage<Row> {
    let more = rows.len() > window.limit;
    let with_cursor = |row: Row| {
        let cursor = Cursor { value: SortValue::Number(id(&row)), tie: Uuid::nil() };
        (cursor.format(kind), row)
    };
    ListPage::new(window, total, rows.into_iter().take(window.limit).map(with_cursor).collect(), more)
}
