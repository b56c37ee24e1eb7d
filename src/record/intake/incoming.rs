//! A notification that is to be recorded.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;

use crate::domain::{
    Announcement, Digest, KnownSince, NotificationId, ParsedNotification, PublicationId, millis, timestamp,
};

/// The lifetime of a link whose token has none: that of all known real ones, less their minute of grace.
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
    /// When the link expires; `None` if there is none.
    pub fn link_expires_at(&self) -> Option<Timestamp> {
        self.notice.link.as_ref()?;
        let default = timestamp(millis(self.received_at) + LINK_LIFE_HOURS * 3_600_000);
        Some(self.notice.claims.expires.unwrap_or(default))
    }

    pub(in crate::engine::record) fn announced_at(&self) -> Timestamp {
        Announcement::announced_at(&self.notice.claims, self.received_at)
    }
}

/// The result of `announce` for a notification that is not rejected.
pub(in crate::engine::record) struct AnnouncedPublication {
    pub product_id: Uuid,
    pub publication_id: PublicationId,
    /// When the first notification of the publication was received, in milliseconds since 1970; `None` if that is not recorded.
    pub first_received_at: Option<i64>,
    /// Whether the publication has a file already.
    pub has_revision: bool,
}

impl AnnouncedPublication {
    pub fn known_since(&self) -> KnownSince {
        self.first_received_at.map_or(KnownSince::Always, |at| KnownSince::At(timestamp(at)))
    }
}
