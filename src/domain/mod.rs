//! domain: the plain words of the business, as values. No IO.
//!
//! What a notification is and must hold, how its dates are read, what a link's token tells, in which order the revisions
//! of a publication stand. Every room may use these; they use nothing but each other.
mod advice;
mod clock;
mod content;
mod coverage;
mod dates;
mod digest;
mod file_name;
mod file_outcome;
mod fold;
mod habit;
mod hold;
mod ids;
mod json;
mod link;
mod lock;
mod matching;
mod notice;
mod period;
mod reading;
mod redact;
mod replay;
mod retention_mark;
mod revisions;
mod silence;
mod stamp;
mod state;
mod stem;
mod text;
mod trust;
mod turn;
mod validator;

pub use advice::{link_died, link_was_dead_at_import};
pub use clock::{Clock, http_date, millis, timestamp};
pub use content::{Ends, Sent, UNUSUAL_MARKUP, Verdict, is_page_type, judge};
pub use coverage::{Known as KnownPeriod, Rhythm};
pub use dates::{WrittenDate, dates_in_name, dates_in_search};
pub use digest::Digest;
pub use file_name::{extension_of, file_name};
pub use file_outcome::{FileOutcome, StoredRevision};
pub use fold::{fold, fold_case, words};
pub use habit::{Habit, memory_begins};
pub use hold::{HoldReason, HoldReasonError};
pub use ids::{NotificationId, ProductId, PublicationId, RevisionId};
pub use link::{BadLink, Claims, Link};
pub use lock::Lock;
pub use matching::TextMatch;
pub use notice::{Announcement, Identity, Notice, Rejection, body_value};
pub use period::{Granularity, LocalDateTime, Period, parse_local_date, sao_paulo};
pub use redact::{Secrets, redacted};
pub use replay::{KnownSince, ReplayRule, Run};
pub use retention_mark::still_applies;
pub use revisions::{Interval, Place, latest, latest_at, renumbered, superseded_at};
pub use silence::Silence;
pub use stamp::{Stamp, format_instant, parse_instant};
pub use state::{ChangeKind, NotificationStatus, PublicationStatus};
pub use stem::{is_empty_word, stem};
pub use text::{
    FIELD_CHARS_MAX, NAME_CHARS_MAX, beginning, clean, decode, excerpt, first_chars, is_blank, is_deceptive,
    is_storable, printable,
};
pub use trust::Trust;
pub use turn::{Candidate, Turn};
pub use validator::Validator;
