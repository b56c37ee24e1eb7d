//! Members across files.
use async_graphql::{Context, ID, Object, Result, SimpleObject};

use super::connection::PageInfo;
use super::loaders::must_load;
use super::publication::Publication;
use super::revision::Revision;
use super::rows::{Rows, table_rows};
use crate::contract::{DateTime, LocalDateTime, Long};
use crate::query::{self, ListPage, Queries, RevisionRow};

/// A file inside a zip, with the file that has it.
#[derive(Clone)]
pub struct FileMember(query::FileMember);

table_rows!(FileMember => query::FileMember);

/// A file inside a zip, with the revision that has it.
#[Object]
impl FileMember {
    async fn revision_id(&self) -> ID {
        self.0.revision.id.0.into()
    }
    async fn publication_id(&self) -> ID {
        self.0.publication.id.0.into()
    }
    /// The product's current name.
    async fn name(&self) -> &str {
        &self.0.publication.name
    }
    async fn process(&self) -> &str {
        &self.0.publication.process
    }
    async fn reference_date(&self) -> &str {
        &self.0.publication.reference_date
    }
    async fn period_start(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.start)
    }
    async fn period_end(&self) -> LocalDateTime {
        LocalDateTime(self.0.publication.period.end)
    }
    async fn revision_number(&self) -> i32 {
        self.0.revision.number
    }
    /// When the zip was archived.
    async fn archived_at(&self) -> DateTime {
        DateTime(self.0.revision.archived_at)
    }
    /// The name of the zip as published.
    async fn file_name(&self) -> &str {
        &self.0.revision.file_name
    }
    /// SHA-256 of the zip, in lower-case hex.
    async fn sha256(&self) -> String {
        self.0.revision.file.digest.to_string()
    }
    /// Path inside the zip; for a file in a nested zip, outer.zip/inner.dat.
    async fn path(&self) -> &str {
        &self.0.member.path
    }
    /// Bytes of the member, as unpacked.
    async fn size(&self) -> Long {
        self.0.member.size.into()
    }
    async fn compressed_size(&self) -> Option<Long> {
        self.0.member.compressed_size.map(Into::into)
    }
    /// Modification time recorded in the zip, by the packer's clock.
    async fn modified_at(&self) -> Option<LocalDateTime> {
        self.0.member.modified_at.map(LocalDateTime)
    }
    /// Where to download the member. Null once retention removed the zip.
    async fn url(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let (queries, revision) = (ctx.data::<Queries>()?, &self.0.revision);
        Ok(revision.purged_at.is_none().then(|| queries.member_url(revision.id, &self.0.member.path)))
    }
    async fn publication(&self, ctx: &Context<'_>) -> Result<Publication> {
        must_load(ctx, self.0.publication.id).await.map(Publication::from)
    }
    async fn revision(&self) -> Revision {
        let query::FileMember { publication, revision, .. } = self.0.clone();
        Revision(RevisionRow { revision, publication, content_search: None })
    }
}

/// A page of members across files. How many there are in all is not counted.
pub struct FileMemberConnection {
    rows: Vec<FileMember>,
    cursors: Vec<String>,
    page_info: PageInfo,
}

/// A page of members across files. How many there are in all is not counted.
#[Object]
impl FileMemberConnection {
    async fn nodes(&self) -> Rows<'_, FileMember> {
        Rows { rows: self.rows.as_slice().into(), text: None }
    }
    async fn edges(&self) -> Vec<FileMemberEdge> {
        let edge =
            |(cursor, node): (&String, &FileMember)| FileMemberEdge { cursor: cursor.clone(), node: node.clone() };
        self.cursors.iter().zip(&self.rows).map(edge).collect()
    }
    async fn page_info(&self) -> &PageInfo {
        &self.page_info
    }
}

/// A member and its cursor.
#[derive(SimpleObject)]
pub struct FileMemberEdge {
    cursor: String,
    node: FileMember,
}

impl FileMemberConnection {
    pub fn new(listed: ListPage<query::FileMember>) -> Self {
        let page_info = PageInfo::of(&listed);
        let (cursors, rows) = listed.rows.into_iter().map(|(cursor, row)| (cursor, FileMember(row))).unzip();
        Self { rows, cursors, page_info }
    }
}
