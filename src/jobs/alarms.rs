//! Alarms for the operator: links that expire soon, silent sources, refused logins, and replays that ended. Each is logged
//! once when it begins and once when it ends.
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::hooks;
use crate::app::App;
use crate::engine::record::{API_KEYS, RecordError};

const CHECK_EVERY: Duration = Duration::from_secs(1);

/// How often the checks that take longer are made.
const SLOW_CHECK_EVERY: Duration = Duration::from_secs(15);

/// The shortest time between two warnings about refused logins.
const DENIED_EVERY: SignedDuration = SignedDuration::from_secs(600);

/// The shortest time between two errors about notifications that cannot be recorded.
const UNRECORDED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Products named in one warning.
const NAMES_MAX: usize = 5;

/// What was logged so far.
#[derive(Default)]
struct Alarms {
    /// The number of links that were about to expire at the last check.
    expiring: u64,
    silent: HashSet<String>,
    denied: HashMap<String, RepeatedWarning>,
    keys: RepeatedWarning,
    hosts: RepeatedWarning,
    /// How many requests with a wrong host are counted in `hosts`.
    hosts_counted: u64,
    unrecorded: RepeatedWarning,
    /// Why the last notification could not be recorded.
    unrecorded_why: String,
}

/// A rate-limited warning: logged with the first event, and then at a minimum interval.
#[derive(Debug, Default)]
struct RepeatedWarning {
    warned_at: Option<Timestamp>,
    /// Events since then.
    pending: u64,
}

impl RepeatedWarning {
    fn add(&mut self, events: u64) {
        self.pending += events;
    }

    /// The number of events since the last warning, if the next one is due.
    fn take_due(&mut self, now: Timestamp, every: SignedDuration) -> Option<u64> {
        let is_due = self.warned_at.is_none_or(|at| now.duration_since(at) >= every);
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
        check_unrecorded(&app, &mut alarms);
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
        tracing::error!(error = %e, "the checks for warnings failed");
    }
}

async fn check_deadlines(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let expiring =
        app.record.monitor().expiring_links(app.clock.now(), app.settings.fetch.warn_before, NAMES_MAX as u64).await?;
    if expiring.count > alarms.expiring {
        tracing::warn!(
            links = expiring.count,
            first = expiring.first.map(tracing::field::display),
            names = ?expiring.names,
            "links expire soon and their files are not archived yet; `acervo status` and the errors of the notifications say why"
        );
    } else if expiring.count == 0 && alarms.expiring > 0 {
        tracing::info!("every link that expires soon has its file archived");
    }
    alarms.expiring = expiring.count;
    Ok(())
}

async fn check_silence(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let now = app.clock.now();
    let floor = app.settings.receiver.silence_floor;
    for source in app.record.sources().all().await? {
        let is_silent = app.record.sources().is_silent(&source, floor, now).await?;
        if is_silent && !alarms.silent.contains(&source.name) {
            app.record.hooks().raise(&hooks::silent(&source, now)).await?;
            alarms.silent.insert(source.name.clone());
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

/// One line a minute, however many there are: the database may be what is slow, so nothing is written into it.
fn check_unrecorded(app: &App, alarms: &mut Alarms) {
    if let Some(unrecorded) = app.denied.take_unrecorded() {
        alarms.unrecorded.add(unrecorded.count);
        alarms.unrecorded_why = unrecorded.reason;
    }
    if let Some(count) = alarms.unrecorded.take_due(app.clock.now(), UNRECORDED_EVERY) {
        tracing::error!(
            count,
            error = alarms.unrecorded_why,
            "notifications were answered 503; the portal keeps them as pending, for \"Reenviar Pendentes\""
        );
    }
}

async fn check_denied(app: &App, alarms: &mut Alarms) -> Result<(), RecordError> {
    let now = app.clock.now();
    for (source, count) in app.denied.take() {
        app.record.sources().note_denied(&source, count, now).await?;
        alarms.denied.entry(source).or_default().add(count);
    }
    for (source, denied) in &mut alarms.denied {
        if let Some(count) = denied.take_due(now, DENIED_EVERY) {
            tracing::warn!(
                source,
                count,
                "logins of a source were refused; compare the portal's form with `receiver.token`, or `receiver.username` and `receiver.password`"
            );
        }
    }
    let keys = app.denied.take_keys();
    if keys > 0 {
        app.record.sources().note_denied(API_KEYS, keys, now).await?;
        alarms.keys.add(keys);
    }
    if let Some(count) = alarms.keys.take_due(now, DENIED_EVERY) {
        tracing::warn!(count, "requests to the API had an unknown key");
    }
    let hosts = app.denied.hosts();
    alarms.hosts.add(hosts.saturating_sub(alarms.hosts_counted));
    alarms.hosts_counted = hosts;
    if let Some(count) = alarms.hosts.take_due(now, DENIED_EVERY) {
        tracing::warn!(
            count,
            "requests were rejected because their Host is not a name of this service: check `public_url` and `host_names`"
        );
    }
    Ok(())
}

async fn end_replays(app: &App) -> Result<(), RecordError> {
    let now = app.clock.now();
    for replay in app.record.replays().end(now, |replay| hooks::burst_ended(replay, now)).await? {
        tracing::info!(
            replay = %replay.id,
            source = replay.source,
            announced = replay.announced,
            known = replay.known,
            unchanged = replay.unchanged,
            new_revisions = replay.new_revisions,
            failed = replay.failed,
            bytes_added = replay.bytes_added,
            "a replay has ended: none of its notifications waits for its file"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_logged_at_once_and_later_with_the_events_since() {
        let start = Timestamp::UNIX_EPOCH;
        let after = |seconds| start.saturating_add(SignedDuration::from_secs(seconds)).expect("an instant");
        let mut repeated = RepeatedWarning::default();
        assert_eq!(repeated.take_due(start, DENIED_EVERY), None);
        repeated.add(3);
        assert_eq!(repeated.take_due(start, DENIED_EVERY), Some(3));
        repeated.add(2);
        assert_eq!(repeated.take_due(after(599), DENIED_EVERY), None);
        repeated.add(1);
        assert_eq!(repeated.take_due(after(600), DENIED_EVERY), Some(3));
        assert_eq!(repeated.take_due(after(9_000), DENIED_EVERY), None);
    }
}
