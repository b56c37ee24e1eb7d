//! The states of notifications and publications. Their names are those of the API and of the database.
use std::fmt;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|state| state.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
                    format!("`{text}` is not one of {}", names.join(", "))
                })
            }
        }
    };
}
pub(super) use states;

states! {
    /// The state of a notification.
    NotificationStatus {
        /// Waiting for the first attempt.
        Queued = "QUEUED",
        /// Leased by a worker.
        Fetching = "FETCHING",
        /// An attempt failed, and another will follow.
        Retrying = "RETRYING",
        /// Its file made a revision.
        Archived = "ARCHIVED",
        /// Its file equals the latest revision.
        Unchanged = "UNCHANGED",
        /// Its link expired before the file was fetched.
        Expired = "EXPIRED",
        /// Every further attempt would fail.
        Failed = "FAILED",
        /// Its body cannot be used.
        Rejected = "REJECTED",
    }
}

impl NotificationStatus {
    /// The states of notifications whose file is still to be fetched.
    pub const OPEN: &[Self] = &[Self::Queued, Self::Fetching, Self::Retrying];
}

states! {
    /// The state of a publication.
    PublicationStatus {
        /// No file yet, and a valid link.
        Awaited = "AWAITED",
        /// Its file is in the archive.
        Archived = "ARCHIVED",
        /// No file, and no valid link.
        Lost = "LOST",
        /// Its file was removed by a retention policy.
        Purged = "PURGED",
    }
}

states! {
    /// The kind of a change in the feed.
    ChangeKind {
        Announced = "ANNOUNCED",
        Archived = "ARCHIVED",
        Superseded = "SUPERSEDED",
        Lost = "LOST",
        Purged = "PURGED",
        Renamed = "RENAMED",
        Held = "HELD",
        Released = "RELEASED",
    }
}
