//! Log-in on the page: a key of the API once, then the cookie of a session.
//!
//! The cookie has a random token and counts only in requests of our own pages, under our own name. Forms that change something
//! carry a second token, which is derived from the first, so a page that can make a browser send the cookie still changes nothing.
use std::fmt;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use url::Url;

use super::access_log::AdmittedKey;
use super::auth::{self, Caller, PresentedKey, Refusal};
use super::origin::{self, HostMatch, Initiator};
use super::server::Exchange;
use super::{Http, Problem, bodies, page};
use crate::domain::{Digest, excerpt};
use crate::web::{self, LoginError, Visit};

/// The largest form of the page.
const FORM_BYTES_MAX: usize = 64 << 10;

/// Cookies of our name that are looked at; a browser sends one.
const COOKIES_MAX: usize = 4;

/// The token of a session, as the browser has it.
#[derive(Clone)]
pub(super) struct SessionToken(String);

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken([REDACTED])")
    }
}

/// What a request presents: a key, or cookies of sessions.
pub(super) struct Presented {
    key: Option<PresentedKey>,
    sessions: Vec<String>,
}

impl Presented {
    pub fn by(http: &Http, request: &Request) -> Self {
        let key = auth::presented_key(request.method(), request.uri(), request.headers());
        let counts = key.is_none() && auth::named(request).takes_cookies();
        let sessions = if counts { cookies(http, request.headers()) } else { Vec::new() };
        Self { key, sessions }
    }

    /// The caller. A session that has ended counts as none.
    pub async fn caller(self, http: &Http) -> Result<Result<Caller, Refusal>, Problem> {
        for token in self.sessions {
            let key = http.app.key_of_session(&token).await.map_err(|e| Problem::internal(&e))?;
            if let Some(key) = key {
                http.app.access.note_use(&key.name, http.app.clock.now());
                let session = Some(SessionToken(token));
                return Ok(Ok(Caller {
                    role: key.role,
                    name: key.name,
                    key: Some(key.hash),
                    is_implicit: false,
                    session,
                }));
            }
        }
        Ok(auth::caller(&http.app, self.key.as_ref()))
    }
}

impl Caller {
    /// Whether the key, and the session, of a caller who stays are still good.
    pub async fn is_still_known(&self, http: &Http) -> bool {
        match (&self.session, self.key) {
            (Some(SessionToken(token)), _) => match http.app.key_of_session(token).await {
                Ok(key) => key.is_some(),
                Err(error) => {
                    tracing::warn!(%error, "cannot check whether a session has ended");
                    true
                }
            },
            (None, Some(key)) => http.app.access.is_valid(key, http.app.clock.now()),
            (None, None) => true,
        }
    }

    /// What a form of this caller must carry to change something.
    pub fn form_token(&self, http: &Http) -> String {
        let secret = match &self.session {
            // Known to every replica, and the same after a restart.
            Some(SessionToken(token)) => format!("form of the session {token}"),
            None => {
                let key = self.key.map(|key| key.to_string()).unwrap_or_default();
                format!("form of the key {key} {}", hex::encode(http.form_secret))
            }
        };
        Digest::of(secret.as_bytes()).to_string()
    }
}

/// With `__Host-` a browser takes the cookie from this host alone, not from a neighbour under the same domain.
fn cookie_name(http: &Http) -> &'static str {
    if is_secure(http) { "__Host-acervo" } else { "acervo_session" }
}

fn is_secure(http: &Http) -> bool {
    http.app.settings.public_url.as_deref().is_some_and(|url| url.to_ascii_lowercase().starts_with("https:"))
}

fn cookies(http: &Http, headers: &HeaderMap) -> Vec<String> {
    let name = cookie_name(http);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = pairs.filter(|(other, value)| *other == name && !value.is_empty());
    ours.map(|(_, value)| value.to_owned()).take(COOKIES_MAX).collect()
}

/// The header that sets the cookie; without a token it deletes it.
fn set_cookie(http: &Http, token: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if is_secure(http) { "; Secure" } else { "" };
    let name = cookie_name(http);
    let cookie = format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|e| Problem::internal(&e))?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// A form that was sent: names and values.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// The value of a field, trimmed; empty if it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }
}

/// Refuses a form that a foreign page sent, or under a foreign name.
pub(super) fn check_page(http: &Http, request: &Request) -> Result<(), Problem> {
    let named = auth::named(request);
    match named.initiator {
        _ if !named.is_ours => Err(origin::foreign_host(http)),
        Initiator::Ours => Ok(()),
        Initiator::Listed | Initiator::Link | Initiator::Foreign => Err(origin::foreign_page()),
    }
}

pub(super) async fn read_form(http: &Http, request: Request) -> Result<Form, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
    let exchange = request.extensions().get::<Exchange>().cloned();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        bodies::discard(request.into_body()).await;
        let detail = format!("the content type is `{}`: send application/x-www-form-urlencoded", excerpt(&media));
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = http.api_memory.read(request.into_body(), FORM_BYTES_MAX, exchange.as_ref()).await?;
    Ok(Form(url::form_urlencoded::parse(&body.bytes).into_owned().collect()))
}

/// Refuses a form without the token that our page gave this caller.
pub(super) fn check_form(http: &Http, caller: &Caller, form: &Form) -> Result<(), Problem> {
    let is_ours: bool = form.get("token").as_bytes().ct_eq(caller.form_token(http).as_bytes()).into();
    if is_ours {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "the form is not one of this page, or is too old: load the page again"))
}

/// Where to go after a log-in: an address of ours, else the first page.
pub(super) fn local_path(next: &str) -> String {
    let start = "http://acervo.invalid/";
    let joined = Url::parse(start).and_then(|base| base.join(next));
    match joined {
        Ok(url) if next.starts_with('/') && url.as_str().starts_with(start) && !url.path().starts_with("//") => {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{}{query}", url.path())
        }
        _ => "/".to_owned(),
    }
}

pub(super) fn see_other(path: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(path).map_err(|e| Problem::internal(&e))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

pub(super) fn routes(http: &Http) -> Router<Http> {
    Router::new()
        .route("/login", get(show_login).post(log_in))
        .route("/logout", post(log_out))
        .layer(axum::middleware::from_fn_with_state(http.clone(), page::problems_as_pages))
}

/// `GET /login`: the form, or where it leads for somebody who is logged in.
async fn show_login(State(http): State<Http>, request: Request) -> Response {
    match try_show_login(&http, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn try_show_login(http: &Http, request: Request) -> Result<Response, Problem> {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let named = auth::named(&request);
    let presented = Presented::by(http, &request);
    // Nothing is read of the body.
    drop(request);
    let next = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).find(|(name, _)| name == "next");
    let next = local_path(next.map(|(_, next)| next).as_deref().unwrap_or("/"));
    let caller = presented.caller(http).await?;
    if !named.is_ours {
        return Err(origin::foreign_host(http));
    }
    // Without keys nobody needs to log in.
    if caller.is_ok_and(|caller| caller.session.is_some() || caller.is_implicit) {
        return see_other(&next);
    }
    let visit = page::visit(http, &uri, &headers, None);
    let mut response = web::login_page(&visit, &next, None, None).into_response();
    page::describe(&mut response, &visit, &uri)?;
    Ok(response)
}

/// Whether the response to a request that needs a key can be a form instead.
pub(super) fn may_log_in(request: &Request) -> bool {
    let has_key = auth::presented_key(request.method(), request.uri(), request.headers()).is_some();
    !has_key && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The form in the place of a view. A browser sends no cookie with a link from another site, so the form then asks again by itself.
pub(super) fn ask_to_log_in(visit: &Visit, uri: &Uri, named: HostMatch) -> Response {
    let next = local_path(uri.path_and_query().map(|path| path.as_str()).unwrap_or("/"));
    let again = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
    let again = format!("/login?{again}");
    let is_link = named.initiator == Initiator::Link;
    let form = web::login_page(visit, &next, None, is_link.then_some(again.as_str()));
    let mut response = (StatusCode::UNAUTHORIZED, form).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    match page::describe(&mut response, visit, uri) {
        Ok(()) => response,
        Err(problem) => problem.into_response(),
    }
}

/// `POST /login`: a form with a key.
async fn log_in(State(http): State<Http>, request: Request) -> Response {
    match try_log_in(&http, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn try_log_in(http: &Http, request: Request) -> Result<Response, Problem> {
    if let Err(problem) = check_page(http, &request) {
        return Ok(bodies::refuse(problem, request).await);
    }
    let exchange = request.extensions().get::<Exchange>().cloned();
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let Some(permit) = auth::permit(http, exchange.as_ref()).await else {
        return Ok(bodies::refuse(auth::busy(), request).await);
    };
    let form = read_form(http, request).await?;
    let next = local_path(form.get("next"));
    let caller = auth::caller(&http.app, Some(&auth::key_in_text(form.get("key"))));
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => {
            // Many may wait at once.
            drop((form, permit));
            let error = deny(http, &refusal, &headers, exchange.as_ref()).await;
            return failed(http, error, &next, &uri, &headers);
        }
    };
    // The browser's earlier session ends: it is replaced in the browser, and nobody else should have it.
    for earlier in cookies(http, &headers) {
        http.app.end_session(&earlier).await.map_err(|e| Problem::internal(&e))?;
    }
    let mut response = see_other(&next)?;
    // Without keys there is nothing to log in with, and nothing is needed.
    if let Some(key) = caller.key {
        let session = http.app.begin_session(key).await.map_err(|e| Problem::internal(&e))?;
        let cookie = set_cookie(http, session.token.expose_secret(), session.lifetime.as_secs())?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.extensions_mut().insert(AdmittedKey(caller.name));
    Ok(response)
}

/// Why a log-in failed, told late so that guessing is slow.
async fn deny(http: &Http, refusal: &Refusal, headers: &HeaderMap, exchange: Option<&Exchange>) -> LoginError {
    match refusal {
        // The key was valid, so nobody guesses it.
        Refusal::Ended(_) => LoginError::Ended,
        Refusal::Missing | Refusal::Unknown => {
            let until = auth::denied_until(http, "login", exchange, headers);
            match auth::wait_denied(http, until, exchange).await {
                true => LoginError::TooMany,
                false => LoginError::Wrong,
            }
        }
    }
}

/// The form again, with what went wrong.
fn failed(http: &Http, error: LoginError, next: &str, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let visit = page::visit(http, uri, headers, None);
    let status = match error {
        LoginError::Wrong | LoginError::Ended => StatusCode::UNAUTHORIZED,
        LoginError::TooMany => StatusCode::TOO_MANY_REQUESTS,
    };
    let mut response = (status, web::login_page(&visit, next, Some(error), None)).into_response();
    page::describe(&mut response, &visit, uri)?;
    let fixed = match error {
        LoginError::TooMany => (header::RETRY_AFTER, "10"),
        LoginError::Wrong | LoginError::Ended => (header::WWW_AUTHENTICATE, "Bearer"),
    };
    response.headers_mut().insert(fixed.0, HeaderValue::from_static(fixed.1));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// `POST /logout`: ends the session here and in the browser.
async fn log_out(State(http): State<Http>, request: Request) -> Response {
    match try_log_out(&http, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn try_log_out(http: &Http, request: Request) -> Result<Response, Problem> {
    if let Err(problem) = check_page(http, &request) {
        return Ok(bodies::refuse(problem, request).await);
    }
    let presented = Presented::by(http, &request);
    let form = read_form(http, request).await?;
    let caller = presented.caller(http).await?.ok();
    let mut response = see_other("/login")?;
    if let Some(caller) = &caller
        && let Some(SessionToken(token)) = &caller.session
    {
        check_form(http, caller, &form)?;
        http.app.end_session(token).await.map_err(|e| Problem::internal(&e))?;
        response.extensions_mut().insert(AdmittedKey(caller.name.clone()));
    }
    response.headers_mut().append(header::SET_COOKIE, set_cookie(http, "", 0)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn a_log_in_leads_to_an_address_of_ours() {
        for (next, path) in [
            ("/operation", "/operation"),
            ("/?search=a%20b&page=2", "/?search=a%20b&page=2"),
            ("/files/x#part", "/files/x"),
            ("", "/"),
            ("operation", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("\\/evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/\t/evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nset-cookie: x", "/aset-cookie:%20x"),
        ] {
            assert_eq!(local_path(next), path, "{next:?}");
        }
    }
}
