//! What the policies keep and remove, and why: a pure function of rows, policies and a given time.
//!
//! Rules about publications are combined with OR. So are rules about revisions, which apply to the publications that are kept. A
//! kept publication always keeps its latest revision, a product its newest publication, and a hold its revision.
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, ToSpan};

use super::inventory::{Inventory, Product, Publication};
use crate::config::Policy;
use crate::domain::{millis, sao_paulo};

/// Why something is kept or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    NoPolicy,
    Held,
    NewestPublication,
    Latest,
    KeepAll,
    KeepWithin,
    KeepDaily,
    KeepWeekly,
    KeepMonthly,
    KeepYearly,
    KeepLast,
    KeepSuperseded,
    /// No rule of the policy keeps the publication.
    Publication,
    /// No rule of the policy keeps the revision.
    Revision,
    MaxStored,
}

impl Rule {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoPolicy => "no policy",
            Self::Held => "hold",
            Self::NewestPublication => "newest publication",
            Self::Latest => "latest revision",
            Self::KeepAll => "keep_all",
            Self::KeepWithin => "keep_within",
            Self::KeepDaily => "keep_daily",
            Self::KeepWeekly => "keep_weekly",
            Self::KeepMonthly => "keep_monthly",
            Self::KeepYearly => "keep_yearly",
            Self::KeepLast => "keep_last",
            Self::KeepSuperseded => "keep_superseded",
            Self::Publication => "publication",
            Self::Revision => "revision",
            Self::MaxStored => "max_stored",
        }
    }

    /// The reason in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoPolicy => "no policy matches it",
            Self::Held => "it is held",
            Self::NewestPublication => "it is of the product's newest publication",
            Self::Latest => "it is the latest revision of a kept publication",
            Self::KeepAll => "the policy keeps every publication, and all their revisions",
            Self::KeepWithin => "its period ended within the span",
            Self::KeepDaily => "it is of the last publication of one of the newest days",
            Self::KeepWeekly => "it is of the last publication of one of the newest weeks",
            Self::KeepMonthly => "it is of the last publication of one of the newest months",
            Self::KeepYearly => "it is of the last publication of one of the newest years",
            Self::KeepLast => "it is among the latest revisions of its publication",
            Self::KeepSuperseded => "it was superseded within the span",
            Self::Publication => "no rule of the policy keeps its publication",
            Self::Revision => "its publication is kept, and no rule of the policy keeps this superseded revision",
            Self::MaxStored => "the archive is larger than max_stored, and it is among the oldest that no policy keeps",
        }
    }
}

/// The decision about one revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub keep: bool,
    pub rule: Rule,
    /// The index of the policy.
    pub policy: Option<u16>,
    /// Bytes of disk space that this frees: none while another revision shares them.
    pub bytes_freed: u64,
}

/// A plan: a decision for each revision of the inventory, in its order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub decisions: Vec<Decision>,
    pub keep: usize,
    pub remove: usize,
    pub bytes_freed: u64,
}

impl Plan {
    /// How many revisions each policy removes, by its index; `None` stands for those removed because the archive is too large.
    pub fn removed_by_policy(&self) -> HashMap<Option<usize>, usize> {
        let mut counts = HashMap::new();
        for decision in self.decisions.iter().filter(|decision| !decision.keep) {
            *counts.entry(decision.policy.map(usize::from)).or_default() += 1;
        }
        counts
    }
}

pub fn plan(inventory: &Inventory, policies: &[Policy], max_stored: Option<u64>, now: Timestamp) -> Plan {
    let policy_of = Matcher::new(inventory, policies).match_all();
    let kept = kept_publications(inventory, policies, &policy_of, now);
    let mut decisions = Vec::with_capacity(inventory.revisions.len());
    for (i, publication) in inventory.publications.iter().enumerate() {
        let policy = policy_of[i].map(|p| &policies[usize::from(p)]);
        decide(inventory, publication, policy, kept[i], now, |keep, rule| {
            decisions.push(Decision { keep, rule, policy: policy_of[i], bytes_freed: 0 });
        });
    }
    if let Some(max) = max_stored {
        shrink(inventory, &policy_of, &kept, max, &mut decisions);
    }
    finish(inventory, decisions)
}

/// Finds the policy of each publication: the first that matches.
struct Matcher<'a> {
    inventory: &'a Inventory,
    policies: &'a [Policy],
    /// By product and policy, whether the names match: computed once for each product.
    names: Vec<Vec<bool>>,
}

impl<'a> Matcher<'a> {
    fn new(inventory: &'a Inventory, policies: &'a [Policy]) -> Self {
        let names =
            |product: &Product| policies.iter().map(|policy| policy.matching.is_named(&product.names)).collect();
        let names = inventory.products.iter().map(names).collect();
        Self { inventory, policies, names }
    }

    fn match_all(&self) -> Vec<Option<u16>> {
        let first = |publication: &Publication| {
            let matches = |(i, policy): &(usize, &Policy)| {
                self.names[publication.product as usize][*i] && matches_file(policy, self.inventory, publication)
            };
            self.policies.iter().enumerate().find(matches).and_then(|(i, _)| u16::try_from(i).ok())
        };
        self.inventory.publications.iter().map(first).collect()
    }
}

fn matches_file(policy: &Policy, inventory: &Inventory, publication: &Publication) -> bool {
    policy.matching.has_processes(inventory.process(publication), inventory.macro_process(publication))
        && policy.matching.has_extension(inventory.extension(publication))
        && policy.larger_than.is_none_or(|size| inventory.size(publication) > size)
}

/// The number of the bucket (day, week, month or year) of a time; later buckets have higher numbers.
type Bucket = fn(DateTime) -> i64;

/// The rule that keeps each publication; `None` if none does.
fn kept_publications(
    inventory: &Inventory,
    policies: &[Policy],
    policy_of: &[Option<u16>],
    now: Timestamp,
) -> Vec<Option<Rule>> {
    let mut kept: Vec<Option<Rule>> = vec![None; inventory.publications.len()];
    let mut by_policy: HashMap<(u32, u16), Vec<usize>> = HashMap::new();
    let mut newest: HashMap<u32, usize> = HashMap::new();
    for (i, publication) in inventory.publications.iter().enumerate() {
        let rank = |i: usize| rank(&inventory.publications[i]);
        newest
            .entry(publication.product)
            .and_modify(|best| *best = if rank(i) > rank(*best) { i } else { *best })
            .or_insert(i);
        match policy_of[i] {
            None => kept[i] = Some(Rule::NoPolicy),
            Some(p) => {
                let policy = &policies[usize::from(p)];
                let within = policy.keep_within.is_some_and(|span| publication.period_end() >= local_cutoff(now, span));
                if policy.keep_all || !policy.chooses_publications() {
                    kept[i] = Some(Rule::KeepAll);
                } else if within {
                    kept[i] = Some(Rule::KeepWithin);
                }
                by_policy.entry((publication.product, p)).or_default().push(i);
            }
        }
    }
    for ((_, p), own) in by_policy {
        let policy = &policies[usize::from(p)];
        let buckets: [(Option<u32>, Rule, Bucket); 4] = [
            (policy.keep_daily, Rule::KeepDaily, day),
            (policy.keep_weekly, Rule::KeepWeekly, week),
            (policy.keep_monthly, Rule::KeepMonthly, month),
            (policy.keep_yearly, Rule::KeepYearly, year),
        ];
        for (count, rule, bucket) in buckets {
            if let Some(count) = count {
                for i in last_of_buckets(inventory, &own, count, bucket) {
                    kept[i] = kept[i].or(Some(rule));
                }
            }
        }
    }
    for i in newest.into_values() {
        kept[i] = kept[i].or(Some(Rule::NewestPublication));
    }
    kept
}

/// Orders a product's publications: the newest has the newest period and, of several, was announced last.
fn rank(publication: &Publication) -> (i64, i64, i64, uuid::Uuid) {
    (publication.period_start(), publication.period_end(), publication.announced_at, publication.id)
}

/// The publication announced last in each of the newest buckets.
fn last_of_buckets(inventory: &Inventory, own: &[usize], count: u32, bucket: Bucket) -> Vec<usize> {
    let mut last: BTreeMap<i64, usize> = BTreeMap::new();
    let order = |i: usize| (inventory.publications[i].announced_at, inventory.publications[i].id);
    for i in own {
        let start = wall_clock(inventory.publications[*i].period_start());
        last.entry(bucket(start))
            .and_modify(|best| *best = if order(*i) > order(*best) { *i } else { *best })
            .or_insert(*i);
    }
    last.into_values().rev().take(count as usize).collect()
}

fn wall_clock(seconds: i64) -> DateTime {
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0).saturating_add(seconds.seconds())
}

fn day(at: DateTime) -> i64 {
    i64::from(at.year()) * 400 + i64::from(at.day_of_year())
}

fn week(at: DateTime) -> i64 {
    let iso = at.iso_week_date();
    i64::from(iso.year()) * 60 + i64::from(iso.week())
}

fn month(at: DateTime) -> i64 {
    i64::from(at.year()) * 12 + i64::from(at.month())
}

fn year(at: DateTime) -> i64 {
    i64::from(at.year())
}

/// The wall clock in São Paulo, a span before now.
fn local_cutoff(now: Timestamp, span: Span) -> i64 {
    let local = sao_paulo().to_datetime(now).saturating_sub(span);
    crate::domain::LocalDateTime(local).as_number()
}

/// A span before now.
pub(super) fn cutoff(now: Timestamp, span: Span) -> i64 {
    let then = now.to_zoned_datetime(sao_paulo().clone()).checked_sub(span);
    then.map(|then| millis(then.timestamp())).unwrap_or(i64::MIN)
}

fn decide(
    inventory: &Inventory,
    publication: &Publication,
    policy: Option<&Policy>,
    kept: Option<Rule>,
    now: Timestamp,
    mut add: impl FnMut(bool, Rule),
) {
    let last: HashSet<u32> = match policy.and_then(|policy| policy.keep_last) {
        Some(n) if kept.is_some() => {
            let mut own: Vec<u32> = inventory.of(publication).map(|(i, _)| i).collect();
            own.sort_by_key(|i| {
                let revision = &inventory.revisions[*i as usize];
                (*i == publication.latest, revision.announced_at, revision.number)
            });
            own.into_iter().rev().take(n as usize).collect()
        }
        _ => HashSet::new(),
    };
    let superseded_since = policy.and_then(|policy| policy.keep_superseded).map(|span| cutoff(now, span));
    for (i, revision) in inventory.of(publication) {
        let (keep, rule) = match (kept, policy) {
            (Some(Rule::NoPolicy), _) | (Some(_), None) => (true, Rule::NoPolicy),
            (Some(_), Some(_)) if i == publication.latest => {
                (true, kept.filter(|rule| *rule != Rule::KeepAll).unwrap_or(Rule::Latest))
            }
            (Some(rule), Some(policy)) if !policy.chooses_revisions() => (true, rule),
            (Some(_), Some(_)) if last.contains(&i) => (true, Rule::KeepLast),
            (Some(_), Some(_)) if superseded_since.is_some_and(|since| revision.superseded_at > since) => {
                (true, Rule::KeepSuperseded)
            }
            _ if revision.held => (true, Rule::Held),
            (Some(_), Some(_)) => (false, Rule::Revision),
            (None, _) => (false, Rule::Publication),
        };
        add(keep, rule);
    }
}

/// Removes the oldest revisions that no policy keeps until the others fit. In each publication superseded revisions go before the
/// latest. The latest revision of the product's newest publication and revisions with a hold are never removed.
fn shrink(
    inventory: &Inventory,
    policy_of: &[Option<u16>],
    kept: &[Option<Rule>],
    max: u64,
    decisions: &mut [Decision],
) {
    let mut users = vec![0u32; inventory.stored_sizes.len()];
    for (revision, decision) in inventory.revisions.iter().zip(decisions.iter()) {
        users[revision.file as usize] += u32::from(decision.keep);
    }
    let mut stored: u64 =
        users.iter().zip(&inventory.stored_sizes).filter(|(n, _)| **n > 0).map(|(_, size)| size).sum();
    let mut newest: HashMap<u32, usize> = HashMap::new();
    for (i, publication) in inventory.publications.iter().enumerate() {
        let best = newest.entry(publication.product).or_insert(i);
        if rank(publication) > rank(&inventory.publications[*best]) {
            *best = i;
        }
    }
    let mut candidates = Vec::new();
    for (i, publication) in inventory.publications.iter().enumerate() {
        if policy_of[i].is_some() || kept[i] != Some(Rule::NoPolicy) {
            continue;
        }
        let any_held = inventory.of(publication).any(|(r, revision)| revision.held && r != publication.latest);
        // The latest goes after all others of its publication, however early it was archived.
        let Some(youngest) = inventory.of(publication).map(|(_, revision)| revision.archived_at).max() else {
            continue;
        };
        for (r, revision) in inventory.of(publication) {
            let is_latest = r == publication.latest;
            if revision.held || (is_latest && (any_held || newest.get(&publication.product) == Some(&i))) {
                continue;
            }
            let age = if is_latest { youngest } else { revision.archived_at };
            candidates.push((age, is_latest, r));
        }
    }
    candidates.sort_unstable();
    for (_, _, r) in candidates {
        if stored <= max {
            break;
        }
        let file = inventory.revisions[r as usize].file as usize;
        users[file] -= 1;
        if users[file] == 0 {
            stored -= inventory.stored_sizes[file];
        }
        decisions[r as usize] = Decision { keep: false, rule: Rule::MaxStored, policy: None, bytes_freed: 0 };
    }
}

/// Counts, and attributes the bytes of each file to the last revision that has them.
fn finish(inventory: &Inventory, mut decisions: Vec<Decision>) -> Plan {
    let mut kept_file = vec![false; inventory.stored_sizes.len()];
    let mut last_user = vec![u32::MAX; inventory.stored_sizes.len()];
    let mut plan = Plan::default();
    for (i, (revision, decision)) in inventory.revisions.iter().zip(&decisions).enumerate() {
        let file = revision.file as usize;
        if decision.keep {
            kept_file[file] = true;
            plan.keep += 1;
        } else {
            last_user[file] = u32::try_from(i).unwrap_or(u32::MAX);
            plan.remove += 1;
        }
    }
    for (file, user) in last_user.into_iter().enumerate().filter(|(file, user)| *user != u32::MAX && !kept_file[*file])
    {
        decisions[user as usize].bytes_freed = inventory.stored_sizes[file];
        plan.bytes_freed += inventory.stored_sizes[file];
    }
    plan.decisions = decisions;
    plan
}
