//! The feed of changes.
use async_graphql::{Context, Object, Result, SimpleObject};

use super::connection::PageInfo;
use super::input::mirror;
use super::loaders::{load, must_load};
use super::publication::Publication;
use super::revision::Revision;
use super::scalar::DateTime;
use crate::domain;
use crate::query::{ChangeRow, Listed};

mirror! {
    /// What happened.
    ChangeKind => domain::ChangeKind { Announced, Archived, Superseded, Lost, Purged, Renamed, Held, Released }
}

/// One change of the archive.
#[derive(Clone)]
pub struct Change(ChangeRow);

/// One change of the archive.
#[Object]
impl Change {
    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }
    async fn kind(&self) -> ChangeKind {
        self.0.kind.into()
    }
    /// As it is now.
    async fn publication(&self, ctx: &Context<'_>) -> Result<Publication> {
        must_load(ctx, self.0.publication_id).await.map(Publication::from)
    }
    /// That it is about, where it is about one.
    async fn revision(&self, ctx: &Context<'_>) -> Result<Option<Revision>> {
        match self.0.revision_id {
            Some(id) => Ok(load(ctx, id).await?.map(Revision)),
            None => Ok(None),
        }
    }
}

/// A page of the feed; its cursors are good for ever.
#[derive(SimpleObject)]
pub struct ChangeConnection {
    nodes: Vec<Change>,
    edges: Vec<ChangeEdge>,
    page_info: PageInfo,
}

/// A change and its place.
#[derive(SimpleObject)]
pub struct ChangeEdge {
    cursor: String,
    node: Change,
}

impl ChangeConnection {
    /// A page that was read from `start` on. A reader stores the end of each page: of an empty one it is where the page began,
    /// so that the reader goes on from there.
    pub fn new(listed: Listed<ChangeRow>, start: String) -> Self {
        let page_info = PageInfo::of(&listed).ending_at_least_at(start);
        let edges: Vec<ChangeEdge> =
            listed.rows.into_iter().map(|(cursor, row)| ChangeEdge { cursor, node: Change(row) }).collect();
        Self { nodes: edges.iter().map(|edge| edge.node.clone()).collect(), edges, page_info }
    }
}
