//! Which link a fetch uses if several notifications wait for one file. Links take turns, so that a broken one does not keep the
//! others from being tried.
use std::cmp::Reverse;

use jiff::Timestamp;

use super::Link;

/// The properties of a notification's link that decide its turn.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    pub link: &'a Link,
    pub expires_at: Timestamp,
    /// The attempt that is about to be made, from 1.
    pub attempt: u32,
}

/// The link that an attempt uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Its index among the candidates.
    pub index: usize,
    /// How many different links are tried before its next turn.
    pub after: usize,
}

impl Turn {
    /// The link that expires last has the first turn. Links to the hosts in `paused` have none, unless there are no others.
    pub fn of(candidates: &[Candidate<'_>], paused: &[String]) -> Self {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by_key(|i| (Reverse(candidates[*i].expires_at), *i));
        let mut links: Vec<usize> = Vec::new();
        for i in order {
            if !links.iter().any(|other| candidates[*other].link == candidates[i].link) {
                links.push(i);
            }
        }
        let is_paused = |i: &usize| candidates[*i].link.host().is_some_and(|host| paused.contains(&host));
        if !links.iter().all(is_paused) {
            links.retain(|i| !is_paused(i));
        }
        // Every attempt counts for all that wait for the file.
        let attempts = candidates.iter().map(|candidate| candidate.attempt).max().unwrap_or(1);
        let turn = (attempts.saturating_sub(1) as usize) % links.len().max(1);
        match links.get(turn) {
            Some(index) => Self { index: *index, after: links.len() - turn - 1 },
            None => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Candidate, Turn};
    use crate::domain::Link;

    fn turn(links: &[(&str, i64)], attempt: u32, paused: &[&str]) -> (usize, usize) {
        let owned: Vec<Link> = links.iter().map(|(link, _)| Link::from_stored((*link).to_owned())).collect();
        let expiries = links.iter().map(|(_, at)| Timestamp::from_second(*at).expect("an instant"));
        let candidates: Vec<Candidate<'_>> =
            owned.iter().zip(expiries).map(|(link, expires_at)| Candidate { link, expires_at, attempt }).collect();
        let paused: Vec<String> = paused.iter().map(|host| (*host).to_owned()).collect();
        let turn = Turn::of(&candidates, &paused);
        (turn.index, turn.after)
    }

    const LINKS: [(&str, i64); 4] = [
        ("https://a.example/1", 100),
        ("https://b.example/2", 300),
        ("https://a.example/1", 200),
        ("https://c.example/3", 250),
    ];

    #[test]
    fn different_links_take_turns_and_the_one_that_lives_longest_is_first() {
        assert_eq!(turn(&LINKS, 1, &[]), (1, 2));
        assert_eq!(turn(&LINKS, 2, &[]), (3, 1));
        assert_eq!(turn(&LINKS, 3, &[]), (2, 0));
        assert_eq!(turn(&LINKS, 4, &[]), (1, 2));
    }

    #[test]
    fn links_to_hosts_that_are_left_alone_have_no_turn_unless_there_are_no_others() {
        assert_eq!(turn(&LINKS, 1, &["b.example"]), (3, 1));
        assert_eq!(turn(&LINKS, 1, &["a.example", "b.example", "c.example"]), (1, 2));
        assert_eq!(turn(&[], 1, &[]), (0, 0));
    }
}
