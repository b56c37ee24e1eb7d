//! Which names a product has. ONS renames and reclassifies products, and notifications of before and after arrive in any order:
//! the names announced last apply.

/// The names under which an announcement or the record has a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductNames<'a> {
    pub name: &'a str,
    pub processes: Processes<'a>,
}

/// The classification of a product or publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processes<'a> {
    pub process: &'a str,
    pub macro_process: &'a str,
}

/// What an announcement changes in the names of its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameChange {
    /// The name, and possibly the processes.
    Renamed,
    /// The processes alone.
    Reclassified,
}

impl ProductNames<'_> {
    /// What an announcement at `announced_at` changes; nothing if the present name was announced later, at `last_announced_at`
    /// (`None` if that is not recorded). Of two announcements with the same time, the one recorded later applies.
    pub fn change(
        self,
        announced: ProductNames<'_>,
        announced_at: i64,
        last_announced_at: Option<i64>,
    ) -> Option<NameChange> {
        if self == announced || last_announced_at.is_some_and(|last| announced_at < last) {
            return None;
        }
        Some(if self.name == announced.name { NameChange::Reclassified } else { NameChange::Renamed })
    }
}

impl Processes<'_> {
    /// Whether an announcement at `announced_at` changes the processes of a publication that was announced at
    /// `last_announced_at` before.
    pub fn are_replaced_by(self, announced: Processes<'_>, announced_at: i64, last_announced_at: i64) -> bool {
        self != announced && announced_at >= last_announced_at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{NameChange, Processes, ProductNames};

    fn names(name: &'static str, process: &'static str) -> ProductNames<'static> {
        ProductNames { name, processes: Processes { process, macro_process: "M" } }
    }

    #[test]
    fn the_same_names_change_nothing() {
        assert_eq!(names("a", "p").change(names("a", "p"), 9, None), None);
    }

    #[test]
    fn another_name_renames_and_another_process_reclassifies() {
        let present = names("a", "p");
        assert_eq!(present.change(names("b", "p"), 9, Some(8)), Some(NameChange::Renamed));
        assert_eq!(present.change(names("b", "q"), 9, Some(8)), Some(NameChange::Renamed));
        assert_eq!(present.change(names("a", "q"), 9, Some(8)), Some(NameChange::Reclassified));
        let other = ProductNames { processes: Processes { process: "p", macro_process: "N" }, ..present };
        assert_eq!(present.change(other, 9, Some(8)), Some(NameChange::Reclassified));
    }

    #[test]
    fn an_older_announcement_changes_nothing() {
        let present = names("a", "p");
        assert_eq!(present.change(names("b", "q"), 7, Some(8)), None);
        assert_eq!(present.change(names("b", "q"), 8, Some(8)), Some(NameChange::Renamed));
        // It is not known when the present name was announced.
        assert_eq!(present.change(names("b", "q"), 7, None), Some(NameChange::Renamed));
    }

    #[test]
    fn a_publication_gets_the_processes_announced_last() {
        let [p, q] = ["p", "q"].map(|process| Processes { process, macro_process: "M" });
        assert!(p.are_replaced_by(q, 8, 8));
        assert!(!p.are_replaced_by(q, 7, 8));
        assert!(!p.are_replaced_by(p, 9, 8));
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];
    const PROCESSES: [&str; 2] = ["p", "q"];

    proptest! {
        /// However announcements are divided into batches, and in whatever order these arrive, the names announced last apply.
        #[test]
        fn the_names_announced_last_apply_in_any_order_of_arrival(
            announced in prop::collection::vec((0..3usize, 0..2usize), 1..12),
            order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
            batch_length in 1..5usize,
        ) {
            let all: Vec<(i64, ProductNames<'_>)> = announced
                .iter()
                .zip(0..)
                .map(|((name, process), at)| (at, names(NAMES[*name], PROCESSES[*process])))
                .collect();
            let arriving: Vec<usize> = order.into_iter().filter(|i| *i < all.len()).collect();
            let mut present: Option<ProductNames<'_>> = None;
            let mut seen: HashMap<&str, i64> = HashMap::new();
            for batch in arriving.chunks(batch_length) {
                let mut batch = batch.to_vec();
                batch.sort_unstable();
                // As the record does it: the last announcement of the present name is read once for a batch.
                let last = present.and_then(|names| seen.get(names.name).copied());
                for i in batch {
                    let (at, names) = all[i];
                    let before = *present.get_or_insert(names);
                    if before.change(names, at, last).is_some() {
                        present = Some(names);
                    }
                    let last_seen = seen.entry(names.name).or_insert(at);
                    *last_seen = at.max(*last_seen);
                }
            }
            prop_assert_eq!(present, all.last().map(|(_, names)| *names));
        }
    }
}
