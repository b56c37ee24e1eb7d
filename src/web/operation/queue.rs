//! What waits for its file, and the bursts.
use maud::{Markup, html};

use super::{action, countdown, section};
use crate::domain::NotificationStatus;
use crate::lang::text;
use crate::query::{OpenLink, Paging, Queries, Replay};
use crate::web::states::{State, explained};
use crate::web::{ViewError, Visit, parts, units};

/// Bursts that are shown.
const BURSTS: i64 = 6;

pub struct Queue {
    links: Vec<OpenLink>,
    bursts: Vec<Replay>,
}

impl Queue {
    pub async fn read(queries: &Queries) -> Result<Self, ViewError> {
        let links = queries.open_links().await?;
        let bursts = queries.replays(&Paging::first(BURSTS)).await?.rows.into_iter().map(|(_, replay)| replay);
        Ok(Self { links, bursts: bursts.collect() })
    }

    /// The links that expire next.
    pub fn links(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.links.is_empty() { p.soft { (text!(lang, "links-none")) } }
            @else {
                (explained(lang, self.links.iter().map(|link| link.status)))
                div.scroll tabindex="0" role="region" aria-labelledby="links-title" {
                    table {
                        thead { tr {
                            th scope="col" { (text!(lang, "column-expires")) }
                            th scope="col" { (text!(lang, "product")) }
                            th scope="col" { (text!(lang, "column-date")) }
                            th scope="col" { (text!(lang, "status")) }
                            th.right scope="col" { (text!(lang, "column-attempts")) }
                            th scope="col" { (text!(lang, "column-error")) }
                            th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                        } }
                        tbody { @for link in &self.links { (row(visit, link)) } }
                    }
                }
            }
        };
        section("links", &text!(lang, "links-title"), &body)
    }

    /// The bursts, the newest first.
    pub fn bursts(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.bursts.is_empty() { p.soft { (text!(lang, "bursts-none")) } }
            @for burst in &self.bursts { (bar(visit, burst)) }
        };
        section("bursts", &text!(lang, "bursts-title"), &body)
    }
}

fn row(visit: &Visit, link: &OpenLink) -> Markup {
    let lang = visit.lang;
    let name = link.name.as_deref().unwrap_or("–");
    html! {
        tr {
            td { @match link.expires_at { Some(at) => { (countdown(visit, at)) } None => { "–" } } }
            th scope="row" { (parts::name(name)) }
            td { (link.reference_date.as_deref().unwrap_or("–")) }
            td { (link.status.word(lang)) }
            td.right { (link.attempts) }
            td.wrap { @if let Some(error) = &link.error { span.soft { (parts::reason(lang, error)) } } }
            td {
                @if link.status == NotificationStatus::Retrying {
                    (action(visit, "/operation/retry", &[("id", &link.id.to_string())], &text!(lang, "retry-now"), name))
                }
            }
        }
    }
}

/// How far a burst has come.
fn bar(visit: &Visit, burst: &Replay) -> Markup {
    let lang = visit.lang;
    let settled = burst.announced.saturating_sub(burst.waiting);
    let number = |count: u64| units::number(lang, count);
    let id = format!("burst-{}", burst.id);
    let state = match (burst.ended_at, burst.waiting) {
        (None, _) => text!(lang, "burst-arriving"),
        (Some(_), 0) => text!(lang, "burst-done"),
        (Some(_), _) => text!(lang, "burst-fetching"),
    };
    html! {
        div.burst {
            p id=(id) {
                strong { (parts::name(&burst.source)) } " · " (units::minute(lang, burst.started_at)) " · "
                span.state { (state) } " · "
                (text!(lang, "burst-progress", settled = number(settled), announced = number(burst.announced)))
            }
            progress max=(burst.announced.max(1)) value=(settled) aria-labelledby=(id) {}
            p.note {
                (text!(
                    lang,
                    "burst-detail",
                    new = number(burst.new_revisions),
                    unchanged = number(burst.unchanged),
                    failed = number(burst.failed),
                    known = number(burst.known),
                    bytes = units::size(lang, burst.bytes_added)
                ))
            }
        }
    }
}
