//! What a fetched file means for a notification that waited for it.
use super::{Digest, Interval, NotificationStatus, RevisionId, latest};

/// A revision that the publication has.
#[derive(Clone, Copy, Debug)]
pub struct Present {
    pub id: RevisionId,
    pub interval: Interval,
    pub digest: Digest,
    /// Removed by retention: its bytes count for nothing.
    pub is_purged: bool,
}

/// What a notification ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The file makes a revision.
    New,
    /// The latest revision has the same bytes.
    Unchanged(RevisionId),
    /// The second fetch of a file that looked broken brought the same bytes: the notification has made this revision itself.
    Confirmed(RevisionId),
}

impl Settlement {
    /// `own` is the revision that the notification made before, of a file that looked broken.
    pub fn of(present: &[Present], own: Option<RevisionId>, fetched: Digest) -> Self {
        let intervals: Vec<Interval> = present.iter().map(|revision| revision.interval).collect();
        let last = latest(&intervals).map(|i| present[i]);
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

    /// Whether a file that looks broken is fetched once more: only for the notification that has just made a revision of it.
    pub fn may_be_fetched_again(self, own: Option<RevisionId>) -> bool {
        self == Self::New && own.is_none()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Present, Settlement};
    use crate::domain::{Digest, Interval, NotificationId, NotificationStatus, Place, RevisionId};

    fn present(number: i32, announced: i64, bytes: &[u8]) -> Present {
        let at = |seconds| Timestamp::from_second(seconds).expect("an instant");
        let place = Place { announced_at: at(announced), announced_by: NotificationId::new(), number };
        let interval = Interval { place, archived_at: at(announced) };
        Present { id: RevisionId::new(), interval, digest: Digest::of(bytes), is_purged: false }
    }

    #[test]
    fn the_first_file_is_new() {
        assert_eq!(Settlement::of(&[], None, Digest::of(b"a")), Settlement::New);
    }

    #[test]
    fn bytes_of_the_latest_revision_are_unchanged() {
        let all = [present(1, 100, b"a"), present(2, 200, b"b")];
        let settled = Settlement::of(&all, None, Digest::of(b"b"));
        assert_eq!(settled, Settlement::Unchanged(all[1].id));
        assert_eq!(settled.status(), NotificationStatus::Unchanged);
        assert!(!settled.may_be_fetched_again(None));
    }

    #[test]
    fn the_latest_is_the_one_announced_last_whatever_its_number() {
        let all = [present(1, 200, b"a"), present(2, 100, b"b")];
        assert_eq!(Settlement::of(&all, None, Digest::of(b"b")), Settlement::New);
        assert_eq!(Settlement::of(&all, None, Digest::of(b"a")), Settlement::Unchanged(all[0].id));
    }

    #[test]
    fn bytes_that_retention_removed_are_new() {
        let mut last = present(1, 100, b"a");
        last.is_purged = true;
        assert_eq!(Settlement::of(&[last], None, Digest::of(b"a")), Settlement::New);
    }

    #[test]
    fn a_second_fetch_confirms_what_its_notification_made() {
        let own = present(1, 100, b"a");
        let settled = Settlement::of(&[own], Some(own.id), Digest::of(b"a"));
        assert_eq!(settled, Settlement::Confirmed(own.id));
        assert_eq!(settled.status(), NotificationStatus::Archived);
        // Other bytes make another revision, and end it.
        let settled = Settlement::of(&[own], Some(own.id), Digest::of(b"b"));
        assert_eq!(settled, Settlement::New);
        assert!(!settled.may_be_fetched_again(Some(own.id)));
        assert!(settled.may_be_fetched_again(None));
    }
}
