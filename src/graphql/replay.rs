//! Replays: "Enviar Tudo" and the like.
use async_graphql::{ID, SimpleObject};

use super::rows::resolved_rows;
use crate::contract::{Count, DateTime, Long};
use crate::query;

/// A burst of notifications from one source, such as "Enviar Tudo" on the portal.
#[derive(SimpleObject, Clone)]
pub struct Replay {
    id: ID,
    source: String,
    started_at: DateTime,
    /// When the last notification was received; null while more may arrive.
    ended_at: Option<DateTime>,
    /// Number of notifications.
    announced: Count,
    /// Notifications whose publication existed before the replay.
    known: Count,
    /// Notifications whose file is still to be fetched.
    waiting: Count,
    /// Notifications whose file was already archived.
    unchanged: Count,
    new_revisions: Count,
    /// Notifications that expired, failed or were rejected.
    failed: Count,
    /// Bytes added to the archive on disk.
    bytes_added: Long,
}

resolved_rows!(Replay);

impl From<query::Replay> for Replay {
    fn from(replay: query::Replay) -> Self {
        Self {
            id: replay.id.into(),
            source: replay.source,
            started_at: DateTime(replay.started_at),
            ended_at: replay.ended_at.map(DateTime),
            announced: Count(replay.announced),
            known: Count(replay.known),
            waiting: Count(replay.waiting),
            unchanged: Count(replay.unchanged),
            new_revisions: Count(replay.new_revisions),
            failed: Count(replay.failed),
            bytes_added: replay.bytes_added.into(),
        }
    }
}
