//! Finds periods that are overdue, as `coverage` judges it.
//!
//! A product is looked at when it is published, and when the file of its next expected period is due, so the work does not grow
//! with the history. Each late period is one event, whoever finds it and however often.
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::{
    Cadence, HISTORY_MAX, HookEvent, Period, ProductId, PublicationId, SeenPublication, format_instant, sao_paulo,
};
use crate::engine::record::{CoveredPublication, NewHookEvent, Product, RecordError};

const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Days before and after today in which periods are expected. A monthly product may be due two months after its period began, and
/// is late for half a month.
const DAYS_BEFORE: i64 = 80;
const DAYS_AFTER: i64 = 40;

/// A product is looked at this often at least.
const LOOK_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Changes read at once.
const CHANGES: u64 = 500;

/// Until it is stopped, between two looks.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut watch = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
        // What a wrong clock finds overdue is not.
        if app.trust.suspect_since(&app.clock).is_some() {
            continue;
        }
        if let Err(e) = check(&app, &stop, &mut watch).await {
            tracing::error!(error = %e, "late periods cannot be found; trying again");
        }
    }
}

/// When each product is to be looked at again.
struct Watch {
    due: HashMap<ProductId, Timestamp>,
    /// The last change that was looked at.
    feed: i64,
    /// Periods that were overdue before this are not told about.
    since: Timestamp,
}

async fn check(app: &App, stop: &CancellationToken, watch: &mut Option<Watch>) -> Result<(), RecordError> {
    let watch = match watch {
        Some(watch) => watch,
        None => watch.insert(begin(app).await?),
    };
    note_changes(app, watch).await?;
    let now = app.clock.now();
    let due: Vec<ProductId> = watch.due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
    for product in due {
        if stop.is_cancelled() {
            return Ok(());
        }
        let next = look_at(app, product, watch.since, now).await?;
        watch.due.insert(product, next);
    }
    Ok(())
}

async fn begin(app: &App) -> Result<Watch, RecordError> {
    // Before the products: a change after it is looked at again.
    let feed = app.record.feed().head().await?;
    let states = app.record.hooks().states().await?;
    let settings = app.access.settings();
    let is_about = |name: &str| settings.hooks.named(name).is_some_and(|hook| hook.events.contains(&HookEvent::Late));
    let since = states.iter().filter(|state| is_about(&state.name)).map(|state| state.created_at).min();
    let products = app.record.history().product_ids().await?;
    Ok(Watch {
        due: products.into_iter().map(|id| (id, Timestamp::MIN)).collect(),
        feed,
        since: since.unwrap_or_else(|| app.clock.now()),
    })
}

/// Marks the products of changed publications as to be looked at.
async fn note_changes(app: &App, watch: &mut Watch) -> Result<(), RecordError> {
    loop {
        let changes = app.record.feed().changes_after(watch.feed, CHANGES).await?;
        let Some(last) = changes.last() else { return Ok(()) };
        let ids: HashSet<PublicationId> = changes.iter().map(|change| change.publication_id).collect();
        let publications = app.record.history().publications_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
        watch.due.extend(publications.values().map(|publication| (publication.product_id, Timestamp::MIN)));
        watch.feed = last.number;
    }
}

/// Records the late periods of a product, and returns when to look at it again.
async fn look_at(app: &App, id: ProductId, since: Timestamp, now: Timestamp) -> Result<Timestamp, RecordError> {
    let history = app.record.history();
    let Some(product) = history.products_by_id(&[id]).await?.remove(&id) else { return Ok(now + LOOK_EVERY) };
    let newest = history.newest_publications(&[id], HISTORY_MAX).await?;
    let seen = |one: &CoveredPublication| SeenPublication {
        period: one.period,
        seen_at: one.archived_at.unwrap_or(one.received_at),
    };
    let seen: Vec<SeenPublication> = newest.iter().map(seen).collect();
    let cadence = Cadence::learn(&seen).since(product.first_period_start.map(|start| start.0.date()));
    let today = sao_paulo().to_datetime(now).date();
    let (from, to) = (today.saturating_sub(DAYS_BEFORE.days()), today.saturating_add(DAYS_AFTER.days()));
    let published = history.publications_within(&[id], from, to).await?;
    let published: HashSet<_> = published.iter().map(|one| (one.period.start.0, one.period.end.0)).collect();
    let mut next = now + LOOK_EVERY;
    for period in cadence.expected(from, to) {
        if published.contains(&(period.start.0, period.end.0)) {
            continue;
        }
        let due_at = cadence.due_at(period);
        if now < due_at {
            next = next.min(due_at);
        } else if now < cadence.missed_at(period) && since <= due_at {
            raise(app, &product, &cadence, period, due_at).await?;
        }
    }
    Ok(next)
}

async fn raise(
    app: &App,
    product: &Product,
    cadence: &Cadence,
    period: Period,
    due_at: Timestamp,
) -> Result<(), RecordError> {
    let id = product.id;
    let event = NewHookEvent {
        kind: HookEvent::Late,
        at: app.clock.now(),
        name: format!("late {id} {} {}", period.start, period.end),
        data: json!({
            "productId": id.to_string(),
            "name": product.name,
            "process": product.process,
            "macroProcess": product.macro_process,
            "granularity": cadence.granularity.as_str(),
            "periodStart": period.start.to_string(),
            "periodEnd": period.end.to_string(),
            "dueAt": format_instant(due_at),
        }),
    };
    app.record.hooks().raise(&event).await
}
