//! A notification that is to be recorded.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;

use crate::domain::{
    Announcement, Digest, KnownSince, NotificationId, ParsedNotification, PublicationId, millis, timestamp,
};

/// How long a link lives whose token does not say: as long as every real one seen, less its minute of grace.
const LINK_LIFE_HOURS: i64 = 24;

/// A notification that is to be recorded.
#[derive(Debug)]
pub struct NewNotification {
    pub id: NotificationId,
    pub source: String,
    pub received_at: Timestamp,
    pub notice: ParsedNotification,
    /// Of the body as sent, the link included.
    pub body_digest: Digest,
}

impl NewNotification {
    /// When the link expires; `None` where there is none.
    pub fn link_expires_at(&self) -> Option<Timestamp> {
        self.notice.link.as_ref()?;
        let default = timestamp(millis(self.received_at) + LINK_LIFE_HOURS * 3_600_000);
        Some(self.notice.claims.expires.unwrap_or(default))
    }

    pub(in crate::engine::record) fn announced_at(&self) -> Timestamp {
        Announcement::announced_at(&self.notice.claims, self.received_at)
    }
}

/// What `announce` found for a notification that was understood.
pub(in crate::engine::record) struct Announced {
    pub product_id: Uuid,
    pub publication_id: PublicationId,
    /// When the first notification of the publication was received, in milliseconds since 1970; `None` where that is not recorded.
    pub first_received_at: Option<i64>,
    /// Whether the publication has a file already.
    pub has_revision: bool,
}

impl Announced {
    pub fn known_since(&self) -> KnownSince {
        self.first_received_at.map_or(KnownSince::Always, |at| KnownSince::At(timestamp(at)))
    }
}
