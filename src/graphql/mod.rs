//! graphql: the schema over `query`, its mutations over `jobs`.
//!
//! Speaks the types of the published contract and decides nothing: every bound but those of the document itself is
//! checked in `query`, and every error is turned into a code and a message in one place.
mod change;
mod coerce;
mod connection;
mod cost;
mod document;
mod documents;
mod error;
mod escapes;
mod flat;
mod input;
pub mod inputs;
mod loaders;
mod mutation;
mod normal;
mod notification;
mod product;
mod publication;
mod query;
mod replay;
mod retention;
mod revision;
mod rules;
mod scalar;
mod stats;
mod status;
mod subscription;
mod usages;

use async_graphql::SchemaBuilder;
use async_graphql::dataloader::DataLoader;

use crate::app::App;
use crate::query::Queries;
use loaders::Loaders;
use mutation::MutationRoot;
use query::QueryRoot;
use subscription::SubscriptionRoot;

pub use documents::{Answered, CheckedSchema, SocketRoom};
pub use error::code;
pub use flat::{FieldByField, TakesJson, to_json};

type Schema = async_graphql::Schema<QueryRoot, MutationRoot, SubscriptionRoot>;

/// Who asks: what the mutations need to know.
#[derive(Clone, Debug)]
pub struct Asker {
    pub may_operate: bool,
    pub may_administer: bool,
    /// Of the key: what a hold is signed with.
    pub name: String,
}

/// Deeper documents are mistakes or worse; introspection needs 13.
const DEPTH_MAX: usize = 15;

/// Values of an answer, as many as its pages may hold: a thousand rows of every field with their products are a tenth of
/// it, a thousand rows with a thousand members each are ten times as many.
const COMPLEXITY_MAX: usize = 300_000;

fn builder() -> SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot> {
    Schema::build(QueryRoot, MutationRoot, SubscriptionRoot)
        .limit_depth(DEPTH_MAX)
        .limit_complexity(COMPLEXITY_MAX)
        .limit_directives(20)
}

/// The schema over an archive.
pub fn schema(app: &App, queries: &Queries) -> CheckedSchema {
    let loaders = DataLoader::new(Loaders(queries.clone()), tokio::spawn);
    let schema =
        builder().data(app.clone()).data(queries.clone()).data(loaders).data(retention::Plans::default()).finish();
    CheckedSchema::new(schema, queries.clone())
}

/// The schema's text, sorted so that it changes only when the schema does.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}
