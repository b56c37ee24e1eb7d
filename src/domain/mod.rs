//! domain: the plain words of the business, as values. No IO.
//!
//! What a notification is and must hold, how its dates are read, what a link's token tells, in which order the revisions
//! of a publication stand. Every room may use these; they use nothing but each other.
mod clock;
mod coverage;
mod digest;
mod file_name;
mod fold;
mod habit;
mod ids;
mod link;
mod matching;
mod notice;
mod period;
mod revisions;
mod scrub;
mod stamp;
mod state;
mod stem;
mod text;
mod validator;

pub use clock::{Clock, http_date, millis, timestamp};
pub use coverage::{Known as KnownPeriod, Rhythm};
pub use digest::Digest;
pub use file_name::{extension_of, file_name};
pub use fold::{fold, words};
pub use habit::{Habit, memory_begins};
pub use ids::{NotificationId, ProductId, PublicationId, RevisionId};
pub use link::{Claims, Link, Secret};
pub use matching::TextMatch;
pub use notice::{Announcement, Identity, Notice, Rejection};
pub use period::{Granularity, LocalDateTime, Period, parse_local_date, sao_paulo};
pub use revisions::{Interval, Place, latest, superseded_at};
pub use scrub::{scrub, scrubbed};
pub use stamp::{Stamp, format_instant};
pub use state::{ChangeKind, NotificationStatus, PublicationStatus};
pub use stem::{is_empty_word, stem};
pub use text::{clean, is_deceptive};
pub use validator::Validator;
