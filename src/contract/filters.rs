//! The inputs of the contract, and the values of `query` that they become.
use async_graphql::{Enum, ID, InputObject};
use uuid::Uuid;

use super::scalar::{DateTime, LocalDate};
use crate::domain::{self, MemberPattern, NotificationId, ProductId, TextMatch, excerpt};
use crate::query::NotificationQuery;
use crate::query::{Filter, Order};

macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident => $of:path { $($(#[$about:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(async_graphql::Enum, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $variant),* }

        impl From<$of> for $name {
            fn from(of: $of) -> Self {
                match of { $(<$of>::$variant => Self::$variant),* }
            }
        }

        impl From<$name> for $of {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),* }
            }
        }
    };
}

pub(crate) use mirror;

mirror! {
    /// The length of a period.
    Granularity => domain::Granularity { Day, Week, Month, Other }
}
mirror! {
    /// The state of a publication.
    PublicationStatus => domain::PublicationStatus {
        /// Announced; its file is still to be fetched.
        Awaited,
        /// Its file is archived.
        Archived,
        /// It has no file, and every link has expired.
        Lost,
        /// Its file was removed by a retention policy.
        Purged,
    }
}
mirror! {
    /// The state of a notification.
    NotificationStatus => domain::NotificationStatus {
        /// Waits for its first fetch.
        Queued,
        /// Its file is being fetched.
        Fetching,
        /// A fetch failed; another one is planned.
        Retrying,
        /// Its file became a revision.
        Archived,
        /// Its file equals the latest revision.
        Unchanged,
        /// Its link expired before the file was fetched.
        Expired,
        /// Its file cannot be fetched: the link is not allowed, or the file is too large.
        Failed,
        /// Its body could not be used; `error` says why.
        Rejected,
    }
}

/// The order of publications.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum PublicationOrder {
    PeriodDesc,
    PeriodAsc,
    ArchivedDesc,
    ArchivedAsc,
    ReceivedDesc,
    NameAsc,
    SizeDesc,
    Relevance,
}

impl From<PublicationOrder> for Order {
    fn from(order: PublicationOrder) -> Self {
        match order {
            PublicationOrder::PeriodDesc => Self::Period { descending: true },
            PublicationOrder::PeriodAsc => Self::Period { descending: false },
            PublicationOrder::ArchivedDesc => Self::Archived { descending: true },
            PublicationOrder::ArchivedAsc => Self::Archived { descending: false },
            PublicationOrder::ReceivedDesc => Self::Received { descending: true },
            PublicationOrder::NameAsc => Self::Name,
            PublicationOrder::SizeDesc => Self::Size { descending: true },
            PublicationOrder::Relevance => Self::Relevance,
        }
    }
}

/// The order of revisions.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum RevisionOrder {
    ArchivedDesc,
    ArchivedAsc,
    PeriodDesc,
    PeriodAsc,
    SizeDesc,
    Relevance,
}

impl From<RevisionOrder> for Order {
    fn from(order: RevisionOrder) -> Self {
        match order {
            RevisionOrder::ArchivedDesc => Self::Archived { descending: true },
            RevisionOrder::ArchivedAsc => Self::Archived { descending: false },
            RevisionOrder::PeriodDesc => Self::Period { descending: true },
            RevisionOrder::PeriodAsc => Self::Period { descending: false },
            RevisionOrder::SizeDesc => Self::Size { descending: true },
            RevisionOrder::Relevance => Self::Relevance,
        }
    }
}

/// The order of products.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum ProductOrder {
    NameAsc,
    LastPeriodDesc,
    SizeDesc,
    Relevance,
}

impl From<ProductOrder> for Order {
    fn from(order: ProductOrder) -> Self {
        match order {
            ProductOrder::NameAsc => Self::Name,
            ProductOrder::LastPeriodDesc => Self::PeriodEnd { descending: true },
            ProductOrder::SizeDesc => Self::Size { descending: true },
            ProductOrder::Relevance => Self::Relevance,
        }
    }
}

/// A condition on a text. Case, accents and repeated white space are ignored. A condition on a product's name also
/// matches its aliases. All conditions given must hold.
#[derive(InputObject, Clone)]
pub struct TextFilter {
    eq: Option<String>,
    #[graphql(name = "in")]
    any_of: Option<Vec<String>>,
    contains: Option<String>,
    starts_with: Option<String>,
}

impl From<TextFilter> for TextMatch {
    fn from(filter: TextFilter) -> Self {
        Self { eq: filter.eq, any_of: filter.any_of, contains: filter.contains, starts_with: filter.starts_with }
    }
}

/// A range of days. Both ends are included, and either may be omitted.
#[derive(InputObject, Clone)]
pub struct LocalDateRange {
    from: Option<LocalDate>,
    to: Option<LocalDate>,
}

/// A range of instants: from <= x < to. Either end may be omitted.
#[derive(InputObject, Clone)]
pub struct DateTimeRange {
    from: Option<DateTime>,
    to: Option<DateTime>,
}

impl DateTimeRange {
    fn bounds(range: Option<Self>) -> (Option<jiff::Timestamp>, Option<jiff::Timestamp>) {
        range.map_or((None, None), |range| (range.from.map(|at| at.0), range.to.map(|at| at.0)))
    }
}

/// All conditions given must hold.
#[derive(InputObject, Clone)]
pub struct PublicationFilter {
    id: Option<Vec<ID>>,
    product_id: Option<Vec<ID>>,
    name: Option<TextFilter>,
    process: Option<TextFilter>,
    macro_process: Option<TextFilter>,
    file_name: Option<TextFilter>,
    /// The file is a zip with a member whose path contains this text; with `*` or `?`, whose path or name matches it as a
    /// whole. Case and accents are ignored.
    member: Option<String>,
    reference_date: Option<TextFilter>,
    /// The publication's period overlaps this range.
    period: Option<LocalDateRange>,
    received_at: Option<DateTimeRange>,
    archived_at: Option<DateTimeRange>,
    granularity: Option<Vec<Granularity>>,
    status: Option<Vec<PublicationStatus>>,
    /// File extensions, without the dot.
    extension: Option<Vec<String>>,
}

impl PublicationFilter {
    pub fn read(filter: Option<Self>) -> Result<Filter, String> {
        let Some(filter) = filter else { return Ok(Filter::default()) };
        let period = filter.period.map_or((None, None), |range| (range.from, range.to));
        Ok(Filter {
            ids: uuids("filter.id", filter.id)?,
            product_ids: uuids("filter.productId", filter.product_id)?,
            name: filter.name.map(Into::into),
            process: filter.process.map(Into::into),
            macro_process: filter.macro_process.map(Into::into),
            file_name: filter.file_name.map(Into::into),
            member: filter.member.map(|text| member_pattern("filter.member", &text)).transpose()?,
            reference_date: filter.reference_date.map(Into::into),
            list_path: None,
            period_from: period.0.map(|day| domain::LocalDateTime::start_of(day.0)),
            period_to: period.1.map(|day| domain::LocalDateTime::end_of(day.0)),
            received: DateTimeRange::bounds(filter.received_at),
            archived: DateTimeRange::bounds(filter.archived_at),
            granularity: filter.granularity.map(|all| all.into_iter().map(Into::into).collect()),
            status: filter.status.map(|all| all.into_iter().map(Into::into).collect()),
            extension: filter.extension,
        })
    }
}

/// All conditions given must hold.
#[derive(InputObject, Clone)]
pub struct ProductFilter {
    id: Option<Vec<ID>>,
    name: Option<TextFilter>,
    process: Option<TextFilter>,
    macro_process: Option<TextFilter>,
    list_path: Option<TextFilter>,
}

impl ProductFilter {
    pub fn read(filter: Option<Self>) -> Result<Filter, String> {
        let Some(filter) = filter else { return Ok(Filter::default()) };
        Ok(Filter {
            ids: uuids("filter.id", filter.id)?,
            name: filter.name.map(Into::into),
            process: filter.process.map(Into::into),
            macro_process: filter.macro_process.map(Into::into),
            list_path: filter.list_path.map(Into::into),
            ..Filter::default()
        })
    }
}

/// All conditions given must hold.
#[derive(InputObject, Clone)]
pub struct NotificationFilter {
    ids: Option<Vec<ID>>,
    status: Option<Vec<NotificationStatus>>,
    product_id: Option<Vec<ID>>,
    name: Option<TextFilter>,
    source: Option<Vec<String>>,
    received_at: Option<DateTimeRange>,
}

impl NotificationFilter {
    pub fn read(filter: Option<Self>) -> Result<NotificationQuery, String> {
        let Some(filter) = filter else { return Ok(NotificationQuery::default()) };
        let (received_from, received_to) = DateTimeRange::bounds(filter.received_at);
        Ok(NotificationQuery {
            ids: uuids("filter.ids", filter.ids)?.map(|ids| ids.into_iter().map(NotificationId).collect()),
            status: filter.status.map(|all| all.into_iter().map(Into::into).collect()),
            product_id: uuids("filter.productId", filter.product_id)?
                .map(|ids| ids.into_iter().map(ProductId).collect()),
            publication_id: None,
            not_lost: false,
            name: filter.name.map(Into::into),
            source: filter.source,
            received_from,
            received_to,
        })
    }
}

/// The pattern of a member's path that is given; `name` is the argument's.
pub fn member_pattern(name: &str, text: &str) -> Result<MemberPattern, String> {
    MemberPattern::parse(text).map_err(|e| format!("`{name}`: {e}"))
}

fn uuids(name: &str, ids: Option<Vec<ID>>) -> Result<Option<Vec<Uuid>>, String> {
    ids.map(|ids| ids.iter().map(|id| uuid(name, id)).collect()).transpose()
}

/// An id that is given; `name` is the argument's.
pub fn uuid(name: &str, id: &ID) -> Result<Uuid, String> {
    Uuid::try_parse(id).map_err(|_| format!("`{name}` is `{}`, which is not a valid id; expected a UUID", excerpt(id)))
}
