//! The statements that are sent to the database: slow ones are logged, and tests can watch all.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::{DatabaseConnection, Statement, Value};
use uuid::Uuid;

use crate::domain::first_chars;

/// What takes longer is logged.
const SLOW: Duration = Duration::from_secs(2);

/// Characters of a statement that are logged.
const LOGGED_MAX: usize = 400;

/// A statement as it is sent to the database.
#[derive(Clone, Debug)]
pub struct WatchedStatement {
    pub sql: String,
    pub values: Vec<WatchedValue>,
    /// Sent for a query from outside.
    pub is_of_query: bool,
}

/// A value that is bound to a statement; `None` is NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchedValue {
    Bool(Option<bool>),
    Int(Option<i32>),
    BigInt(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
    /// Of a type that no statement uses.
    Other(String),
}

impl WatchedStatement {
    fn of(statement: &Statement, is_of_query: bool) -> Self {
        let values = statement.values.iter().flat_map(|values| &values.0);
        Self { sql: statement.sql.clone(), values: values.map(WatchedValue::of).collect(), is_of_query }
    }
}

impl WatchedValue {
    fn of(value: &Value) -> Self {
        let other = || Self::Other(format!("{value:?}"));
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::BigInt(value) => Self::BigInt(*value),
            Value::BigUnsigned(value) => value.map(i64::try_from).transpose().map_or_else(|_| other(), Self::BigInt),
            Value::String(value) => Self::Text(value.clone()),
            Value::Bytes(value) => Self::Bytes(value.clone()),
            Value::Uuid(value) => Self::Uuid(*value),
            _ => other(),
        }
    }
}

type Watcher = Box<dyn Fn(WatchedStatement) + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Statements(Arc<OnceLock<Watcher>>);

impl Statements {
    /// Receives the statements of a connection from now on.
    pub fn of(&self, mut connection: DatabaseConnection, is_for_queries: bool) -> DatabaseConnection {
        let statements = self.clone();
        connection.set_metric_callback(move |info| {
            if info.elapsed >= SLOW {
                // The text alone: its values may be links.
                let sql = first_chars(&info.statement.sql, LOGGED_MAX);
                tracing::warn!(seconds = info.elapsed.as_secs_f64(), sql, "a slow statement");
            }
            if let Some(watcher) = statements.0.get() {
                watcher(WatchedStatement::of(info.statement, is_for_queries));
            }
        });
        connection
    }

    /// Passes every statement to `watcher` from now on. The first watcher stays.
    pub fn watch(&self, watcher: impl Fn(WatchedStatement) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(watcher));
    }
}
