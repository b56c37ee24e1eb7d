//! What is lost or failed, and which button of the portal brings it back.
use maud::{Markup, html};

use super::{action, section};
use crate::app::App;
use crate::domain::{NotificationId, NotificationStatus};
use crate::lang::{Lang, text};
use crate::losses::{self, AcknowledgeError, LastNotification, Loss};
use crate::query::{Notification, NotificationQuery, NotificationRequest, Paging, Queries, QueryError};
use crate::web::states::{State, explained};
use crate::web::{ViewError, Visit, parts, units};

/// Losses that are shown.
const LOST: u64 = 30;

/// Notifications without a file that are shown.
const FAILED: i64 = 30;

pub struct Trouble {
    lost: Vec<Loss>,
    /// Those whose publication is not lost: a loss is listed once.
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
            query: NotificationQuery { status, not_lost: true, ..NotificationQuery::default() },
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

    /// `total` losses are not acknowledged.
    pub fn lost(&self, visit: &Visit, total: u64) -> Markup {
        let (lang, shown) = (visit.lang, self.lost.len() as u64);
        let body = html! {
            @if self.lost.is_empty() { p.good { (text!(lang, "lost-none")) } }
            @else {
                p.advice { (text!(lang, "lost-advice")) }
                @if total > shown { p.note { (text!(lang, "lost-shown", shown = shown, total = units::number(lang, total))) } }
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
                (explained(lang, self.failed.iter().map(|one| one.status)))
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

/// Why, for those who need it.
fn reason(lang: Lang, text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text {
            details { summary { (text!(lang, "reason")) } p.soft { (parts::reason(lang, text)) } }
        }
    }
}

/// What brings a file that a notification announced.
fn helps(lang: Lang, status: Option<NotificationStatus>) -> String {
    match status {
        Some(NotificationStatus::Failed) => text!(lang, "helps-failed"),
        Some(NotificationStatus::Rejected) => text!(lang, "helps-rejected"),
        _ => text!(lang, "press-enviar"),
    }
}

/// The button that tries a notification again, if that can help.
fn retry(visit: &Visit, id: NotificationId, status: NotificationStatus, name: &str) -> Markup {
    html! {
        @if status != NotificationStatus::Rejected {
            (action(visit, "/operation/retry", &[("id", &id.to_string())], &text!(visit.lang, "retry"), name))
        }
    }
}

fn lost_row(visit: &Visit, loss: &Loss) -> Markup {
    let (lang, id) = (visit.lang, loss.publication.to_string());
    html! {
        tr {
            th.wrap scope="row" { a href={ "/publications/" (id) } { (parts::name(&loss.name)) } }
            td { (loss.reference_date) }
            td { @match loss.lost_at { Some(at) => { (units::instant(lang, visit.now, at)) } None => { "–" } } }
            td.wrap { (helps(lang, loss.last_notification.map(|last| last.status))) (reason(lang, loss.reason.as_deref())) }
            td.actions {
                @if let Some(LastNotification { id, status }) = loss.last_notification { (retry(visit, id, status, &loss.name)) }
                (action(visit, "/operation/acknowledge", &[("id", &id)], &text!(lang, "acknowledge"), &loss.name))
            }
        }
    }
}

fn failed_row(visit: &Visit, one: &Notification) -> Markup {
    let lang = visit.lang;
    let name = one.name.as_deref().unwrap_or("–");
    html! {
        tr {
            td { (units::instant(lang, visit.now, one.received_at)) }
            th.wrap scope="row" { (parts::name(name)) }
            td { (one.reference_date.as_deref().unwrap_or("–")) }
            td { (one.status.word(lang)) }
            td.wrap { (helps(lang, Some(one.status))) (reason(lang, one.error.as_deref())) }
            td { (retry(visit, one.id, one.status, name)) }
        }
    }
}
