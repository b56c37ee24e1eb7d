//! Which members of two zips belong together: those of the same path, and those that were renamed without any doubt.
use std::collections::HashMap;
use std::hash::Hash;

use crate::domain::fold_case;
use crate::engine::store::OpenMember;

/// Positions of members in their zips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// The same path.
    Same(usize, usize),
    /// Another path.
    Renamed(usize, usize),
    Removed(usize),
    Added(usize),
}

/// What a member is paired by.
pub(super) trait Named {
    fn path(&self) -> &str;
    /// Size and checksum; `None` if they say nothing.
    fn content(&self) -> Option<(u64, u32)>;
}

impl Named for OpenMember {
    fn path(&self) -> &str {
        &self.path
    }

    fn content(&self) -> Option<(u64, u32)> {
        (self.size > 0 && self.crc32 != 0).then_some((self.size, self.crc32))
    }
}

/// All members of both zips.
pub(super) fn pairs<T: Named>(from: &[T], to: &[T]) -> Vec<Pair> {
    let by_path: HashMap<&str, usize> = to.iter().enumerate().map(|(at, member)| (member.path(), at)).collect();
    let mut pairs = Vec::new();
    let mut removed = Vec::new();
    let mut is_known = vec![false; to.len()];
    for (at, member) in from.iter().enumerate() {
        match by_path.get(member.path()) {
            Some(other) => {
                pairs.push(Pair::Same(at, *other));
                is_known[*other] = true;
            }
            None => removed.push(at),
        }
    }
    let mut added: Vec<usize> = (0..to.len()).filter(|at| !is_known[*at]).collect();
    pair_up(from, to, &mut removed, &mut added, &mut pairs, |member| Some(without_revision(member.path())));
    let without_either = |member: &T| Some(without_dates(&without_revision(member.path())));
    pair_up(from, to, &mut removed, &mut added, &mut pairs, without_either);
    pair_up(from, to, &mut removed, &mut added, &mut pairs, Named::content);
    pairs.extend(removed.into_iter().map(Pair::Removed));
    pairs.extend(added.into_iter().map(Pair::Added));
    pairs
}

/// Pairs members whose key only they have.
fn pair_up<T, Key: Eq + Hash>(
    from: &[T],
    to: &[T],
    removed: &mut Vec<usize>,
    added: &mut Vec<usize>,
    pairs: &mut Vec<Pair>,
    key: impl Fn(&T) -> Option<Key>,
) {
    let mut with_key: HashMap<Key, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for at in removed.iter() {
        if let Some(key) = key(&from[*at]) {
            with_key.entry(key).or_default().0.push(*at);
        }
    }
    for at in added.iter() {
        if let Some(key) = key(&to[*at]) {
            with_key.entry(key).or_default().1.push(*at);
        }
    }
    let mut is_paired = (vec![false; from.len()], vec![false; to.len()]);
    for one in with_key.values() {
        if let ([before], [after]) = (&one.0[..], &one.1[..]) {
            pairs.push(Pair::Renamed(*before, *after));
            is_paired.0[*before] = true;
            is_paired.1[*after] = true;
        }
    }
    removed.retain(|at| !is_paired.0[*at]);
    added.retain(|at| !is_paired.1[*at]);
}

/// A path without case and without the numbers of revisions: `DADGER.RV0` and `dadger.rv1` have the same.
fn without_revision(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let folded = fold_case(path);
    let mut rest = folded.as_str();
    while let Some(at) = rest.find("rv") {
        let (before, mark) = rest.split_at(at);
        let is_word =
            before.chars().next_back().or_else(|| text.chars().next_back()).is_none_or(|c| !c.is_alphabetic());
        let after = mark[2..].trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(before);
        text.push_str("rv");
        rest = if is_word { after } else { &mark[2..] };
    }
    text + rest
}

/// A path without years, months and days that are written as one number: `NW202503.zip` and `NW202504.zip` have the same.
fn without_dates(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(at);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        text.push_str(before);
        text.push_str(if is_date(&digits[..end]) { "#" } else { &digits[..end] });
        rest = &digits[end..];
    }
    text + rest
}

fn is_date(digits: &str) -> bool {
    let is_year = |text: &str| text.starts_with("20");
    let is_month = |text: &str| ("01"..="12").contains(&text);
    let is_day = |text: &str| ("01"..="31").contains(&text);
    match digits.len() {
        4 => is_year(digits),
        6 => is_year(digits) && is_month(&digits[4..]) || is_month(&digits[..2]) && is_year(&digits[2..]),
        8 => {
            is_year(digits) && is_month(&digits[4..6]) && is_day(&digits[6..])
                || is_day(&digits[..2]) && is_month(&digits[2..4]) && is_year(&digits[4..])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Pair, pairs, without_dates, without_revision};

    struct One(&'static str, u32);

    impl Named for One {
        fn path(&self) -> &str {
            self.0
        }
        fn content(&self) -> Option<(u64, u32)> {
            (self.1 != 0).then_some((1, self.1))
        }
    }

    fn paired(from: &[One], to: &[One]) -> Vec<Pair> {
        let mut found = pairs(from, to);
        found.sort_by_key(|pair| match pair {
            Pair::Same(at, _) => (0, *at),
            Pair::Renamed(at, _) => (1, *at),
            Pair::Removed(at) => (2, *at),
            Pair::Added(at) => (3, *at),
        });
        found
    }

    #[test]
    fn members_of_another_revision_are_paired() {
        for (path, key) in [
            ("DADGER.RV0", "dadger.rv"),
            ("dadger.rv12", "dadger.rv"),
            ("rv0", "rv"),
            ("DS_ONS_102025_RV2D11.zip", "ds_ons_102025_rvd11.zip"),
            ("curva1.dat", "curva1.dat"),
            ("reserv0.dat", "reserv0.dat"),
            ("RV1/dadger.rv1", "rv/dadger.rv"),
            ("caso.dat", "caso.dat"),
        ] {
            assert_eq!(without_revision(path), key, "{path}");
        }
        for (path, key) in [
            ("nw202503_1apublicacao.zip", "nw#_1apublicacao.zip"),
            ("gtmin_ccee_032025.xlsx", "gtmin_ccee_#.xlsx"),
            ("ipdo 20022025 e 20250220.pdf", "ipdo # e #.pdf"),
            ("2025/a1.dat", "#/a1.dat"),
            ("pat03.afp", "pat03.afp"),
            ("posto 1234.dat", "posto 1234.dat"),
            ("201399.dat", "201399.dat"),
            ("20250230999.dat", "20250230999.dat"),
        ] {
            assert_eq!(without_dates(path), key, "{path}");
        }
        let (from, to) = (
            [One("nw202503_1a.zip", 1), One("nw202503_2a.zip", 2)],
            [One("nw202504_2a.zip", 3), One("nw202504_1a.zip", 4)],
        );
        assert_eq!(paired(&from, &to), [Pair::Renamed(0, 1), Pair::Renamed(1, 0)]);
        let from = [One("caso.dat", 1), One("dadger.rv0", 2), One("rv0", 3)];
        let to = [One("rv1", 4), One("dadger.rv1", 5), One("caso.dat", 6), One("novo.dat", 7)];
        assert_eq!(paired(&from, &to), [Pair::Same(0, 2), Pair::Renamed(1, 1), Pair::Renamed(2, 0), Pair::Added(3)]);
    }

    #[test]
    fn what_could_be_paired_in_two_ways_is_not() {
        let from = [One("dadger.rv0", 1), One("a.dat", 9)];
        let to = [One("dadger.rv1", 2), One("dadger.rv2", 3), One("b.dat", 9), One("c.dat", 9)];
        let expected =
            [Pair::Removed(0), Pair::Removed(1), Pair::Added(0), Pair::Added(1), Pair::Added(2), Pair::Added(3)];
        assert_eq!(paired(&from, &to), expected);
    }

    #[test]
    fn the_same_content_under_another_name_is_paired() {
        let (from, to) = ([One("Deck do PMO.pdf", 9), One("x", 0)], [One("y", 0), One("Deck PMO.pdf", 9)]);
        assert_eq!(paired(&from, &to), [Pair::Renamed(0, 1), Pair::Removed(1), Pair::Added(0)]);
    }
}
