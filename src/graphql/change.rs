//! The feed of changes.
use async_graphql::{Context, Object, Result, SimpleObject};

use super::connection::PageInfo;
use super::loaders::{load, must_load};
use super::publication::Publication;
use super::revision::Revision;
use crate::contract::{DateTime, mirror};
use crate::domain;
use crate::query::{ChangeRow, ChangesPage};

mirror! {
    /// What happened to a publication.
    ChangeKind => domain::ChangeKind {
        /// A notification announced a new publication, or one that was LOST.
        Announced,
        /// A revision was archived.
        Archived,
        /// A revision is no longer the latest.
        Superseded,
        /// The last link expired before any file was archived.
        Lost,
        /// Retention removed a revision.
        Purged,
        /// The product has a new name.
        Renamed,
        /// A revision was protected from retention.
        Held,
        /// A revision is no longer protected from retention.
        Released,
    }
}

/// A committed change in the archive.
#[derive(Clone)]
pub struct Change(ChangeRow);

/// A committed change in the archive.
#[Object]
impl Change {
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }
    async fn kind(&self) -> ChangeKind {
        self.0.kind.into()
    }
    /// The publication in its current state.
    async fn publication(&self, ctx: &Context<'_>) -> Result<Publication> {
        must_load(ctx, self.0.publication_id).await.map(Publication::from)
    }
    /// The revision that the change is about, if any.
    async fn revision(&self, ctx: &Context<'_>) -> Result<Option<Revision>> {
        match self.0.revision_id {
            Some(id) => Ok(load(ctx, id).await?.map(Revision)),
            None => Ok(None),
        }
    }
}

/// A page of the change feed. Cursors never expire.
#[derive(SimpleObject)]
pub struct ChangeConnection {
    nodes: Vec<Change>,
    edges: Vec<ChangeEdge>,
    page_info: PageInfo,
}

/// A change and its cursor.
#[derive(SimpleObject)]
pub struct ChangeEdge {
    cursor: String,
    node: Change,
}

impl ChangeConnection {
    /// A reader stores the end of each page, also of an empty one, and continues there.
    pub fn new(page: ChangesPage) -> Self {
        let page_info = PageInfo::of(&page.list).ending_at_least_at(page.end);
        let edges: Vec<ChangeEdge> =
            page.list.rows.into_iter().map(|(cursor, row)| ChangeEdge { cursor, node: Change(row) }).collect();
        Self { nodes: edges.iter().map(|edge| edge.node.clone()).collect(), edges, page_info }
    }
}
