//! The states that things pass through; their names are the words of the API and of the database.
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
    /// What has become of a notification.
    NotificationStatus {
        /// Waits for its first attempt.
        Queued = "QUEUED",
        /// A worker holds its lease.
        Fetching = "FETCHING",
        /// An attempt failed; another one is due.
        Retrying = "RETRYING",
        /// Its file made a revision.
        Archived = "ARCHIVED",
        /// Its file equals the latest revision.
        Unchanged = "UNCHANGED",
        /// Its link died before the file could be had.
        Expired = "EXPIRED",
        /// No attempt can help.
        Failed = "FAILED",
        /// It could not be understood.
        Rejected = "REJECTED",
    }
}

impl NotificationStatus {
    /// Those that still want a file.
    pub const OPEN: &[Self] = &[Self::Queued, Self::Fetching, Self::Retrying];
}

states! {
    /// What a publication has to show.
    PublicationStatus {
        /// No file yet, and a link that lives.
        Awaited = "AWAITED",
        /// Its file is in the archive.
        Archived = "ARCHIVED",
        /// No file, and no link that lives.
        Lost = "LOST",
        /// Its file was removed by a retention policy.
        Purged = "PURGED",
    }
}

states! {
    /// What the feed of changes tells.
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
