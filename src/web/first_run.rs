//! The first steps of an empty archive: what to type into the portal, the test, and the first burst. Each step turns green by itself.
use maud::{Markup, html};

use super::assets::LIVE;
use super::{Nav, Page, ViewError, Visit, layout, units};
use crate::app::App;
use crate::domain::NotificationStatus;
use crate::lang::text;
use crate::query::{Queries, Status};

/// Whether a visitor is led to the first steps instead of to a search that finds nothing.
pub async fn is_first_run(queries: &Queries, visit: &Visit) -> Result<bool, ViewError> {
    let may_operate = visit.visitor.as_ref().is_some_and(|visitor| visitor.may_operate);
    Ok(may_operate && visit.parameters.iter().all(|(name, _)| name == "lang") && queries.is_empty().await?)
}

struct Step {
    id: &'static str,
    title: String,
    is_done: bool,
    body: Markup,
}

/// The view as a document.
pub async fn start_page(app: &App, queries: &Queries, visit: &Visit) -> Result<String, ViewError> {
    let lang = visit.lang;
    let status = queries.status().await?;
    let steps = [
        address(app, visit),
        form(app, visit, &status),
        test(visit, &status),
        file(visit, &status),
        all(visit, &status),
    ];
    let done = steps.iter().filter(|step| step.is_done).count();
    let next = steps.iter().position(|step| !step.is_done);
    let script: &str = &LIVE.path;
    let body = html! {
        div.title-row {
            h1 { (text!(lang, "start-title")) }
            p.live #live-state role="status" data-on=(text!(lang, "live-on")) data-off=(text!(lang, "live-off")) {
                (text!(lang, "live-none"))
            }
        }
        div #start data-live-source="/live" data-live-page="/start" {
            div #steps data-live {
                p { (text!(lang, "start-progress", done = done as u64, count = steps.len() as u64)) }
                ol.steps {
                    @for (at, step) in steps.iter().enumerate() {
                        li.step #(step.id) data-done[step.is_done] aria-current=[(next == Some(at)).then_some("step")] {
                            h2 {
                                (step.title) " "
                                @if step.is_done { span.badge data-status="archived" { "✓ " (text!(lang, "step-done")) } }
                                @else { span.badge data-status="awaited" { (text!(lang, "step-open")) } }
                            }
                            (step.body)
                        }
                    }
                }
                @if next.is_none() { p.done { (text!(lang, "start-complete")) " " a href="/" { (text!(lang, "start-to-search")) } } }
            }
        }
        script src=(script) defer {}
    };
    let page = Page { title: text!(lang, "start-title"), nav: Nav::None, body };
    Ok(layout(visit, &page).into_string())
}

/// The portal reaches the service only at a public address over HTTPS.
fn address(app: &App, visit: &Visit) -> Step {
    let lang = visit.lang;
    let public = app.settings.public_url.as_deref();
    let body = html! {
        @match public {
            Some(url) => { p { (text!(lang, "start-address-is")) " " code { (url) } } }
            None => { p { (text!(lang, "start-address-none")) } pre tabindex="0" { code { "public_url = \"https://acervo.example.com\"" } } }
        }
    };
    Step { id: "step-address", title: text!(lang, "start-address"), is_done: public.is_some(), body }
}

/// What to type into the portal's form. Secrets are named, never shown.
fn form(app: &App, visit: &Visit, status: &Status) -> Step {
    let lang = visit.lang;
    let settings = app.access.settings();
    let credentials = &settings.receiver.credentials;
    let denied: u64 = status.sources.iter().map(|status| status.source.denied).sum();
    let came = status.counts.last_notification_at.is_some();
    let body = html! {
        p { (text!(lang, "start-form-where")) " " strong lang="pt-BR" { "Meu Perfil → Configuração de webhook → Novo" } }
        dl.fields {
            dt { "URL" } dd { code { (visit.origin) "/webhook" } }
            @if let Some((username, _)) = &credentials.basic {
                dt { (text!(lang, "start-form-user")) } dd { code { (username) } }
                dt { (text!(lang, "start-form-password")) } dd { (text!(lang, "start-form-secret")) " " code { "receiver.password" } }
            }
            @if !credentials.tokens.is_empty() {
                dt { (text!(lang, "start-form-token")) } dd { (text!(lang, "start-form-secret")) " " code { "receiver.token" } }
            }
            @if credentials.is_empty() {
                dt { (text!(lang, "start-form-login")) } dd { (text!(lang, "start-form-open")) }
            }
            dt { (text!(lang, "start-form-products")) } dd { (text!(lang, "start-form-all")) }
        }
        @if denied > 0 && !came { p.alert { (text!(lang, "start-form-denied", count = denied)) } }
    };
    Step { id: "step-form", title: text!(lang, "start-form"), is_done: came, body }
}

/// The first notification.
fn test(visit: &Visit, status: &Status) -> Step {
    let lang = visit.lang;
    let body = html! {
        @match status.counts.last_notification_at {
            Some(at) => { p { (text!(lang, "start-test-came")) " " (units::minute(lang, at)) "." } }
            None => { p { (text!(lang, "start-test-press")) } }
        }
    };
    Step {
        id: "step-test",
        title: text!(lang, "start-test"),
        is_done: status.counts.last_notification_at.is_some(),
        body,
    }
}

/// The first file.
fn file(visit: &Visit, status: &Status) -> Step {
    let lang = visit.lang;
    let counts = &status.counts;
    let of = |states: &[NotificationStatus]| states.iter().map(|state| counts.of(*state)).sum::<u64>();
    let without = of(&[NotificationStatus::Expired, NotificationStatus::Failed, NotificationStatus::Rejected]);
    let tried_again = of(&[NotificationStatus::Retrying]);
    let body = html! {
        @if counts.revisions > 0 { p { (text!(lang, "start-file-here", count = counts.revisions)) } }
        @else if without + tried_again > 0 {
            p.alert { (text!(lang, "start-file-failed")) " " a href="/operation#failed" { (text!(lang, "nav-operation")) } }
        }
        @else { p { (text!(lang, "start-file-waits")) } }
    };
    Step { id: "step-file", title: text!(lang, "start-file"), is_done: counts.revisions > 0, body }
}

/// The first burst, which brings the last version of every product.
fn all(visit: &Visit, status: &Status) -> Step {
    let lang = visit.lang;
    let replay = status.last_replay.as_ref();
    let is_done = replay.is_some_and(|replay| replay.waiting == 0 && replay.ended_at.is_some());
    let body = html! {
        p { (text!(lang, "start-all-press")) }
        @if let Some(replay) = replay {
            @let settled = replay.announced.saturating_sub(replay.waiting);
            p #start-burst { (text!(lang, "burst-progress", settled = units::number(lang, settled), announced = units::number(lang, replay.announced))) }
            progress max=(replay.announced.max(1)) value=(settled) aria-labelledby="start-burst" {}
        }
    };
    Step { id: "step-all", title: text!(lang, "start-all"), is_done, body }
}
