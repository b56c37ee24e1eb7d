//! The definition of each view. A new column comes at the end: PostgreSQL adds columns there without touching the grants.
use sea_orm::DbBackend;

use crate::engine::record::pack::{Column, PackedRow, digest_in_view, id_in_view, instant_in_view, wall_clock_in_view};
use crate::engine::record::{Publication, Revision};

/// The version in `bi_version`: increased when a column changes its meaning, but not for new columns.
const VERSION: u32 = 1;

/// A view: its columns in their order, and the tables that they are read from.
pub(super) struct View {
    pub name: &'static str,
    columns: Vec<(&'static str, String)>,
    tables: &'static str,
    backend: DbBackend,
}

impl View {
    fn new(name: &'static str, tables: &'static str, backend: DbBackend) -> Self {
        Self { name, columns: Vec::new(), tables, backend }
    }

    /// A column whose value is that of `source`, which may be an expression.
    fn plain(self, name: &'static str, source: &str) -> Self {
        self.add(name, source.to_owned())
    }

    fn id(self, name: &'static str, source: &str) -> Self {
        let sql = id_in_view(source, self.backend);
        self.add(name, sql)
    }

    fn instant(self, name: &'static str, source: &str) -> Self {
        let sql = instant_in_view(source, self.backend);
        self.add(name, sql)
    }

    fn wall(self, name: &'static str, source: &str) -> Self {
        let sql = wall_clock_in_view(source, self.backend);
        self.add(name, sql)
    }

    fn digest(self, name: &'static str, source: &str) -> Self {
        let sql = digest_in_view(source, self.backend);
        self.add(name, sql)
    }

    /// Columns of a row's list, each as its type is in views.
    fn listed(mut self, columns: impl Iterator<Item = &'static Column>) -> Self {
        for column in columns {
            let sql = (column.in_view)(column.source, self.backend);
            self = self.add(name_of(column), sql);
        }
        self
    }

    /// Adds a column unless there is one of that name: the list of a row also has those that come first.
    fn add(mut self, name: &'static str, sql: String) -> Self {
        if !self.columns.iter().any(|(known, _)| *known == name) {
            self.columns.push((name, sql));
        }
        self
    }

    pub fn query(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(name, sql)| format!("{sql} AS {name}")).collect();
        let tables = if self.tables.is_empty() { String::new() } else { format!(" FROM {}", self.tables) };
        format!("SELECT {}{tables}", columns.join(", "))
    }
}

/// Columns of the lists that have another name in the views, that of the API.
const NAMES: &[(&str, &str)] =
    &[("extension", "file_extension"), ("purge_rule", "purge_reason"), ("latest_revision", "revision_id")];

fn name_of(column: &Column) -> &'static str {
    NAMES.iter().find(|(listed, _)| *listed == column.name).map_or(column.name, |(_, name)| name)
}

fn named<Row: PackedRow>(names: &'static [&'static str]) -> impl Iterator<Item = &'static Column> {
    Row::COLUMNS.iter().filter(|column| names.contains(&column.name))
}

fn without<Row: PackedRow>(names: &'static [&'static str]) -> impl Iterator<Item = &'static Column> {
    Row::COLUMNS.iter().filter(|column| !names.contains(&column.name))
}

pub(super) fn all(backend: DbBackend) -> [View; 6] {
    [
        products(backend),
        publications(backend),
        revisions(backend),
        members(backend),
        notifications(backend),
        version(backend),
    ]
}

fn products(backend: DbBackend) -> View {
    View::new("bi_products", "products p", backend)
        .id("id", "p.id")
        .plain("name", "p.name")
        .plain("process", "p.process")
        .plain("macro_process", "p.macro_process")
        .plain("list_path", "p.list_path")
        .plain("publication_count", "p.publication_count")
        .plain("revision_count", "p.revision_count")
        .plain("size", "p.size")
        .plain("stored_size", "p.stored_size")
        .wall("first_period_start", "p.first_period_start")
        .wall("last_period_end", "p.last_period_end")
}

/// The columns of the first version in their order, then every other column of the list in `rows`.
fn publications(backend: DbBackend) -> View {
    let tables = "publications p JOIN products o ON o.id = p.product_id \
                  LEFT JOIN revisions r ON r.id = p.latest_revision_id LEFT JOIN files f ON f.digest = r.digest";
    let status = "CASE WHEN r.id IS NULL THEN p.status WHEN r.purged_at IS NOT NULL THEN 'PURGED' ELSE 'ARCHIVED' END";
    let url = format!("CASE WHEN r.id IS NOT NULL AND r.purged_at IS NULL THEN {} END", file_url(backend));
    View::new("bi_publications", tables, backend)
        .listed(named::<Publication>(&["id", "product_id", "name", "process", "macro_process", "reference_date"]))
        .wall("period_start", "p.period_start")
        .wall("period_end", "p.period_end")
        .plain("granularity", "p.granularity")
        .plain("status", status)
        .id("revision_id", "r.id")
        .plain("revision_number", "r.number")
        .plain("revision_count", "p.revision_count")
        .plain("file_name", "r.file_name")
        .plain("file_extension", "r.extension")
        .plain("content_type", "r.content_type")
        .plain("size", "f.size")
        .plain("stored_size", "f.stored_size")
        .digest("sha256", "r.digest")
        .plain("file_url", &url)
        .instant("received_at", "COALESCE(r.received_at, p.received_at)")
        .instant("archived_at", "r.archived_at")
        .listed(without::<Publication>(&["period"]))
}

/// The columns of the first version in their order, then every other column of the list in `revision`.
fn revisions(backend: DbBackend) -> View {
    let tables = "revisions r JOIN publications p ON p.id = r.publication_id \
                  JOIN products o ON o.id = p.product_id JOIN files f ON f.digest = r.digest";
    let url = format!("CASE WHEN r.purged_at IS NULL THEN {} END", file_url(backend));
    View::new("bi_revisions", tables, backend)
        .listed(named::<Revision>(&["id", "publication_id", "number"]))
        .plain("name", "o.name")
        .plain("process", "p.process")
        .plain("reference_date", "p.reference_date")
        .wall("period_start", "p.period_start")
        .wall("period_end", "p.period_end")
        .listed(named::<Revision>(&["file_name", "extension", "content_type"]))
        .plain("size", "f.size")
        .plain("stored_size", "f.stored_size")
        .digest("sha256", "r.digest")
        .plain("file_url", &url)
        .listed(without::<Revision>(&["file"]))
}

/// The members of every revision's zip, superseded and removed revisions included.
fn members(backend: DbBackend) -> View {
    let tables = "members m JOIN revisions r ON r.digest = m.digest JOIN publications p ON p.id = r.publication_id \
                  JOIN products o ON o.id = p.product_id";
    View::new("bi_members", tables, backend)
        .id("revision_id", "r.id")
        .id("publication_id", "p.id")
        .plain("name", "o.name")
        .plain("process", "p.process")
        .plain("reference_date", "p.reference_date")
        .wall("period_start", "p.period_start")
        .wall("period_end", "p.period_end")
        .plain("revision_number", "r.number")
        .instant("archived_at", "r.archived_at")
        .instant("superseded_at", "r.superseded_at")
        .instant("purged_at", "r.purged_at")
        .plain("file_name", "r.file_name")
        .digest("sha256", "m.digest")
        .plain("path", "m.path")
        .plain("size", "m.size")
        .plain("compressed_size", "m.compressed_size")
        .wall("modified_at", "m.modified_at")
}

fn notifications(backend: DbBackend) -> View {
    View::new("bi_notifications", "notifications n", backend)
        .id("id", "n.id")
        .instant("received_at", "n.received_at")
        .plain("source", "n.source")
        .plain("status", "n.status")
        .plain("attempts", "n.attempts")
        .instant("next_attempt_at", "n.next_attempt_at")
        .instant("link_expires_at", "n.link_expires_at")
        .plain("error", "n.error")
        .plain("name", "n.name")
        .plain("process", "n.process")
        .plain("macro_process", "n.macro_process")
        .plain("reference_date", "n.reference_date")
        .wall("period_start", "n.period_start")
        .wall("period_end", "n.period_end")
        .id("product_id", "n.product_id")
        .id("publication_id", "n.publication_id")
        .id("revision_id", "n.revision_id")
        .plain("warnings", "COALESCE(n.warnings, '[]')")
}

fn version(backend: DbBackend) -> View {
    View::new("bi_version", "", backend).plain("version", &VERSION.to_string())
}

/// The path of a revision's file.
fn file_url(backend: DbBackend) -> String {
    format!("'/files/' || {}", id_in_view("r.id", backend))
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::all;

    /// The columns of existing archives. PostgreSQL replaces a view only by one that begins with the same columns, so a new one
    /// comes at the end, here and in the list that it is in.
    const COLUMNS: &[(&str, &str)] = &[
        (
            "bi_products",
            "id name process macro_process list_path publication_count revision_count size stored_size \
             first_period_start last_period_end",
        ),
        (
            "bi_publications",
            "id product_id name process macro_process reference_date period_start period_end granularity status revision_id \
             revision_number revision_count file_name file_extension content_type size stored_size sha256 file_url \
             received_at archived_at",
        ),
        (
            "bi_revisions",
            "id publication_id number name process reference_date period_start period_end file_name file_extension \
             content_type size stored_size sha256 file_url announced_at received_at archived_at superseded_at purged_at \
             held hold_reason held_by held_at purge_reason warnings",
        ),
        (
            "bi_members",
            "revision_id publication_id name process reference_date period_start period_end revision_number archived_at \
             superseded_at purged_at file_name sha256 path size compressed_size modified_at",
        ),
        (
            "bi_notifications",
            "id received_at source status attempts next_attempt_at link_expires_at error name process macro_process \
             reference_date period_start period_end product_id publication_id revision_id warnings",
        ),
        ("bi_version", "version"),
    ];

    #[test]
    fn views_keep_their_columns_and_the_order_of_these() {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres] {
            let views = all(backend);
            let found: Vec<(&str, String)> = views
                .iter()
                .map(|view| {
                    let names: Vec<&str> = view.columns.iter().map(|(name, _)| *name).collect();
                    (view.name, names.join(" "))
                })
                .collect();
            let expected: Vec<(&str, String)> = COLUMNS.iter().map(|(name, all)| (*name, (*all).to_owned())).collect();
            assert_eq!(found, expected, "{backend:?}");
        }
    }
}
