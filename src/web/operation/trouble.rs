//! What is lost or failed, and which button of the portal brings it back.
use maud::{Markup, html};

use super::{action, queue, section};
use crate::app::App;
use crate::domain::{NotificationStatus, printable};
use crate::lang::{Lang, text};
use crate::losses::{self, AcknowledgeError, Loss};
use crate::query::{Notification, NotificationQuery, NotificationRequest, Paging, Queries, QueryError};
use crate::web::{ViewError, Visit, parts, units};

/// Losses that are shown.
const LOST: u64 = 30;

/// Notifications without a file that are shown.
const FAILED: i64 = 30;

pub struct Trouble {
    lost: Vec<Loss>,
    failed: Vec<Notification>,
    /// Of all time.
    failed_total: u64,
}

impl Trouble {
    pub async fn read(app: &App, queries: &Queries) -> Result<Self, ViewError> {
        let lost = losses::list(app, false, LOST).await.map_err(|e| match e {
            AcknowledgeError::Record(e) => QueryError::Record(e),
            e => QueryError::BadInput(e.to_string()),
        })?;
        let status = Some(vec![NotificationStatus::Expired, NotificationStatus::Failed, NotificationStatus::Rejected]);
        let request = NotificationRequest {
            query: NotificationQuery { status, ..NotificationQuery::default() },
            paging: Paging::first(FAILED),
            bodies: false,
        };
        let page = queries.notifications(request).await?;
        let failed = page.rows.into_iter().map(|(_, notification)| notification).collect();
        Ok(Self { lost, failed, failed_total: page.total })
    }

    pub fn needs(&self, lang: Lang) -> Vec<(String, String)> {
        let failed = self.failed.iter().filter(|one| one.status == NotificationStatus::Failed).count();
        match failed {
            0 => Vec::new(),
            count => vec![(text!(lang, "need-failed", count = count as u64), text!(lang, "need-failed-helps"))],
        }
    }

    pub fn lost(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.lost.is_empty() { p.good { (text!(lang, "lost-none")) } }
            @else {
                p.advice { (text!(lang, "lost-advice")) }
                div.scroll tabindex="0" role="region" aria-labelledby="lost-title" {
                    table {
                        thead { tr {
                            th scope="col" { (text!(lang, "product")) }
                            th scope="col" { (text!(lang, "column-date")) }
                            th scope="col" { (text!(lang, "column-lost-at")) }
                            th scope="col" { (text!(lang, "column-button")) }
                            th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                        } }
                        tbody {
                            @for loss in &self.lost { (lost_row(visit, loss)) }
                        }
                    }
                }
                (action(visit, "/operation/acknowledge", &[("all", "true")], &text!(lang, "acknowledge-all"), ""))
                p.note { (text!(lang, "acknowledge-help")) }
            }
        };
        section("lost", &text!(lang, "lost-title"), &body)
    }

    pub fn failed(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.failed.is_empty() { p.good { (text!(lang, "failed-none")) } }
            @else {
                p.note { (text!(lang, "failed-shown", shown = self.failed.len() as u64, total = units::number(lang, self.failed_total))) }
                div.scroll tabindex="0" role="region" aria-labelledby="failed-title" {
                    table {
                        thead { tr {
                            th scope="col" { (text!(lang, "column-received")) }
                            th scope="col" { (text!(lang, "product")) }
                            th scope="col" { (text!(lang, "column-date")) }
                            th scope="col" { (text!(lang, "status")) }
                            th scope="col" { (text!(lang, "column-helps")) }
                            th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                        } }
                        tbody { @for one in &self.failed { (failed_row(visit, one)) } }
                    }
                }
            }
        };
        section("failed", &text!(lang, "failed-title"), &body)
    }
}

/// A text of the API, in English, for those who need it.
fn reason(lang: Lang, text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text {
            details { summary { (text!(lang, "reason")) } p.soft lang="en" { (printable(text)) } }
        }
    }
}

fn lost_row(visit: &Visit, loss: &Loss) -> Markup {
    let (lang, id) = (visit.lang, loss.publication.to_string());
    html! {
        tr {
            th.wrap scope="row" { (parts::name(&loss.name)) }
            td { (loss.reference_date) }
            td { @match loss.lost_at { Some(at) => { (units::instant(lang, visit.now, at)) } None => { "–" } } }
            td.wrap { (text!(lang, "press-enviar")) (reason(lang, loss.reason.as_deref())) }
            td { (action(visit, "/operation/acknowledge", &[("id", &id)], &text!(lang, "acknowledge"), &loss.name)) }
        }
    }
}

fn failed_row(visit: &Visit, one: &Notification) -> Markup {
    let lang = visit.lang;
    let name = one.name.as_deref().unwrap_or("–");
    let helps = match one.status {
        NotificationStatus::Failed => text!(lang, "helps-failed"),
        NotificationStatus::Rejected => text!(lang, "helps-rejected"),
        _ => text!(lang, "press-enviar"),
    };
    html! {
        tr {
            td { (units::instant(lang, visit.now, one.received_at)) }
            th.wrap scope="row" { (parts::name(name)) }
            td { (one.reference_date.as_deref().unwrap_or("–")) }
            td { (queue::state(lang, one.status)) }
            td.wrap { (helps) (reason(lang, one.error.as_deref())) }
            td {
                @if one.status != NotificationStatus::Rejected {
                    (action(visit, "/operation/retry", &[("id", &one.id.to_string())], &text!(lang, "retry"), name))
                }
            }
        }
    }
}
