use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta] $name:ident),* $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one; UUIDv7, so ids grow with time and break ties by arrival.
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
    /// Of one POST of the portal.
    NotificationId,
    /// Of a series that ONS publishes.
    ProductId,
    /// Of one product for one reference period.
    PublicationId,
    /// Of one content of a publication.
    RevisionId,
}

impl NotificationId {
    /// The first of those that are made at an instant, in milliseconds since 1970.
    pub fn first_of(ms: i64) -> Self {
        Self(Uuid::from_u128(u128::from(u64::try_from(ms).unwrap_or_default()) << 80))
    }

    /// When it was made, in milliseconds since 1970.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_u128() >> 80).unwrap_or_default()
    }
}
