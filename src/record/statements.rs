//! The statements that are sent to the database: slow ones are logged, and tests can watch all.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::{DatabaseConnection, Statement};

use crate::domain::first_chars;

/// What takes longer is logged.
const SLOW: Duration = Duration::from_secs(2);

/// Characters of a statement that are logged.
const LOGGED_MAX: usize = 400;

type Watcher = Box<dyn Fn(&Statement) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Statements(Arc<OnceLock<Watcher>>);

impl Statements {
    /// Sees a connection's statements from now on. Those of queries from outside are not shown to the watcher.
    pub fn of(&self, mut connection: DatabaseConnection, is_for_queries: bool) -> DatabaseConnection {
        let statements = if is_for_queries { Self::default() } else { self.clone() };
        connection.set_metric_callback(move |info| {
            if info.elapsed >= SLOW {
                // The text alone: its values may be links.
                let sql = first_chars(&info.statement.sql, LOGGED_MAX);
                tracing::warn!(seconds = info.elapsed.as_secs_f64(), sql, "a slow statement");
            }
            if let Some(watcher) = statements.0.get() {
                watcher(info.statement);
            }
        });
        connection
    }

    /// Shows every statement to `watcher` from now on. The first watcher stays.
    pub fn watch(&self, watcher: impl Fn(&Statement) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(watcher));
    }
}
