//! `[retention]`: the schedule and the policies as configured.
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use croner::Cron;
use jiff::{SignedDuration, Span, Timestamp};

use super::layers::Layers;
use super::matching;
use super::values::{self, Problem};
use crate::domain::{Glob, ProductMatch, fold, sao_paulo};
use crate::lang::{Lang, text};

#[derive(Clone, Debug)]
pub struct Retention {
    pub schedule: Option<Schedule>,
    /// Between the mark and the sweep.
    pub grace: Span,
    pub max_stored: Option<u64>,
    pub jitter: Duration,
    /// How long the bodies of notifications are kept.
    pub notification_bodies: Option<Span>,
    pub policies: Vec<Policy>,
}

/// Rules on what to keep of the publications that match.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub name: String,
    pub matching: ProductMatch,
    /// The file must be larger than this, in bytes.
    pub larger_than: Option<u64>,
    pub keep_last: Option<u32>,
    pub keep_superseded: Option<Span>,
    pub keep_within: Option<Span>,
    pub keep_daily: Option<u32>,
    pub keep_weekly: Option<u32>,
    pub keep_monthly: Option<u32>,
    pub keep_yearly: Option<u32>,
    pub keep_all: bool,
}

/// A cron expression in São Paulo time.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    pub fn parse(value: &str) -> Result<Self, String> {
        let cron = Cron::from_str(value).map_err(|e| {
            format!("`{value}` is not a valid cron expression; expected one such as \"30 2 * * *\": {e}")
        })?;
        let schedule = Self { text: value.to_owned(), cron };
        // Every calendar day occurs within eight years, including 29 February.
        let first = schedule.after(reference());
        if first.is_none_or(|first| first.duration_since(reference()) > SignedDuration::from_hours(8 * 366 * 24)) {
            return Err(format!("`{value}` never occurs: no month has that day; expected one such as \"30 2 * * *\""));
        }
        Ok(schedule)
    }

    /// The shortest time between two consecutive runs, sampled over 60 runs.
    fn shortest_gap(&self) -> Option<SignedDuration> {
        let mut at = self.after(reference())?;
        let mut shortest: Option<SignedDuration> = None;
        for _ in 0..60 {
            let next = self.after(at)?;
            let gap = next.duration_since(at);
            shortest = Some(shortest.map_or(gap, |shortest| shortest.min(gap)));
            at = next;
        }
        shortest
    }

    /// The first time after an instant.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&reading(at)?, false).ok()?;
        instant(next)
    }

    /// The last time at an instant or before.
    pub fn before(&self, at: Timestamp) -> Option<Timestamp> {
        let last = self.cron.find_previous_occurrence(&reading(at)?, true).ok()?;
        instant(last)
    }
}

/// São Paulo wall-clock time, passed to the cron library as if it were UTC because the library has no time zones.
fn reading(at: Timestamp) -> Option<DateTime<Utc>> {
    let local = sao_paulo().to_datetime(at);
    NaiveDateTime::parse_from_str(&local.strftime("%Y-%m-%dT%H:%M:%S").to_string(), "%Y-%m-%dT%H:%M:%S")
        .ok()
        .map(|naive| naive.and_utc())
}

fn instant(reading: DateTime<Utc>) -> Option<Timestamp> {
    let local: jiff::civil::DateTime = reading.format("%Y-%m-%dT%H:%M:%S").to_string().parse().ok()?;
    sao_paulo().to_timestamp(local).ok()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Retention {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let schedule = layers.get("retention.schedule", |value| match value {
            "off" => Ok(None),
            cron => Schedule::parse(cron).map(Some),
        });
        let schedule = schedule.flatten();
        let grace = layers.get("retention.grace", values::span);
        let max_stored = layers.get("retention.max_stored", values::size).filter(|bytes| {
            *bytes > 0 || {
                let message = "is 0, which means no limit; omit the key, or give a size such as \"500 GiB\"";
                layers.warnings.push(Problem::new("retention.max_stored", message));
                false
            }
        });
        let jitter = layers.get("retention.jitter", |value| {
            values::duration(value).or_else(|e| if value == "0s" { Ok(Duration::ZERO) } else { Err(e) })
        });
        let notification_bodies = layers.get("retention.notification_bodies", values::positive_span);
        let keys = layers.children("retention.policy");
        let policies: Vec<Policy> = keys.iter().map(|key| policy(layers, key)).collect();
        for (i, (key, policy)) in keys.iter().zip(&policies).enumerate() {
            let same = policies[..i].iter().any(|earlier| fold(&earlier.name) == fold(&policy.name));
            if same && !policy.name.is_empty() {
                let message =
                    format!("`{}` is also the name of an earlier policy; give each policy its own name", policy.name);
                layers.problems.push(Problem::new(&format!("{key}.name"), message));
            }
        }
        warn(layers, schedule.as_ref(), grace.as_ref(), max_stored);
        Some(Self { schedule, grace: grace?, max_stored, jitter: jitter?, notification_bodies, policies })
    }
}

/// The instant from which the times of a schedule are sampled.
fn reference() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A smaller limit is probably a number without its unit.
const MAX_STORED_WARN_BELOW: u64 = 1 << 20;

/// A more frequent schedule is probably a mistake: each run reads the whole archive.
const SCHEDULE_GAP_WARN_BELOW: SignedDuration = SignedDuration::from_hours(6);

/// Warns of values that are allowed but probably a mistake.
fn warn(layers: &mut Layers, schedule: Option<&Schedule>, grace: Option<&Span>, max_stored: Option<u64>) {
    if let Some(bytes) = max_stored.filter(|bytes| *bytes < MAX_STORED_WARN_BELOW) {
        let message = format!(
            "is {bytes} bytes, so almost everything would be removed; give a size with a unit, such as \"500 GiB\""
        );
        layers.warnings.push(Problem::new("retention.max_stored", message));
    }
    if grace.is_some_and(Span::is_zero) {
        let message = "is zero: a run deletes the files immediately and cannot be undone";
        layers.warnings.push(Problem::new("retention.grace", message));
    }
    if let Some((schedule, gap)) = schedule.and_then(|schedule| Some((schedule, schedule.shortest_gap()?)))
        && gap < SCHEDULE_GAP_WARN_BELOW
    {
        let every = values::duration_in_words(gap.unsigned_abs());
        let message = format!(
            "`{schedule}` runs every {every}; the fields are minute, hour, day, month, weekday; once a day is \"30 2 * * *\""
        );
        layers.warnings.push(Problem::new("retention.schedule", message));
    }
}

fn policy(layers: &mut Layers, key: &str) -> Policy {
    let of = |name: &str| format!("{key}.{name}");
    let number = |value: &str| {
        values::count(value).and_then(|n| u32::try_from(n).map_err(|_| format!("`{value}` is too large")))
    };
    let policy = Policy {
        name: layers.get(&of("name"), values::text).unwrap_or_default(),
        matching: matching::read(layers, &of("match")),
        larger_than: layers.get(&of("match.larger_than"), values::size),
        keep_last: layers.get(&of("keep_last"), number),
        keep_superseded: layers.get(&of("keep_superseded"), values::positive_span),
        keep_within: layers.get(&of("keep_within"), values::positive_span),
        keep_daily: layers.get(&of("keep_daily"), number),
        keep_weekly: layers.get(&of("keep_weekly"), number),
        keep_monthly: layers.get(&of("keep_monthly"), number),
        keep_yearly: layers.get(&of("keep_yearly"), number),
        keep_all: layers.get(&of("keep_all"), values::flag).unwrap_or_default(),
    };
    if policy.name.is_empty() {
        layers.problems.push(Problem::new(
            &of("name"),
            "is missing; give each policy a name, which is recorded with every revision that it removes",
        ));
    }
    if policy.is_empty() {
        layers.problems.push(Problem::new(
            key,
            "has no rule, so it would remove everything; add a keep_… rule, or `keep_all = true`",
        ));
    }
    policy
}

impl Policy {
    fn is_empty(&self) -> bool {
        !self.chooses_publications() && !self.chooses_revisions()
    }

    /// Whether the policy has a rule about publications. Without one it keeps them all.
    pub fn chooses_publications(&self) -> bool {
        let counts = [self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly];
        self.keep_all || self.keep_within.is_some() || counts.iter().any(Option::is_some)
    }

    /// Whether the policy has a rule about revisions. Without one it keeps all revisions of the publications it keeps.
    pub fn chooses_revisions(&self) -> bool {
        self.keep_last.is_some() || self.keep_superseded.is_some()
    }

    /// Describes the policy in words.
    pub fn describe(&self, lang: Lang) -> String {
        let or = text!(lang, "policy-or");
        let any = |what: String, of: Vec<String>| (!of.is_empty()).then(|| format!("{what} {}", of.join(or.as_str())));
        let texts = |globs: &[Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let matches = [
            any(text!(lang, "policy-name"), texts(&self.matching.names)),
            any(text!(lang, "policy-process"), texts(&self.matching.processes)),
            any(text!(lang, "policy-macro-process"), texts(&self.matching.macro_processes)),
            any(text!(lang, "policy-extension"), self.matching.extensions.clone()),
            self.larger_than.map(|n| text!(lang, "policy-larger", size = bytesize::ByteSize(n).to_string())),
        ];
        let within = |span: &jiff::Span| lang.duration(&values::span_in_words(span));
        let publications = [
            self.keep_all.then(|| text!(lang, "policy-all")),
            self.keep_within.map(|span| text!(lang, "policy-within", span = within(&span))),
            self.keep_daily.map(|n| text!(lang, "policy-daily", count = n)),
            self.keep_weekly.map(|n| text!(lang, "policy-weekly", count = n)),
            self.keep_monthly.map(|n| text!(lang, "policy-monthly", count = n)),
            self.keep_yearly.map(|n| text!(lang, "policy-yearly", count = n)),
        ];
        let revisions = [
            self.keep_last.map(|n| text!(lang, "policy-latest", count = n)),
            self.keep_superseded.map(|span| text!(lang, "policy-superseded", span = within(&span))),
        ];
        let and = text!(lang, "policy-and");
        let join = |of: &[Option<String>], none: String| {
            let of: Vec<&str> = of.iter().flatten().map(String::as_str).collect();
            if of.is_empty() { none } else { of.join(and.as_str()) }
        };
        text!(
            lang,
            "policy-rules",
            matches = join(&matches, text!(lang, "policy-any")),
            publications = join(&publications, text!(lang, "policy-all")),
            revisions = join(&revisions, text!(lang, "policy-all"))
        )
    }
}
