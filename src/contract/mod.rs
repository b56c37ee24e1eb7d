//! contract: the scalars, enums and inputs of the published contract, and how their values are read.
//!
//! GraphQL takes them in documents and variables, the exports as JSON; both become the values of `query`'s requests. The
//! types are async-graphql's, since the contract is a GraphQL schema; nothing here knows an operation or a request.
mod coerce;
mod filters;
mod json;
mod scalar;

pub(crate) use coerce::{Source, Types};
pub(crate) use filters::mirror;
pub use filters::{
    Granularity, NotificationFilter, NotificationStatus, ProductFilter, ProductOrder, PublicationFilter,
    PublicationOrder, PublicationStatus, RevisionOrder, member_pattern, uuid,
};
pub use json::{
    notification_filter, publication_filter, publication_order, publication_orders, revision_order, revision_orders,
};
pub use scalar::{Count, DateTime, LocalDate, LocalDateTime, Long, too_large};
