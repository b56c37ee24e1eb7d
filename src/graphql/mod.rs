//! graphql: the schema over `query`, its mutations over `jobs`.
//!
//! Speaks the types of the published contract and decides nothing: every bound but those of the document itself is checked
//! in `query`, and one function turns every error into a code and a message.
mod caller;
mod change;
mod connection;
mod contents;
mod cost;
mod coverage;
mod diff;
mod error;
mod escapes;
mod execute;
mod hook;
mod limits;
mod loaders;
mod losses;
mod member;
mod mutation;
mod normal;
mod notification;
mod operation;
mod product;
mod publication;
mod query;
mod removal;
mod repeat;
mod replay;
mod retention;
mod revision;
mod rows;
mod rules;
mod shape;
mod stats;
mod status;
mod subscription;
mod usages;
mod variables;
mod verify;
mod wait;

use async_graphql::SchemaBuilder;
use async_graphql::dataloader::DataLoader;

use crate::app::App;
use crate::jobs::retention::SharedPlans;
use crate::query::Queries;
use loaders::Loaders;
use mutation::MutationRoot;
use query::QueryRoot;
use subscription::SubscriptionRoot;

pub use caller::Caller;
pub use error::is_request_error;
pub use execute::{CheckedSchema, Executed, SocketLimits};
pub use operation::{operation_type, request_of};
pub use repeat::Repeatable;
pub use rows::{FieldByField, TakesJson, to_json};

type Schema = async_graphql::Schema<QueryRoot, MutationRoot, SubscriptionRoot>;

fn builder() -> SchemaBuilder<QueryRoot, MutationRoot, SubscriptionRoot> {
    // Depth and cost are bounded in `cost`, by one table.
    Schema::build(QueryRoot::default(), MutationRoot, SubscriptionRoot).limit_directives(20)
}

/// The schema over an archive.
pub fn schema(app: &App, queries: &Queries) -> CheckedSchema {
    let loaders = DataLoader::new(Loaders(queries.clone()), tokio::spawn);
    let schema = builder().data(app.clone()).data(queries.clone()).data(loaders).data(SharedPlans::default()).finish();
    CheckedSchema::new(schema, queries.clone())
}

/// The schema's text, sorted so that it changes only when the schema does.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}
