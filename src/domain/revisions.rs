//! The order of a publication's revisions, and the time during which each was the latest.
use jiff::Timestamp;

use super::{NotificationId, millis};

/// A revision's position among those of its publication: the one announced last is the latest; ties by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub announced_at: Timestamp,
    pub announced_by: NotificationId,
    pub number: i32,
}

/// A revision's position and the time of its archiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub position: Position,
    pub archived_at: Timestamp,
}

/// The revision that was announced last.
pub fn latest(revisions: &[Interval]) -> Option<usize> {
    (0..revisions.len()).max_by_key(|i| revisions[*i].position)
}

/// When the revision `i` was superseded as the latest in the archive; `None` while it is the latest.
///
/// That is when the first of the revisions announced after it was archived. A revision that was archived after a newer one
/// was never the latest: its interval is empty and ends where it begins.
pub fn superseded_at(revisions: &[Interval], i: usize) -> Option<Timestamp> {
    let own = revisions[i];
    revisions
        .iter()
        .filter(|other| other.position > own.position)
        .map(|newer| newer.archived_at.max(own.archived_at))
        .min()
}

/// The revision that was the latest at an instant, among those that the archive had then.
pub fn latest_at(revisions: &[Interval], at: Timestamp) -> Option<usize> {
    let archived = (0..revisions.len()).filter(|i| millis(revisions[*i].archived_at) <= millis(at));
    archived.max_by_key(|i| revisions[*i].position)
}

/// The numbers by the order of archiving, of those revisions that have another.
pub fn renumbered(revisions: &[Interval]) -> Vec<(usize, i32)> {
    let mut order: Vec<usize> = (0..revisions.len()).collect();
    order.sort_by_key(|i| (revisions[*i].archived_at, revisions[*i].position.number));
    let numbered = order.into_iter().zip(1..);
    numbered.filter(|(i, number)| revisions[*i].position.number != *number).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Interval, Position, latest_at, renumbered};
    use crate::domain::NotificationId;

    fn revision(number: i32, announced: i64, archived: i64) -> Interval {
        let at = |seconds| Timestamp::from_second(seconds).expect("an instant");
        let position = Position { announced_at: at(announced), announced_by: NotificationId::new(), number };
        Interval { position, archived_at: at(archived) }
    }

    #[test]
    fn the_latest_at_an_instant_is_the_one_announced_last_of_those_archived_by_then() {
        let all = [revision(1, 30, 30), revision(2, 20, 40), revision(3, 50, 50)];
        let at = |seconds| latest_at(&all, Timestamp::from_second(seconds).expect("an instant"));
        assert_eq!([at(29), at(30), at(45), at(50)], [None, Some(0), Some(0), Some(2)]);
    }

    #[test]
    fn revisions_are_numbered_by_the_order_of_archiving() {
        assert!(renumbered(&[revision(1, 10, 10), revision(2, 20, 20)]).is_empty());
        let all = [revision(1, 10, 10), revision(2, 20, 30), revision(3, 15, 20)];
        assert_eq!(renumbered(&all), [(2, 2), (1, 3)]);
    }
}
