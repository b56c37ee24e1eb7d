//! The page: its routes, the headers that keep foreign scripts out, its assets, and problems as pages.
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use tower_http::compression::CompressionLayer;

use super::auth::{self, Caller};
use super::diff::held;
use super::files::{disposition, find};
use super::language::say;
use super::problem::ProblemDetail;
use super::query_runtime::respond_on_query_runtime;
use super::{Http, Problem, has_text, live, negotiate, operation, session};
use crate::config::Role;
use crate::domain::excerpt;
use crate::lang::Lang;
use crate::query::{Permit, Queries, QueryError, QueryLimits, inline_media};
use crate::web::{self, Detail, LANG_COOKIE, Trouble, View, ViewError, Visit, Visitor};

/// About what a view takes.
const VIEW_BYTES: u64 = 1 << 20;

/// A view loads its own assets and sends its own forms; nothing inline runs, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A browser remembers a chosen language for a year.
const LANG_SECONDS: u32 = 365 * 86_400;

pub(super) fn routes(http: &Http) -> Router<Http> {
    let compressed = || CompressionLayer::new().compress_when(has_text);
    let views = Router::new()
        .route("/", get(search))
        .route("/products", get(products))
        .route("/products/{id}", get(product))
        .route("/publications/{id}", get(publication))
        .route("/compare", get(compare))
        .route("/revisions/{id}", get(file))
        .route("/suggest", get(suggest))
        .merge(operation::views())
        .layer(compressed())
        .layer(axum::middleware::from_fn(negotiate::decide_coding))
        .layer(axum::middleware::from_fn_with_state(http.clone(), respond_on_query_runtime))
        .layer(axum::middleware::from_fn_with_state(http.clone(), auth::require_caller))
        .layer(axum::middleware::from_fn_with_state(http.clone(), problems_as_pages));
    let assets = Router::new()
        .route("/assets/{file}", get(asset))
        .layer(compressed())
        .layer(axum::middleware::from_fn(negotiate::decide_coding));
    let inline = Router::new()
        .route("/revisions/{id}/inline", get(inline))
        .layer(axum::middleware::from_fn_with_state(http.clone(), auth::require_caller))
        .layer(axum::middleware::from_fn_with_state(http.clone(), problems_as_pages));
    views.merge(assets).merge(inline).merge(operation::forms(http)).route("/live", get(live::follow))
}

/// Who asks for which view.
pub(super) struct Asked {
    pub caller: Caller,
    pub visit: Visit,
    uri: Uri,
}

impl FromRequestParts<Http> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::internal(&"a view without a caller"))?;
        let visit = visit(http, &parts.uri, &parts.headers, Some(&caller));
        Ok(Self { caller, visit, uri: parts.uri.clone() })
    }
}

impl Asked {
    /// The view, or what is wrong with what was asked, as a response.
    pub fn respond(&self, made: Result<String, ViewError>, permit: Option<Arc<Permit>>) -> Result<Response, Problem> {
        let (status, text) = match made {
            Ok(text) => (StatusCode::OK, text),
            Err(ViewError::BadInput(why)) => {
                (StatusCode::BAD_REQUEST, web::error_page(&self.visit, Trouble::BadRequest, &Detail::Text(why)))
            }
            Err(ViewError::Query(e)) => return Err(e.into()),
        };
        let body = match permit {
            Some(permit) => {
                permit.end_work();
                permit.keep_only(text.len());
                held(text.into_bytes(), permit)
            }
            None => text.into(),
        };
        let mut response = (status, body).into_response();
        describe(&mut response, &self.visit, &self.uri)?;
        Ok(response)
    }
}

async fn search(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    match web::is_first_run(&http.queries, &asked.visit).await {
        // In the place of a search that finds nothing.
        Ok(true) => operation::start(&http, &asked).await,
        Ok(false) => show(&http, &asked, View::Search).await,
        Err(e) => Err(problem_of(e)),
    }
}

async fn products(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    show(&http, &asked, View::Products).await
}

async fn compare(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    show(&http, &asked, View::Compare).await
}

macro_rules! views_of {
    ($($name:ident => $view:expr),* $(,)?) => {
        $(async fn $name(State(http): State<Http>, Path(id): Path<String>, asked: Asked) -> Result<Response, Problem> {
            let not_found = |_| Problem::new(StatusCode::NOT_FOUND, format!("`{}` is not a valid id", excerpt(&id)));
            show(&http, &asked, id.parse().map($view).map_err(not_found)?).await
        })*
    };
}

views_of! { product => View::Product, publication => View::Publication, file => View::File }

async fn show(http: &Http, asked: &Asked, view: View) -> Result<Response, Problem> {
    let (queries, permit) = admitted(http, &asked.caller).await?;
    asked.respond(web::render(view, &queries, &asked.visit).await, Some(permit))
}

async fn suggest(State(http): State<Http>, asked: Asked) -> Result<Response, Problem> {
    let (queries, permit) = admitted(&http, &asked.caller).await?;
    let found = web::suggest(&queries, &asked.visit).await.map_err(problem_of)?;
    permit.end_work();
    let mut response = Json(found).into_response();
    describe_any(&mut response)?;
    Ok(response)
}

fn problem_of(error: ViewError) -> Problem {
    match error {
        ViewError::BadInput(why) => Problem::new(StatusCode::BAD_REQUEST, why),
        ViewError::Query(e) => e.into(),
    }
}

/// What no policy but this one may show: pictures, in an origin of their own.
const INLINE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/// Browsers do not open a PDF in a sandbox. Their viewers run nothing of it in our origin, because it is not an HTML document.
const PDF_POLICY: &str = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// A picture or a PDF for the browser's own viewer. Its first bytes decide on its type; everything else is downloaded.
async fn inline(
    State(http): State<Http>,
    Path(id): Path<String>,
    method: Method,
    Asked { caller, visit, .. }: Asked,
) -> Result<Response, Problem> {
    let revision = find(&http, &id).await?;
    let slot = http.downloads.enter(&caller.name).await?;
    http.queries.require_sound(&revision).await?;
    let (name, size, mut bytes) = match visit.exact("member") {
        Some(path) => {
            let found = http.queries.member(&revision, path).await?;
            let (name, size) = (found.path().to_owned(), found.size());
            (name, size, http.queries.member_bytes(&revision, found).await?)
        }
        None => (revision.file_name.clone(), revision.file.size, http.queries.file(&revision, None).await?),
    };
    let first = bytes.next().await.transpose().map_err(QueryError::from)?.unwrap_or_default();
    let media = inline_media(&first).ok_or_else(|| {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only pictures and PDF are shown; download the file")
    })?;
    let bytes = stream::iter([Ok(first)]).chain(bytes).boxed();
    let body = if method == Method::HEAD { Body::empty() } else { http.downloads.body(bytes, slot) };
    let mut response = Response::new(body);
    let policy = if media == "application/pdf" { PDF_POLICY } else { INLINE_POLICY };
    let disposition = disposition(&name).replacen("attachment", "inline", 1);
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_LENGTH, size.to_string().as_str()),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "authorization, cookie"),
    ] {
        insert(&mut response, name, value)?;
    }
    Ok(response)
}

/// The queries of one request, within the same limits as those of the other edges.
pub(super) async fn admitted(http: &Http, caller: &Caller) -> Result<(Queries, Arc<Permit>), Problem> {
    let admission = http.queries.admission();
    let settings = admission.settings();
    let deadline = Instant::now() + settings.timeout;
    let permit = Arc::new(admission.admit(&caller.name, VIEW_BYTES).await?);
    let limits = QueryLimits::new(deadline, settings.answer_max, permit.clone());
    Ok((http.queries.within(limits), permit))
}

/// Who visits which address, in which language.
pub(super) fn visit(http: &Http, uri: &Uri, headers: &HeaderMap, caller: Option<&Caller>) -> Visit {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
    let parameters: Vec<(String, String)> = pairs.filter(|(name, _)| name != "key").collect();
    let asked = parameters.iter().find(|(name, _)| name == "lang").map(|(_, value)| value.as_str());
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let lang = web::choose_lang(asked, cookie(headers, LANG_COOKIE), accepted);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    Visit {
        lang,
        now: http.app.clock.now(),
        visitor: caller.map(|caller| Visitor {
            name: caller.name.clone(),
            may_operate: caller.role >= Role::Operator,
            may_administer: caller.role >= Role::Admin,
            has_session: caller.session.is_some(),
            may_log_in: caller.key.is_none() && !caller.is_implicit,
            form_token: caller.form_token(http),
        }),
        path: uri.path().to_owned(),
        parameters,
        origin: http.app.settings.public_url.clone().unwrap_or_else(|| format!("http://{host}")),
    }
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(other, _)| *other == name).map(|(_, value)| value)
}

/// The headers of a view, and the cookie of a language that was chosen just now.
pub(super) fn describe(response: &mut Response, visit: &Visit, uri: &Uri) -> Result<(), Problem> {
    describe_any(response)?;
    insert(response, header::CONTENT_TYPE, "text/html; charset=utf-8")?;
    insert(response, header::CONTENT_LANGUAGE, visit.lang.tag())?;
    let asked = visit.parameter("lang").and_then(Lang::parse);
    if uri.query().is_some() && asked.is_some() {
        let tag = visit.lang.tag();
        let cookie = format!("{LANG_COOKIE}={tag}; Path=/; Max-Age={LANG_SECONDS}; SameSite=Lax");
        let value = HeaderValue::from_str(&cookie).map_err(|e| Problem::internal(&e))?;
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(())
}

fn describe_any(response: &mut Response) -> Result<(), Problem> {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address may have a search; `Origin` is still sent with forms.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::VARY, "accept-encoding, accept-language, authorization, cookie"),
    ] {
        insert(response, name, value)?;
    }
    Ok(())
}

fn insert(response: &mut Response, name: HeaderName, value: &str) -> Result<(), Problem> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
    Ok(())
}

/// An asset's name says its content, so it never changes. It is the same for everybody, and needs no key.
async fn asset(Path(file): Path<String>) -> Response {
    let Some(asset) = web::asset(&format!("/assets/{file}")) else {
        return Problem::new(StatusCode::NOT_FOUND, "there is no such asset").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, asset.text).into_response()
}

/// Writes a problem as a page in the visitor's language.
pub(super) async fn problems_as_pages(State(http): State<Http>, request: Request, next: Next) -> Response {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let may_log_in = session::may_log_in(&request);
    let named = auth::named(&request);
    let response = next.run(request).await;
    let is_problem = response.extensions().get::<ProblemDetail>().is_some();
    if is_problem && response.status() == StatusCode::UNAUTHORIZED && may_log_in {
        return session::ask_to_log_in(&visit(&http, &uri, &headers, None), &uri, named);
    }
    let caller = response.extensions().get::<Caller>().cloned();
    as_page(&http, &uri, &headers, caller.as_ref(), response)
}

/// The same for addresses that programs ask for as well, which get problem details.
pub(super) async fn problems_for_browsers(State(http): State<Http>, request: Request, next: Next) -> Response {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let caller = request.extensions().get::<Caller>().cloned();
    let wants_page = wants_page(request.method(), &headers);
    let response = next.run(request).await;
    if wants_page { as_page(&http, &uri, &headers, caller.as_ref(), response) } else { response }
}

fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && negotiate::AcceptedMedia::of(headers).prefers_a_page()
}

/// The response to an address that leads nowhere.
pub(super) async fn nothing_here(State(http): State<Http>, request: Request) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, say!("problem-no-page")).into_response();
    let mut response = match wants_page(request.method(), request.headers()) {
        true => {
            let (uri, headers) = (request.uri().clone(), request.headers().clone());
            let caller = visitor_of(&http, request).await;
            as_page(&http, &uri, &headers, caller.as_ref(), problem)
        }
        false => problem,
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Who visits with a session, or needs no key. A key is not looked at: whether it is one must not be learned here.
async fn visitor_of(http: &Http, request: Request) -> Option<Caller> {
    if !session::may_log_in(&request) {
        return None;
    }
    let (named, presented) = (auth::named(&request), session::Presented::by(http, &request));
    // Nothing is read of the body.
    drop(request);
    let caller = presented.caller(http).await.ok()?.ok()?;
    caller.check_page(http, named).is_ok().then_some(caller)
}

/// A problem as a page; a response that is none stays as it is.
fn as_page(http: &Http, uri: &Uri, headers: &HeaderMap, caller: Option<&Caller>, response: Response) -> Response {
    let Some(ProblemDetail(detail)) = response.extensions().get().cloned() else { return response };
    let visit = visit(http, uri, headers, caller);
    let status = response.status();
    let (trouble, detail) = match status {
        StatusCode::UNAUTHORIZED => (Trouble::Unauthenticated, Detail::None),
        StatusCode::FORBIDDEN => (Trouble::Forbidden, Detail::OfApi(detail)),
        StatusCode::NOT_FOUND => (Trouble::NotFound, Detail::None),
        StatusCode::GONE => (Trouble::Gone, Detail::OfApi(detail)),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => (Trouble::Unavailable, Detail::None),
        status if status.is_server_error() => (Trouble::Internal, Detail::OfApi(detail)),
        _ => (Trouble::BadRequest, Detail::OfApi(detail)),
    };
    let mut page = (status, web::error_page(&visit, trouble, &detail)).into_response();
    // Of the body nothing is kept. With the challenge, a browser would ask for a password by itself.
    let of_body = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];
    let is_kept = |name, value: &HeaderValue| !of_body.contains(name) && *value != auth::BASIC_CHALLENGE;
    let kept = response.headers().iter().filter(|(name, value)| is_kept(name, value));
    for (name, value) in kept {
        page.headers_mut().append(name, value.clone());
    }
    match describe(&mut page, &visit, uri) {
        Ok(()) => page,
        Err(problem) => problem.into_response(),
    }
}
