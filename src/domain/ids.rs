use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Creates an id. UUIDv7, so that ids grow with time and break ties by arrival.
            #[allow(clippy::new_without_default, reason = "two calls give two values")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

id! {
    /// Of one POST from the portal.
    NotificationId,
    /// Of a series that ONS publishes.
    ProductId,
    /// Of one product for one reference period.
    PublicationId,
    /// Of one content of a publication.
    RevisionId,
}

impl NotificationId {
    /// The lowest id created at an instant, in milliseconds since 1970. No id is older.
    pub fn first_of(ms: i64) -> Self {
        Self(Uuid::from_u128(u128::from(ms.max(0).unsigned_abs()) << 80))
    }

    /// When the id was created, in milliseconds since 1970.
    pub fn millis(self) -> i64 {
        (self.0.as_u128() >> 80) as i64
    }
}
