//! domain: the concepts of the archive as values and functions. No IO.
//!
//! What a notification must contain, how its dates are parsed, what the token of a link says, how the revisions of a
//! publication are ordered, what is redacted. Every module may use this one; it uses no other.
mod activity;
mod advice;
mod body;
mod breakage;
mod clock;
mod content;
mod coverage;
mod dates;
mod digest;
mod file_name;
mod file_outcome;
mod fold;
mod hold;
mod ids;
mod json;
mod link;
mod lock;
mod matching;
mod notification;
mod period;
mod product_names;
mod redact;
mod replay;
mod retention_mark;
mod revisions;
mod share;
mod silence;
mod stamp;
mod state;
mod stem;
mod stored;
mod text;
mod trusted_clock;
mod turn;
mod validator;

pub use activity::{ActivityProfile, history_start};
pub use advice::{link_expired, link_had_expired_at_import};
pub use breakage::Breakage;
pub use clock::{Clock, http_date, millis, timestamp};
pub use content::{Ends, FileInfo, UNUSUAL_MARKUP, Verdict, is_page_type, judge};
pub use coverage::{Cadence, SeenPublication};
pub use dates::{WrittenDate, dates_in_name, dates_in_search};
pub use digest::{Digest, Hasher};
pub use file_name::{extension_of, file_name, redacted_file_name};
pub use file_outcome::{FileOutcome, StoredRevision};
pub use fold::{fold, fold_case, words};
pub use hold::{HoldReason, HoldReasonError};
pub use ids::{NotificationId, ProductId, PublicationId, RevisionId};
pub use link::{Claims, Link, LinkError};
pub use lock::Lock;
pub use matching::TextMatch;
pub use notification::{Announcement, Identity, ParsedNotification, Rejection, body_value};
pub use period::{Granularity, LocalDateTime, Period, parse_local_date, sao_paulo};
pub use product_names::{NameChange, Processes, ProductNames};
pub use redact::{Secrets, redacted};
pub use replay::{KnownSince, ReplayRule, Run};
pub use retention_mark::still_applies;
pub use revisions::{Interval, Position, latest, latest_at, renumbered, superseded_at};
pub use share::{DigestRange, Sample, Share};
pub use silence::Silence;
pub use stamp::{Stamp, format_instant, parse_instant};
pub use state::{ChangeKind, NotificationStatus, PublicationStatus};
pub use stem::{is_stop_word, stem};
pub use stored::{Encoding, Locator, StoredFile};
pub use text::{
    FIELD_CHARS_MAX, NAME_CHARS_MAX, clean, decode, excerpt, first_chars, is_blank, is_deceptive, is_storable,
    printable,
};
pub use trusted_clock::TrustedClock;
pub use turn::{Candidate, Turn};
pub use validator::Validator;
