//! The operator's view: what waits, what is lost and what brings it back, and how the service does. It is a page that can be reloaded;
//! with JavaScript its sections follow the archive.
mod plots;
mod queue;
mod retention;
mod service;
mod trouble;

use maud::{Markup, html};

use super::assets::LIVE;
use super::{Nav, Page, ViewError, Visit, layout, units};
use crate::app::App;
use crate::jobs::retention::SharedPlans;
use crate::lang::text;
use crate::query::{Queries, Status};

/// The view as a document.
pub async fn operation_page(
    app: &App,
    queries: &Queries,
    plans: &SharedPlans,
    visit: &Visit,
) -> Result<String, ViewError> {
    let lang = visit.lang;
    let status = queries.status().await?;
    let queue = queue::Queue::read(queries).await?;
    let trouble = trouble::Trouble::read(app, queries).await?;
    let service = service::Service::read(app, queries).await?;
    let retention = retention::Retention::read(app, queries, plans, visit).await?;
    let activity = queries.activity().await?;
    let script: &str = &LIVE.path;
    let body = html! {
        div.title-row {
            h1 { (text!(lang, "operation-title")) }
            p.live #live-state role="status" data-on=(text!(lang, "live-on")) data-off=(text!(lang, "live-off")) {
                (text!(lang, "live-none"))
            }
        }
        div #operation data-live-source="/live" {
            (done(visit))
            (needs(visit, &status, &trouble, &service))
            (tiles(visit, &status))
            (queue.links(visit))
            (queue.bursts(visit))
            (trouble.lost(visit, status.lost.unacknowledged))
            (trouble.failed(visit))
            (service.sources(visit, &status))
            (service.jobs(visit))
            (plots::plots(visit, &activity))
            (retention.plan(visit))
            (retention.runs(visit))
            (retention.holds(visit))
            (service.hooks(visit))
        }
        script src=(script) defer {}
    };
    let page = Page { title: text!(lang, "operation-title"), nav: Nav::Operation, body };
    Ok(layout(visit, &page).into_string())
}

/// A section that follows the archive.
fn section(id: &str, title: &str, body: &Markup) -> Markup {
    html! {
        section.card #(id) data-live {
            h2 #{ (id) "-title" } { (title) }
            (body)
        }
    }
}

/// A button that changes something.
fn action(visit: &Visit, path: &str, fields: &[(&str, &str)], label: &str, of: &str) -> Markup {
    html! {
        form.action method="post" action=(path) {
            (super::token(visit))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.quiet type="submit" { (label) span.visually-hidden { " " (of) } }
        }
    }
}

/// What the last form did, as the address says.
fn done(visit: &Visit) -> Markup {
    let lang = visit.lang;
    let number = |name: &str| visit.parameter(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let text = visit.parameter("done").and_then(|done| {
        Some(match done {
            "retry" if number("queued") > 0 => text!(lang, "done-retry", count = number("queued")),
            "retry" if number("dead") > 0 => text!(lang, "done-retry-dead", count = number("dead")),
            "retry" => text!(lang, "done-retry-none"),
            "acknowledge" => text!(lang, "done-acknowledge", count = number("count")),
            "hold" => text!(lang, "done-hold"),
            "release" => text!(lang, "done-release"),
            "undo" => text!(lang, "done-undo"),
            "redeliver" => text!(lang, "done-redeliver", count = number("count")),
            _ => return None,
        })
    });
    html! { @if let Some(text) = text { p.done role="status" #done { (text) } } }
}

/// What an operator has to do, and what helps.
fn needs(visit: &Visit, status: &Status, trouble: &trouble::Trouble, service: &service::Service) -> Markup {
    let lang = visit.lang;
    let mut needs: Vec<(String, String)> = Vec::new();
    if status.fetching_waits.is_some() {
        needs.push((text!(lang, "need-disk"), text!(lang, "need-disk-helps")));
    }
    if status.expiring.count > 0 {
        let what = text!(lang, "need-expiring", count = status.expiring.count);
        needs.push((what, text!(lang, "need-expiring-helps")));
    }
    if status.lost.unacknowledged > 0 {
        let what = text!(lang, "need-lost", count = status.lost.unacknowledged);
        needs.push((what, text!(lang, "need-lost-helps")));
    }
    needs.extend(trouble.needs(lang));
    needs.extend(service.needs(lang, status));
    if status.damaged.count > 0 {
        let what = text!(lang, "need-damaged", count = status.damaged.count);
        needs.push((what, text!(lang, "need-damaged-helps")));
    }
    if status.verification.broken > 0 {
        let what = text!(lang, "need-broken", count = status.verification.broken);
        needs.push((what, text!(lang, "need-broken-helps")));
    }
    let body = html! {
        @if needs.is_empty() { p.good { (text!(lang, "need-nothing")) } }
        @else {
            ul.needs { @for (what, helps) in &needs { li { strong { (what) } " " span { (helps) } } } }
        }
    };
    section("needs", &text!(lang, "needs-title"), &body)
}

/// The state in numbers.
fn tiles(visit: &Visit, status: &Status) -> Markup {
    use crate::domain::NotificationStatus as State;
    let (lang, now) = (visit.lang, visit.now);
    let counts = &status.counts;
    let waiting: u64 = State::OPEN.iter().map(|state| counts.of(*state)).sum();
    let tile = |label: String, value: Markup, more: Markup| html! { div { dt { (label) } dd { strong { (value) } span.soft { (more) } } } };
    let disk = match (status.disk_free, status.disk_size) {
        (Some(free), Some(size)) => {
            (units::size(lang, free), text!(lang, "tile-disk-of", size = units::size(lang, size)))
        }
        _ => ("–".to_owned(), String::new()),
    };
    // The database has no negative size; if it had one, none would be shown.
    let size = |bytes: i64| u64::try_from(bytes).map_or_else(|_| "–".to_owned(), |bytes| units::size(lang, bytes));
    html! {
        section #state data-live aria-labelledby="state-title" {
            h2.visually-hidden #state-title { (text!(lang, "state-title")) }
            dl.tiles {
                (tile(
                    text!(lang, "tile-waiting"),
                    html! { (units::number(lang, waiting)) },
                    html! { (text!(lang, "tile-waiting-more", fetching = counts.of(State::Fetching), retrying = counts.of(State::Retrying))) },
                ))
                (tile(
                    text!(lang, "tile-next-expiry"),
                    html! { @match counts.next_link_expiry {
                        Some(at) => { (countdown(visit, at)) }
                        None => { "–" }
                    } },
                    html! { @if status.expiring.count > 0 { (text!(lang, "tile-expiring-soon", count = status.expiring.count)) } },
                ))
                (tile(
                    text!(lang, "tile-last"),
                    html! { @match counts.last_notification_at {
                        Some(at) => { (units::ago(lang, now, at)) }
                        None => { "–" }
                    } },
                    html! { @if let Some(at) = counts.last_notification_at { (units::minute(lang, at)) } },
                ))
                (tile(
                    text!(lang, "tile-lost"),
                    html! { (units::number(lang, status.lost.unacknowledged)) },
                    html! { @if status.lost.acknowledged > 0 { (text!(lang, "tile-lost-more", count = status.lost.acknowledged)) } },
                ))
                (tile(
                    text!(lang, "tile-archive"),
                    html! { (size(counts.stored_size)) },
                    html! { (text!(lang, "tile-archive-more", revisions = units::number(lang, counts.revisions), size = size(counts.size))) },
                ))
                (tile(text!(lang, "tile-disk"), html! { (disk.0) }, html! { (disk.1) }))
            }
        }
    }
}

/// The time until an instant, as hours, minutes and seconds. A script counts it down.
fn countdown(visit: &Visit, at: jiff::Timestamp) -> Markup {
    let left = at.duration_since(visit.now).as_secs().max(0);
    let exact = crate::domain::format_instant(at);
    let shown = format!("{}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60);
    html! { time.countdown data-countdown data-soon[left < 7200] datetime=(exact) title=(exact) { (shown) } }
}
