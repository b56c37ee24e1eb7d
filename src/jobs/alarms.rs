//! What an operator must hear of in time: links about to die, sources that fell silent, log-ins that were refused, and
//! replays that are over. Each is told once when it begins and once when it ends.
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::engine::record::{API_KEYS, RecordError};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the slower questions are asked.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// Refused log-ins are told of at most so often.
const DENIED_EVERY: Duration = Duration::from_secs(600);

/// Names that one warning holds.
const NAMES_MAX: usize = 5;

#[derive(Default)]
struct Told {
    /// How many links were about to die.
    dying: u64,
    silent: HashSet<String>,
    denied: HashMap<String, (Timestamp, u64)>,
    /// When wrong keys, and foreign hosts, were warned of last, and how many there were then.
    keys: Option<(Timestamp, u64)>,
    keys_total: u64,
    hosts: Option<(Timestamp, u64)>,
}

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = Told::default();
    let mut asked_at: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        noted(denied(&app, &mut told).await);
        noted(replays(&app).await);
        if asked_at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            asked_at = Some(Instant::now());
            noted(deadlines(&app, &mut told).await);
            noted(silence(&app, &mut told).await);
        }
    }
    noted(denied(&app, &mut told).await);
}

fn noted(outcome: Result<(), RecordError>) {
    if let Err(e) = outcome {
        tracing::error!(error = %e, "the watch could not look");
    }
}

async fn deadlines(app: &App, told: &mut Told) -> Result<(), RecordError> {
    let dying = app.record.monitor().dying(app.clock.now(), app.settings.fetch.warn_before, NAMES_MAX as u64).await?;
    if dying.count > told.dying {
        tracing::warn!(
            links = dying.count,
            first = dying.first.map(tracing::field::display),
            names = ?dying.names,
            "links die soon and their files are not had yet; `acervo status` and the notifications' errors say why"
        );
    } else if dying.count == 0 && told.dying > 0 {
        tracing::info!("no wanted link is about to die any more");
    }
    told.dying = dying.count;
    Ok(())
}

async fn silence(app: &App, told: &mut Told) -> Result<(), RecordError> {
    let now = app.clock.now();
    let floor = app.settings.receiver.silence_floor;
    for source in app.record.sources().all().await? {
        let is_silent = app.record.sources().is_silent(&source, floor, now).await?;
        if is_silent && told.silent.insert(source.name.clone()) {
            tracing::warn!(
                source = source.name,
                last = source.last_notification_at.map(tracing::field::display),
                denied = source.denied,
                "a source is silent for longer than ever likely at this hour: look at the portal's \"Exibir Detalhes\", \
                 at its token, and at whether the portal reaches this address"
            );
        } else if !is_silent && told.silent.remove(&source.name) {
            tracing::info!(source = source.name, "a silent source is heard again");
        }
    }
    Ok(())
}

async fn denied(app: &App, told: &mut Told) -> Result<(), RecordError> {
    let now = app.clock.now();
    for (source, count) in app.denied.take() {
        app.record.sources().note_denied(&source, count, now).await?;
        told.denied.entry(source).or_insert((Timestamp::MIN, 0)).1 += count;
    }
    for (source, (told_at, count)) in &mut told.denied {
        let due = now.duration_since(*told_at) >= jiff::SignedDuration::try_from(DENIED_EVERY).unwrap_or_default();
        if *count > 0 && due {
            tracing::warn!(source, count, "log-ins of a source were refused: has the portal's token changed?");
            (*told_at, *count) = (now, 0);
        }
    }
    let keys = app.denied.take_keys();
    if keys > 0 {
        app.record.sources().note_denied(API_KEYS, keys, now).await?;
        told.keys_total += keys;
    }
    if let Some(count) = newly(&mut told.keys, told.keys_total, now) {
        tracing::warn!(count, "wrong keys were shown to the API");
    }
    if let Some(count) = newly(&mut told.hosts, app.denied.hosts(), now) {
        tracing::warn!(
            count,
            "requests were refused because their Host is not a name of this service: see `public_url` and `host_names`"
        );
    }
    Ok(())
}

/// How many there are since the last warning, where another is due.
fn newly(told: &mut Option<(Timestamp, u64)>, total: u64, now: Timestamp) -> Option<u64> {
    let (told_at, told_total) = told.unwrap_or((Timestamp::MIN, 0));
    let is_due = now.duration_since(told_at) >= jiff::SignedDuration::try_from(DENIED_EVERY).unwrap_or_default();
    let count = total.saturating_sub(told_total);
    (count > 0 && is_due).then(|| {
        *told = Some((now, total));
        count
    })
}

async fn replays(app: &App) -> Result<(), RecordError> {
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
            "a replay is over and nothing of it waits any more"
        );
    }
    Ok(())
}
