//! A notification on its way into the record.
use jiff::Timestamp;
use sea_orm::prelude::Uuid;

use crate::domain::{Announcement, Digest, Notice, NotificationId, PublicationId};

/// A notification that is to be recorded.
#[derive(Debug)]
pub struct NewNotification {
    pub id: NotificationId,
    pub source: String,
    pub received_at: Timestamp,
    pub notice: Notice,
    /// Of the body as sent, the link included.
    pub body_digest: Digest,
}

impl NewNotification {
    pub(super) fn announced_at(&self) -> Timestamp {
        Announcement::announced_at(&self.notice.claims, self.received_at)
    }
}

/// What `announce` found for a notification that was understood.
pub(super) struct Announced {
    pub product_id: Uuid,
    pub publication_id: PublicationId,
    /// Whether the publication was known before.
    pub was_known: bool,
    /// Whether the publication has a file already.
    pub has_revision: bool,
}
