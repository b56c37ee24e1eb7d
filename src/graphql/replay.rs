//! Replays: "Enviar Tudo" and the like.
use async_graphql::{ID, SimpleObject};

use super::connection::int;
use super::scalar::{DateTime, Long};
use crate::record;

/// A run of many notifications of one source: "Enviar Tudo" on the portal, whether the archive knows the publications already
/// or not.
#[derive(SimpleObject, Clone)]
pub struct Replay {
    id: ID,
    source: String,
    started_at: DateTime,
    /// When its last notification came; null while more may come.
    ended_at: Option<DateTime>,
    /// Notifications in it.
    announced: i32,
    /// Of those announced, the ones whose publication was known before the run.
    known: i32,
    /// Those that still want a file.
    waiting: i32,
    unchanged: i32,
    new_revisions: i32,
    /// Expired, failed or rejected.
    failed: i32,
    /// What the archive grew by on the disk.
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
