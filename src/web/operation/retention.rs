//! Retention: what the policies would remove, runs that can be undone, and protected revisions.
use std::sync::Arc;

use maud::{Markup, html};

use super::{action, section};
use crate::app::App;
use crate::domain::printable;
use crate::jobs::retention::{InventoryPlan, SharedPlans};
use crate::lang::text;
use crate::query::{HeldRevision, Paging, Queries, QueryError, RetentionRun};
use crate::web::{ViewError, Visit, parts, token, units};

/// Runs that are shown, and lines of a plan.
const RUNS: i64 = 10;
const LINES: usize = 50;

/// The parameter that asks for a plan, which reads the whole archive.
const PLAN: &str = "plan";

pub struct Retention {
    plan: Option<PlanSummary>,
    runs: Vec<RetentionRun>,
    held: Vec<HeldRevision>,
    has_policies: bool,
}

struct PlanSummary {
    planned: Arc<InventoryPlan>,
    /// Of those that would be removed, the first ones: name, reference date, number, file's bytes.
    lines: Vec<(String, String, i32, u64)>,
}

impl Retention {
    pub async fn read(app: &App, queries: &Queries, plans: &SharedPlans, visit: &Visit) -> Result<Self, ViewError> {
        let runs = queries.retention_runs(&Paging::first(RUNS)).await?.rows.into_iter().map(|(_, run)| run);
        let plan = match visit.parameter(PLAN) {
            Some(_) => {
                let planned = plans.current(app).await.map_err(|e| QueryError::Busy(e.to_string()))?;
                let removed = planned.lines(app).filter(|line| !line.keep).take(LINES);
                let lines = removed.map(|line| (line.name, line.reference_date, line.number, line.bytes_freed));
                let lines = lines.collect();
                Some(PlanSummary { planned, lines })
            }
            None => None,
        };
        let has_policies = !app.settings.retention.policies.is_empty() || app.settings.retention.max_stored.is_some();
        Ok(Self { plan, runs: runs.collect(), held: queries.held().await?, has_policies })
    }

    pub fn plan(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if !self.has_policies { p { (text!(lang, "plan-no-policies")) } }
            @match &self.plan {
                None => { p { a href=(visit.with(PLAN, Some("1"))) rel="nofollow" { (text!(lang, "plan-make")) } } }
                Some(PlanSummary { planned, lines }) => {
                    p { (text!(
                        lang,
                        "plan-summary",
                        keep = units::number(lang, planned.plan.keep as u64),
                        remove = units::number(lang, planned.plan.remove as u64),
                        bytes = units::size(lang, planned.plan.bytes_freed)
                    )) }
                    @if !lines.is_empty() {
                        div.scroll tabindex="0" role="region" aria-labelledby="plan-title" { table {
                            thead { tr {
                                th scope="col" { (text!(lang, "product")) }
                                th scope="col" { (text!(lang, "column-date")) }
                                th.right scope="col" { (text!(lang, "revision")) }
                                th.right scope="col" { (text!(lang, "column-freed")) }
                            } }
                            tbody { @for (name, date, number, bytes) in lines { tr {
                                th.wrap scope="row" { (parts::name(name)) }
                                td { (date) }
                                td.right { (number) }
                                td.right { (units::size(lang, *bytes)) }
                            } } }
                        } }
                    }
                }
            }
        };
        section("plan", &text!(lang, "plan-title"), &body)
    }

    pub fn runs(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.runs.is_empty() { p.soft { (text!(lang, "retention-none")) } }
            @else {
                div.scroll tabindex="0" role="region" aria-labelledby="retention-title" { table {
                    thead { tr {
                        th scope="col" { (text!(lang, "column-started")) }
                        th.right scope="col" { (text!(lang, "column-removed")) }
                        th.right scope="col" { (text!(lang, "column-freed")) }
                        th scope="col" { (text!(lang, "status")) }
                        th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                    } }
                    tbody { @for run in &self.runs { (run_row(visit, run)) } }
                } }
            }
        };
        section("retention", &text!(lang, "retention-title"), &body)
    }

    pub fn holds(&self, visit: &Visit) -> Markup {
        let lang = visit.lang;
        let body = html! {
            @if self.held.is_empty() { p.soft { (text!(lang, "holds-none")) } }
            @else {
                div.scroll tabindex="0" role="region" aria-labelledby="holds-title" { table {
                    thead { tr {
                        th scope="col" { (text!(lang, "column-file")) }
                        th scope="col" { (text!(lang, "column-date")) }
                        th scope="col" { (text!(lang, "column-reason")) }
                        th scope="col" { (text!(lang, "column-since")) }
                        th scope="col" { span.visually-hidden { (text!(lang, "column-actions")) } }
                    } }
                    tbody { @for held in &self.held { (held_row(visit, held)) } }
                } }
            }
            form.line method="post" action="/operation/hold" {
                (token(visit))
                label { span { (text!(lang, "hold-id")) } input name="id" required autocomplete="off" spellcheck="false"; }
                label { span { (text!(lang, "column-reason")) } input name="reason" required maxlength="500" autocomplete="off"; }
                button type="submit" { (text!(lang, "hold")) }
            }
        };
        section("holds", &text!(lang, "holds-title"), &body)
    }
}

fn run_row(visit: &Visit, run: &RetentionRun) -> Markup {
    let lang = visit.lang;
    let may_undo = visit.visitor.as_ref().is_some_and(|visitor| visitor.may_administer);
    let can_be_undone = !run.dry_run && run.undone_at.is_none() && run.swept_at.is_none() && run.ended_at.is_some();
    let state = match (run.ended_at, run.undone_at, run.swept_at) {
        (None, _, _) => text!(lang, "run-running"),
        (_, Some(at), _) => text!(lang, "run-undone", at = units::minute(lang, at)),
        (_, _, Some(at)) => text!(lang, "run-swept", at = units::minute(lang, at)),
        _ if run.dry_run => text!(lang, "run-dry"),
        _ => match run.sweep_after {
            Some(at) => text!(lang, "run-undo-until", at = units::minute(lang, at)),
            None => text!(lang, "run-ended"),
        },
    };
    html! {
        tr {
            td { (units::instant(lang, visit.now, run.started_at)) }
            td.right { (units::number(lang, run.removed)) }
            td.right { (units::size(lang, run.bytes_freed)) }
            td.wrap { (state) }
            td { @if can_be_undone && may_undo && run.removed > 0 {
                (action(visit, "/operation/undo", &[("id", &run.id)], &text!(lang, "undo"), &units::minute(lang, run.started_at)))
            } }
        }
    }
}

fn held_row(visit: &Visit, held: &HeldRevision) -> Markup {
    let (lang, id) = (visit.lang, held.id.to_string());
    html! {
        tr {
            th.wrap scope="row" { a href={ "/files/" (id) } { (parts::name(&held.file_name)) } }
            td { (held.reference_date) }
            td.wrap {
                (held.reason.as_deref().map(printable).unwrap_or_default())
                @if let Some(by) = &held.by { span.soft { " – " (parts::name(by)) } }
            }
            td { @match held.at { Some(at) => { (units::instant(lang, visit.now, at)) } None => { "–" } } }
            td { (action(visit, "/operation/release", &[("id", &id)], &text!(lang, "release"), &held.file_name)) }
        }
    }
}
