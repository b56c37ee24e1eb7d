//! The views for programs that read only SQL: `bi_products`, `bi_publications`, `bi_revisions`, `bi_members`,
//! `bi_notifications` and `bi_version`. They have the columns of the API in snake case, alike on SQLite and PostgreSQL, and contain no link.
//!
//! They are defined in `definitions` and not by migrations: when the database is opened, each view whose definition has changed is
//! replaced, and each that is missing is created. What only a migration can do is said in CONTRIBUTING.md.
mod definitions;

use std::collections::HashSet;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, Set, Statement};

use super::entity::state;
use super::{RecordError, batch};
use crate::domain::Digest;
use definitions::View;

/// Replaces the views whose definition has changed and creates those that are missing.
pub(super) async fn update(txn: &DatabaseTransaction) -> Result<(), RecordError> {
    let backend = txn.get_database_backend();
    let existing = existing(txn).await?;
    for view in definitions::all(backend) {
        let digest = Digest::of(view.query().as_bytes()).to_string();
        let recorded = state::Entity::find_by_id(key(&view)).one(txn).await?;
        if existing.contains(view.name) && recorded.is_some_and(|row| row.value == digest) {
            continue;
        }
        replace(txn, &view).await?;
        let row = state::ActiveModel { key: Set(key(&view)), value: Set(digest) };
        let update = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
        batch::insert(txn, vec![row], Some(update)).await?;
    }
    Ok(())
}

/// Where the digest of a view's definition is stored.
fn key(view: &View) -> String {
    format!("view:{}", view.name)
}

async fn existing(txn: &DatabaseTransaction) -> Result<HashSet<String>, DbErr> {
    let backend = txn.get_database_backend();
    let list = match backend {
        DbBackend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'view'",
        _ => "SELECT CAST(viewname AS text) FROM pg_views WHERE schemaname = current_schema()",
    };
    let rows = txn.query_all_raw(Statement::from_string(backend, list)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// On PostgreSQL the grants on a view and the views over it stay. It refuses a definition that does not begin with the columns
/// that the view has.
async fn replace(txn: &DatabaseTransaction, view: &View) -> Result<(), DbErr> {
    let (name, query) = (view.name, view.query());
    match txn.get_database_backend() {
        DbBackend::Sqlite => {
            txn.execute_unprepared(&format!("DROP VIEW IF EXISTS {name}")).await?;
            txn.execute_unprepared(&format!("CREATE VIEW {name} AS {query}")).await?;
        }
        _ => {
            txn.execute_unprepared(&format!("CREATE OR REPLACE VIEW {name} AS {query}")).await?;
        }
    }
    Ok(())
}
