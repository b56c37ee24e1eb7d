//! What an operator must learn of in time: links about to die, sources that fell silent, denied log-ins, and replays that
//! are over. Each is logged once when it begins and once when it ends.
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::engine::record::{API_KEYS, RecordError};

const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How often the checks that take longer are made.
const SLOW_CHECK_EVERY: Duration = Duration::from_secs(15);

/// Denied log-ins are logged at most so often.
const DENIED_EVERY: SignedDuration = SignedDuration::from_secs(600);

/// Names in one warning.
const NAMES_MAX: usize = 5;

/// What was logged so far.
#[derive(Default)]
struct Alarms {
    /// How many links were about to die.
    dying: u64,
    silent: HashSet<String>,
    denied: HashMap<String, Repeated>,
    keys: Repeated,
    hosts: Repeated,
    /// Of the requests with a foreign host, how many were counted.
    hosts_counted: u64,
}

/// A warning about events that go on: it comes with the first, and then at most so often.
#[derive(Debug, Default)]
struct Repeated {
    warned_at: Option<Timestamp>,
    /// Events since then.
    pending: u64,
}

impl Repeated {
    fn add(&mut self, events: u64) {
        self.pending += events;
    }

    /// How many events there were since the last warning, where the next one is due.
    fn take_due(&mut self, now: Timestamp) -> Option<u64> {
        let is_due = self.warned_at.is_none_or(|at| now.duration_since(at) >= DENIED_EVERY);
        if self.pending == 0 || !is_due {
            return None;
        }
        self.warned_at = Some(now);
        Some(std::mem::take(&mut self.pending))
    }
}

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut tick = interval(CHECK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut alarms = Alarms::default();
    let mut checked_at: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        log_failure(check_denied(&app, &mut alarms).await);
        log_failure(end_replays(&app).await);
        if checked_at.is_none_or(|at| at.elapsed() >= SLOW_CHECK_EVERY) {
            checked_at = Some(Instant::now());
            log_failure(check_deadlines(&app, &mut alarms).await);
            log_failure(check_silence(&app, &mut alarms).await);
        }
    }
    log_failure(check_denied(&app, &mut alarms).await);
}

fn log_failure(outcome: Result<(), RecordError>) {
    if let Err(e) = outcome {
        tracing::error!(error = %e, "what needs a warning could not be checked");
    }
}

async fn check_deadlines(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let dying =
        app.record.monitor().expiring_links(app.clock.now(), app.settings.fetch.warn_before, NAMES_MAX as u64).await?;
    if dying.count > alarms.dying {
        tracing::warn!(
            links = dying.count,
            first = dying.first.map(tracing::field::display),
            names = ?dying.names,
            "links die soon and their files are not fetched yet; `acervo status` and the notifications' errors say why"
        );
    } else if dying.count == 0 && alarms.dying > 0 {
        tracing::info!("no link that is still needed is about to die any more");
    }
    alarms.dying = dying.count;
    Ok(())
}

async fn check_silence(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let now = app.clock.now();
    let floor = app.settings.receiver.silence_floor;
    for source in app.record.sources().all().await? {
        let is_silent = app.record.sources().is_silent(&source, floor, now).await?;
        if is_silent && alarms.silent.insert(source.name.clone()) {
            tracing::warn!(
                source = source.name,
                last = source.last_notification_at.map(tracing::field::display),
                denied = source.denied,
                "a source is silent for longer than is likely at this hour: check the portal's \"Exibir Detalhes\", its \
                 token, and whether the portal reaches this address"
            );
        } else if !is_silent && alarms.silent.remove(&source.name) {
            tracing::info!(source = source.name, "a silent source sends notifications again");
        }
    }
    Ok(())
}

async fn check_denied(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let now = app.clock.now();
    for (source, count) in app.denied.take() {
        app.record.sources().note_denied(&source, count, now).await?;
        alarms.denied.entry(source).or_default().add(count);
    }
    for (source, denied) in &mut alarms.denied {
        if let Some(count) = denied.take_due(now) {
            tracing::warn!(source, count, "log-ins of a source were denied: has the portal's token changed?");
        }
    }
    let keys = app.denied.take_keys();
    if keys > 0 {
        app.record.sources().note_denied(API_KEYS, keys, now).await?;
        alarms.keys.add(keys);
    }
    if let Some(count) = alarms.keys.take_due(now) {
        tracing::warn!(count, "requests to the API had a wrong key");
    }
    let hosts = app.denied.hosts();
    alarms.hosts.add(hosts.saturating_sub(alarms.hosts_counted));
    alarms.hosts_counted = hosts;
    if let Some(count) = alarms.hosts.take_due(now) {
        tracing::warn!(
            count,
            "requests were rejected because their Host is not a name of this service: see `public_url` and `host_names`"
        );
    }
    Ok(())
}

async fn end_replays(app: &App) -> Result<(), RecordError> {
    for replay in app.record.replays().end(app.clock.now()).await? {
        tracing::info!(
            replay = %replay.id,
            source = replay.source,
            announced = replay.announced,
            known = replay.known,
            unchanged = replay.unchanged,
            new_revisions = replay.new_revisions,
            failed = replay.failed,
            bytes_added = replay.bytes_added,
            "a replay is over: none of its notifications is waiting any more"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_comes_at_once_and_is_repeated_with_what_came_since() {
        let start = Timestamp::UNIX_EPOCH;
        let after = |seconds| start.saturating_add(SignedDuration::from_secs(seconds)).expect("an instant");
        let mut repeated = Repeated::default();
        assert_eq!(repeated.take_due(start), None);
        repeated.add(3);
        assert_eq!(repeated.take_due(start), Some(3));
        repeated.add(2);
        assert_eq!(repeated.take_due(after(599)), None);
        repeated.add(1);
        assert_eq!(repeated.take_due(after(600)), Some(3));
        assert_eq!(repeated.take_due(after(9_000)), None);
    }
}
