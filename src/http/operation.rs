//! The operator's views and their forms. A form does what a mutation of GraphQL does, and leads back to the view.
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::auth::{self, Caller};
use super::diff::held;
use super::page::{admitted, describe, problems_as_pages, visit};
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
use crate::web::{self, Detail, Trouble, ViewError, Visit};

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

async fn show_operation(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    require(&caller, Role::Operator)?;
    let visit = visit(&http, &uri, &headers, Some(&caller));
    let (queries, permit) = admitted(&http, &caller).await?;
    let made = web::operation_page(&http.app, &queries, &http.plans, &visit).await;
    finish(made, permit, &visit, &uri)
}

async fn show_start(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    require(&caller, Role::Operator)?;
    let visit = visit(&http, &uri, &headers, Some(&caller));
    start(&http, &caller, &visit, &uri).await
}

/// The first steps.
pub(super) async fn start(http: &Http, caller: &Caller, visit: &Visit, uri: &Uri) -> Result<Response, Problem> {
    let (queries, permit) = admitted(http, caller).await?;
    let made = web::start_page(&http.app, &queries, visit).await;
    finish(made, permit, visit, uri)
}

async fn show_query(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let visit = visit(&http, &uri, &headers, Some(&caller));
    let mut response = web::query_page(&visit).into_response();
    describe(&mut response, &visit, &uri)?;
    Ok(response)
}

fn finish(
    made: Result<String, ViewError>,
    permit: std::sync::Arc<crate::query::Permit>,
    visit: &Visit,
    uri: &Uri,
) -> Result<Response, Problem> {
    let (status, text) = match made {
        Ok(text) => (StatusCode::OK, text),
        Err(ViewError::BadInput(why)) => {
            (StatusCode::BAD_REQUEST, web::error_page(visit, Trouble::BadRequest, &Detail::Text(why)))
        }
        Err(ViewError::Query(e)) => return Err(e.into()),
    };
    permit.end_work();
    permit.keep_only(text.len());
    let mut response = (status, held(text.into_bytes(), permit)).into_response();
    describe(&mut response, visit, uri)?;
    Ok(response)
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
