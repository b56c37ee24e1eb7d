//! Replays: "Enviar Tudo" and the like.
use async_graphql::{ID, SimpleObject};

use super::connection::int;
use super::scalar::{DateTime, Long};
use crate::record;

/// A burst of notifications from one source, such as "Enviar Tudo" on the portal.
#[derive(SimpleObject, Clone)]
pub struct Replay {
    id: ID,
    source: String,
    started_at: DateTime,
    /// When the last notification was received; null while more may arrive.
    ended_at: Option<DateTime>,
    /// Number of notifications.
    announced: i32,
    /// Notifications whose publication existed before the replay.
    known: i32,
    /// Notifications whose file is still to be fetched.
    waiting: i32,
    /// Notifications whose file was already archived.
    unchanged: i32,
    new_revisions: i32,
    /// Notifications that expired, failed or were rejected.
    failed: i32,
    /// Bytes added to the archive on disk.
    bytes_added: Long,
}

impl From<record::Replay> for Replay {
    fn from(replay: record::Replay) -> Self {
        Self {
            id: replay.id.into(),
            source: replay.source,
            started_at: DateTime(replay.started_at),
            ended_at: replay.ended_at.map(DateTime),
            announced: int(replay.announced),
            known: int(replay.known),
            waiting: int(replay.waiting),
            unchanged: int(replay.unchanged),
            new_revisions: int(replay.new_revisions),
            failed: int(replay.failed),
            bytes_added: replay.bytes_added.into(),
        }
    }
}
