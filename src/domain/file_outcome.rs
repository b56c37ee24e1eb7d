//! What a fetched file means for a notification that waited for it.
use super::{Digest, Interval, NotificationStatus, RevisionId, latest};

/// A revision that the publication has.
#[derive(Clone, Copy, Debug)]
pub struct StoredRevision {
    pub id: RevisionId,
    pub interval: Interval,
    pub digest: Digest,
    /// Removed by retention: its bytes count for nothing.
    pub is_purged: bool,
}

/// What a notification ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOutcome {
    /// The file makes a revision.
    New,
    /// The latest revision has the same bytes.
    Unchanged(RevisionId),
    /// The second fetch of a file that seemed broken brought the same bytes: the notification has made this revision.
    Confirmed(RevisionId),
}

impl FileOutcome {
    /// `own` is the revision that the notification made before, of a file that seemed broken.
    pub fn of(stored: &[StoredRevision], own: Option<RevisionId>, fetched: Digest) -> Self {
        let intervals: Vec<Interval> = stored.iter().map(|revision| revision.interval).collect();
        let last = latest(&intervals).map(|i| stored[i]);
        match last.filter(|revision| revision.digest == fetched && !revision.is_purged) {
            None => Self::New,
            Some(revision) if own == Some(revision.id) => Self::Confirmed(revision.id),
            Some(revision) => Self::Unchanged(revision.id),
        }
    }

    pub fn status(self) -> NotificationStatus {
        match self {
            Self::New | Self::Confirmed(_) => NotificationStatus::Archived,
            Self::Unchanged(_) => NotificationStatus::Unchanged,
        }
    }

    /// Whether a file that seems broken is fetched once more: only for the notification that has just made a revision of it.
    pub fn may_be_fetched_again(self, own: Option<RevisionId>) -> bool {
        self == Self::New && own.is_none()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{FileOutcome, StoredRevision};
    use crate::domain::{Digest, Interval, NotificationId, NotificationStatus, Position, RevisionId};

    fn stored(number: i32, announced: i64, bytes: &[u8]) -> StoredRevision {
        let at = |seconds| Timestamp::from_second(seconds).expect("an instant");
        let position = Position { announced_at: at(announced), announced_by: NotificationId::new(), number };
        let interval = Interval { position, archived_at: at(announced) };
        StoredRevision { id: RevisionId::new(), interval, digest: Digest::of(bytes), is_purged: false }
    }

    #[test]
    fn the_first_file_is_new() {
        assert_eq!(FileOutcome::of(&[], None, Digest::of(b"a")), FileOutcome::New);
    }

    #[test]
    fn bytes_of_the_latest_revision_are_unchanged() {
        let all = [stored(1, 100, b"a"), stored(2, 200, b"b")];
        let outcome = FileOutcome::of(&all, None, Digest::of(b"b"));
        assert_eq!(outcome, FileOutcome::Unchanged(all[1].id));
        assert_eq!(outcome.status(), NotificationStatus::Unchanged);
        assert!(!outcome.may_be_fetched_again(None));
    }

    #[test]
    fn the_latest_is_the_one_announced_last_whatever_its_number() {
        let all = [stored(1, 200, b"a"), stored(2, 100, b"b")];
        assert_eq!(FileOutcome::of(&all, None, Digest::of(b"b")), FileOutcome::New);
        assert_eq!(FileOutcome::of(&all, None, Digest::of(b"a")), FileOutcome::Unchanged(all[0].id));
    }

    #[test]
    fn bytes_that_retention_removed_are_new() {
        let mut last = stored(1, 100, b"a");
        last.is_purged = true;
        assert_eq!(FileOutcome::of(&[last], None, Digest::of(b"a")), FileOutcome::New);
    }

    #[test]
    fn a_second_fetch_confirms_what_its_notification_made() {
        let own = stored(1, 100, b"a");
        let outcome = FileOutcome::of(&[own], Some(own.id), Digest::of(b"a"));
        assert_eq!(outcome, FileOutcome::Confirmed(own.id));
        assert_eq!(outcome.status(), NotificationStatus::Archived);
        // Other bytes make another revision, and end it.
        let outcome = FileOutcome::of(&[own], Some(own.id), Digest::of(b"b"));
        assert_eq!(outcome, FileOutcome::New);
        assert!(!outcome.may_be_fetched_again(Some(own.id)));
        assert!(outcome.may_be_fetched_again(None));
    }
}
