//! The view of revisions for other programs. Its columns follow from the list in `revision`, so it is defined here and not by a
//! migration: whenever the definition has changed, opening the database replaces the view.
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, Set};

use super::entity::state;
use super::pack::{PackedRow, show_digest, show_id, show_wall};
use super::{RecordError, Revision, batch};
use crate::domain::Digest;

/// Where the digest of the present definition is stored.
const KEY: &str = "view:bi_revisions";

/// Columns of the list that have another name in the view, that of the API.
const NAMES: &[(&str, &str)] = &[("extension", "file_extension"), ("purge_rule", "purge_reason")];

/// Replaces the view if its definition has changed. On PostgreSQL the grants on it stay, as long as columns are only added, at
/// the end.
pub(super) async fn update(txn: &DatabaseTransaction) -> Result<(), RecordError> {
    let backend = txn.get_database_backend();
    let query = query(backend);
    let mark = Digest::of(query.as_bytes()).to_string();
    let present = state::Entity::find_by_id(KEY).one(txn).await?;
    if present.is_some_and(|row| row.value == mark) {
        return Ok(());
    }
    match backend {
        DbBackend::Sqlite => {
            txn.execute_unprepared("DROP VIEW IF EXISTS bi_revisions").await?;
            txn.execute_unprepared(&format!("CREATE VIEW bi_revisions AS {query}")).await?;
        }
        _ => {
            txn.execute_unprepared(&format!("CREATE OR REPLACE VIEW bi_revisions AS {query}")).await?;
        }
    }
    let row = state::ActiveModel { key: Set(KEY.to_owned()), value: Set(mark) };
    let replace = OnConflict::column(state::Column::Key).update_column(state::Column::Value).to_owned();
    Ok(batch::insert(txn, vec![row], Some(replace)).await?)
}

/// The columns of the view's first version in their order, then every other column that a revision shows.
fn query(backend: DbBackend) -> String {
    let mut columns: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, sql: String| {
        if !columns.iter().any(|(known, _)| known == name) {
            columns.push((name.to_owned(), sql));
        }
    };
    let named =
        |names: &'static [&'static str]| Revision::COLUMNS.iter().filter(move |column| names.contains(&column.name));
    for column in named(&["id", "publication_id", "number"]) {
        add(column.name, (column.show)(column.source, backend));
    }
    for (name, source) in [("name", "o.name"), ("process", "p.process"), ("reference_date", "p.reference_date")] {
        add(name, source.to_owned());
    }
    for name in ["period_start", "period_end"] {
        add(name, show_wall(&format!("p.{name}"), backend));
    }
    for column in named(&["file_name", "extension", "content_type"]) {
        add(shown_name(column.name), (column.show)(column.source, backend));
    }
    add("size", "f.size".to_owned());
    add("stored_size", "f.stored_size".to_owned());
    add("sha256", show_digest("r.digest", backend));
    let id = show_id("r.id", backend);
    add("file_url", format!("CASE WHEN r.purged_at IS NULL THEN '/files/' || {id} END"));
    for column in Revision::COLUMNS.iter().filter(|column| column.name != "file") {
        add(shown_name(column.name), (column.show)(column.source, backend));
    }
    let columns: Vec<String> = columns.iter().map(|(name, sql)| format!("{sql} AS {name}")).collect();
    format!(
        "SELECT {} FROM revisions r JOIN publications p ON p.id = r.publication_id \
         JOIN products o ON o.id = p.product_id JOIN files f ON f.digest = r.digest",
        columns.join(", ")
    )
}

fn shown_name(name: &'static str) -> &'static str {
    NAMES.iter().find(|(own, _)| *own == name).map_or(name, |(_, shown)| shown)
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::query;

    /// The columns of existing archives: PostgreSQL replaces a view only by one that begins with the same columns. A new column
    /// comes at the end, here and in the list of a revision's columns.
    const COLUMNS: &str = "id publication_id number name process reference_date period_start period_end file_name \
        file_extension content_type size stored_size sha256 file_url announced_at received_at archived_at superseded_at \
        purged_at held hold_reason held_by held_at purge_reason warnings";

    #[test]
    fn the_view_keeps_its_columns_and_their_order() {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            let query = query(backend);
            let list = query.split(" FROM revisions").next().expect("a list of columns");
            let names: Vec<&str> = list
                .split(" AS ")
                .skip(1)
                .map(|rest| rest.split([',', ' ']).next().expect("a name"))
                .filter(|name| *name != "text)" && *name != "timestamp)")
                .collect();
            assert_eq!(names, COLUMNS.split_whitespace().collect::<Vec<_>>(), "{backend:?}");
        }
    }
}
