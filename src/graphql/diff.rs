//! What changed between two revisions.
use async_graphql::{Object, SimpleObject};
use jiff::Timestamp;

use super::revision::Revision;
use crate::contract::{Count, Long, mirror};
use crate::query::{self, Queries, QueryError};

mirror! {
    /// What happened to a member of a zip.
    MemberChangeKind => query::MemberChangeKind {
        /// Only the second zip has it.
        Added,
        /// Only the first zip has it.
        Removed,
        /// Both have it, with other contents.
        Changed,
    }
}

/// Two revisions to compare.
#[derive(SimpleObject)]
pub struct RevisionPair {
    pub from: Revision,
    pub to: Revision,
    /// Other products that the words find.
    pub other_products: Vec<String>,
}

impl RevisionPair {
    pub async fn find(
        queries: &Queries,
        from: Option<uuid::Uuid>,
        to: Option<uuid::Uuid>,
        search: Option<&str>,
        as_of: Option<Timestamp>,
    ) -> Result<Self, QueryError> {
        let chosen = queries.chosen_revisions(from, to, search, as_of).await?;
        let (from, to) = (queries.revision(chosen.from).await?, queries.revision(chosen.to).await?);
        Ok(Self { from: Revision(from), to: Revision(to), other_products: chosen.other_products })
    }
}

/// What changed from one revision's file to another's.
pub struct RevisionDiff(pub query::RevisionDiff);

/// What changed from one revision's file to another's.
#[Object]
impl RevisionDiff {
    async fn from(&self) -> Revision {
        Revision(self.0.from.clone())
    }
    async fn to(&self) -> Revision {
        Revision(self.0.to.clone())
    }
    /// Whether the files are the same byte for byte.
    async fn is_same(&self) -> bool {
        self.0.is_same
    }
    /// Number of members that only the second zip has.
    async fn added(&self) -> Count {
        Count(self.0.added)
    }
    /// Number of members that only the first zip has.
    async fn removed(&self) -> Count {
        Count(self.0.removed)
    }
    /// Number of members whose contents differ. Timestamps and compression do not count.
    async fn changed(&self) -> Count {
        Count(self.0.changed)
    }
    /// The members that differ, by path. A member of a nested zip is outer.zip/inner.dat, and the nested zip itself is not listed as
    /// changed. Empty where one of the files is not a zip.
    async fn members(&self) -> Vec<MemberChange> {
        self.0.members.iter().map(MemberChange::of).collect()
    }
    /// Of the members removed and added, those that are clearly the same under another name, such as DADGER.RV0 and DADGER.RV1, with
    /// what changed in them.
    async fn renamed(&self) -> Vec<MemberChange> {
        self.0.renamed.iter().map(MemberChange::of).collect()
    }
    /// Lines that only the second file has, where both are text and not zips.
    async fn lines_added(&self) -> Option<Count> {
        self.0.content.lines_added.map(Count)
    }
    /// Lines that only the first file has.
    async fn lines_removed(&self) -> Option<Count> {
        self.0.content.lines_removed.map(Count)
    }
    /// Number of cells whose values differ, where both are workbooks (.xlsx, .xlsm, .xls).
    async fn cells_changed(&self) -> Option<Count> {
        self.0.content.cells_changed.map(Count)
    }
    /// The first of these cells, at most 1,000.
    async fn cells(&self) -> Vec<CellChange> {
        self.0.content.cells.iter().map(CellChange::of).collect()
    }
    /// What the numbers do not show, or why there are none.
    async fn note(&self) -> Option<String> {
        self.0.content.note()
    }
    /// What was not compared, and why.
    async fn notes(&self) -> Vec<String> {
        self.0.notes.iter().map(ToString::to_string).collect()
    }
}

/// A member that is not the same in both zips.
#[derive(SimpleObject)]
pub struct MemberChange {
    path: String,
    /// Its path in the first zip, where it was renamed.
    path_before: Option<String>,
    kind: MemberChangeKind,
    size_before: Option<Long>,
    size_after: Option<Long>,
    /// Lines that only the second zip's member has. Null where it is not text, or too large to be compared by line.
    lines_added: Option<Count>,
    /// Lines that only the first zip's member has.
    lines_removed: Option<Count>,
    /// Number of cells whose values differ, where both are workbooks (.xlsx, .xlsm, .xls).
    cells_changed: Option<Count>,
    /// The first of these cells, at most 1,000.
    cells: Vec<CellChange>,
    /// What the numbers do not show, or why there are none.
    note: Option<String>,
}

impl MemberChange {
    fn of(change: &query::MemberChange) -> Self {
        Self {
            path: change.path.clone(),
            path_before: change.path_before.clone(),
            kind: change.kind.into(),
            size_before: change.size_before.map(Into::into),
            size_after: change.size_after.map(Into::into),
            lines_added: change.content.lines_added.map(Count),
            lines_removed: change.content.lines_removed.map(Count),
            cells_changed: change.content.cells_changed.map(Count),
            cells: change.content.cells.iter().map(CellChange::of).collect(),
            note: change.content.note(),
        }
    }
}

/// A cell of a workbook whose value is not the same. Formulas and formats do not count.
#[derive(SimpleObject)]
pub struct CellChange {
    sheet: String,
    /// Such as B12.
    cell: String,
    /// Null where the cell is empty.
    before: Option<String>,
    after: Option<String>,
}

impl CellChange {
    fn of(change: &query::CellChange) -> Self {
        let query::CellChange { sheet, cell, before, after } = change.clone();
        Self { sheet, cell, before, after }
    }
}
