//! The operator's views and their forms. A form does what a mutation of GraphQL does, and leads back to the view.
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::auth::{self, Caller};
use super::page::{Asked, admitted, problems_as_pages};
use super::session::{self, Form};
use super::{Http, Problem};
use crate::config::Role;
use crate::domain::{HoldReason, HoldReasonError, NotificationId, PublicationId, RevisionId, excerpt};
use crate::holds::{self, HoldError};
use crate::jobs::hooks::{self, HookError};
use crate::jobs::retention::{self, RetentionRefusal};
use crate::jobs::{self, RetryError};
use crate::losses::{self, AcknowledgeError};
use crate::query::NotificationQuery;
use crate::web;

/// The views, which get the layers of all views.
pub(super) fn views() -> Router<Http> {
    Router::new()
        .route("/operation", get(show_operation))
        .route("/query", get(show_query))
        .route("/start", get(show_start))
}

/// The forms. They run on the main threads: they change something, which no query delays.
pub(super) fn forms(http: &Http) -> Router<Http> {
    Router::new()
        .route("/operation/{action}", post(send_form))
        .layer(axum::middleware::from_fn_with_state(http.clone(), auth::require_caller))
        .layer(axum::middleware::from_fn_with_state(http.clone(), problems_as_pages))
}

fn require(caller: &Caller, role: Role) -> Result<(), Problem> {
    match caller.role >= role {
        true => Ok(()),
        false => Err(Problem::new(StatusCode::FORBIDDEN, format!("a key with the role {role} is needed"))),
    }
}

async fn show_operation(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    require(&asked.caller, Role::Operator)?;
    let (queries, permit) = admitted(&http, &asked.caller).await?;
    asked.respond(web::operation_page(&http.app, &queries, &http.plans, &asked.visit).await, Some(permit))
}

async fn show_start(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    require(&asked.caller, Role::Operator)?;
    start(&http, &asked).await
}

/// The first steps.
pub(super) async fn start(http: &Http, asked: &Asked) -> Result<Response, Problem> {
    let (queries, permit) = admitted(http, &asked.caller).await?;
    asked.respond(web::start_page(&http.app, &queries, &asked.visit).await, Some(permit))
}

async fn show_query(asked: Asked) -> Result<Response, Problem> {
    asked.respond(Ok(web::query_page(&asked.visit)), None)
}

async fn send_form(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    Path(action): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    session::check_page(&http, &request)?;
    require(&caller, if action == "undo" { Role::Admin } else { Role::Operator })?;
    let form = session::read_form(&http, request).await?;
    session::check_form(&http, &caller, &form)?;
    let done = match action.as_str() {
        "retry" => retry(&http, &form).await?,
        "acknowledge" => acknowledge(&http, &caller, &form).await?,
        "hold" => hold(&http, &caller, &form).await?,
        "release" => {
            holds::release(&http.app, RevisionId(id_of(&form)?)).await.map_err(hold_problem)?;
            "done=release#holds".to_owned()
        }
        "undo" => {
            let id = id_of(&form)?.to_string();
            retention::start_undo(&http.app, &id).await.map_err(|e| retention_problem(&e))?;
            "done=undo#retention".to_owned()
        }
        "redeliver" => redeliver(&http, &form).await?,
        _ => return Err(Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address")),
    };
    session::see_other(&format!("/operation?{done}"))
}

fn id_of(form: &Form) -> Result<uuid::Uuid, Problem> {
    let id = form.get("id");
    id.parse().map_err(|_| bad(format!("`{}` is not a valid id; expected one as the page shows it", excerpt(id))))
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

async fn retry(http: &Http, form: &Form) -> Result<String, Problem> {
    let ids = Some(vec![NotificationId(id_of(form)?)]);
    let which = NotificationQuery { ids, ..NotificationQuery::default() };
    let counts = jobs::retry(&http.app, &which).await.map_err(|e| match e {
        RetryError::Query(e) => e.into(),
        RetryError::Interrupted(e) => Problem::internal(&e),
    })?;
    Ok(format!("done=retry&matched={}&queued={}&dead={}", counts.matched, counts.queued, counts.expired))
}

async fn acknowledge(http: &Http, caller: &Caller, form: &Form) -> Result<String, Problem> {
    let ids = match form.get("all") {
        "true" => None,
        _ => Some([PublicationId(id_of(form)?)]),
    };
    let which = ids.as_ref().map(|ids| ids.as_slice());
    let count = losses::acknowledge(&http.app, which, &caller.name).await.map_err(|e| match &e {
        AcknowledgeError::Missing(_) => Problem::new(StatusCode::NOT_FOUND, e.to_string()),
        AcknowledgeError::NotLost(..) => bad(e.to_string()),
        AcknowledgeError::Record(e) => Problem::internal(e),
    })?;
    Ok(format!("done=acknowledge&count={count}#lost"))
}

async fn hold(http: &Http, caller: &Caller, form: &Form) -> Result<String, Problem> {
    let reason: HoldReason = form.get("reason").parse().map_err(|e: HoldReasonError| bad(e.to_string()))?;
    holds::hold(&http.app, RevisionId(id_of(form)?), &reason, &caller.name).await.map_err(hold_problem)?;
    Ok("done=hold#holds".to_owned())
}

async fn redeliver(http: &Http, form: &Form) -> Result<String, Problem> {
    let ids = match form.get("id") {
        "" => None,
        id => {
            Some([id.parse::<i64>().map_err(|_| bad(format!("`{}` is not the id of a dead letter", excerpt(id))))?])
        }
    };
    let which = ids.as_ref().map(|ids| ids.as_slice());
    let count = hooks::redeliver(&http.app, form.get("hook"), which).await.map_err(|e| match &e {
        HookError::Unknown(_) | HookError::NoLetter { .. } => Problem::new(StatusCode::NOT_FOUND, e.to_string()),
        HookError::Send(e) => bad(e.to_string()),
        HookError::Record(e) => Problem::internal(e),
    })?;
    Ok(format!("done=redeliver&count={count}#hooks"))
}

fn hold_problem(error: HoldError) -> Problem {
    match &error {
        HoldError::Missing(_) => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
        HoldError::Purged(..) => bad(error.to_string()),
        HoldError::Record(e) => Problem::internal(e),
    }
}

/// A refusal is for the caller; any other error is the service's own, and its text goes to the log alone.
fn retention_problem(error: &anyhow::Error) -> Problem {
    match error.downcast_ref::<RetentionRefusal>() {
        Some(refusal @ RetentionRefusal::NotFound { .. }) => Problem::new(StatusCode::NOT_FOUND, refusal.to_string()),
        Some(refusal) => Problem::new(StatusCode::CONFLICT, refusal.to_string()),
        None => Problem::internal(&format!("{error:#}")),
    }
}
