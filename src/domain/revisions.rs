//! The order of a publication's revisions, and the time during which each was its latest.
use jiff::Timestamp;

use super::NotificationId;

/// Where a revision stands among its publication's: the one announced last is the latest; ties by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub announced_at: Timestamp,
    pub announced_by: NotificationId,
    pub number: i32,
}

/// A revision's place and the time since which the archive has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub place: Place,
    pub archived_at: Timestamp,
}

/// The revision that was announced last.
pub fn latest(revisions: &[Interval]) -> Option<usize> {
    (0..revisions.len()).max_by_key(|i| revisions[*i].place)
}

/// When the revision `i` stopped being the latest that the archive had; `None` while it is.
///
/// It is the moment the first revision announced after it was archived. One that came too late, when a newer one was
/// there already, was never the latest: its interval is empty, and ends where it begins.
pub fn superseded_at(revisions: &[Interval], i: usize) -> Option<Timestamp> {
    let own = revisions[i];
    revisions.iter().filter(|other| other.place > own.place).map(|newer| newer.archived_at.max(own.archived_at)).min()
}
