//! The queries.
mod archive;
mod service;

use async_graphql::{Context, MergedObject};

use archive::ArchiveQuery;
use service::ServiceQuery;

/// Everything that can be read.
#[derive(Default, MergedObject)]
#[graphql(name = "Query")]
pub struct QueryRoot(ArchiveQuery, ServiceQuery);

/// Whether a field of a list's rows is selected.
pub(super) fn wants(ctx: &Context<'_>, name: &str) -> bool {
    let list = ctx.look_ahead();
    list.field("nodes").field(name).exists() || list.field("edges").field("node").field(name).exists()
}
