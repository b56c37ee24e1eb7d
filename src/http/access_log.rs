//! The access log: one line for each request, with the name of its key and without secrets.
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::server::Exchange;
use super::{Http, throttle};
use crate::domain::{first_chars, printable, redacted};

/// The name of the key that a request was admitted with, on its response.
#[derive(Clone, Debug)]
pub(super) struct AdmittedKey(pub String);

/// A longer path with its parameters is cut.
const PATH_CHARS_MAX: usize = 2000;

/// Parameters whose values are never logged.
const SECRET_PARAMETERS: &[&str] =
    &["key", "token", "access_token", "api_key", "apikey", "password", "secret", "authorization"];

/// Logs a request once its response begins, if `log.access` is set.
pub(super) async fn log(State(http): State<Http>, request: Request, next: Next) -> Response {
    if !http.app.settings.log_access {
        return next.run(request).await;
    }
    let began = Instant::now();
    let method = request.method().clone();
    let path = logged_path(request.uri().path(), request.uri().query());
    let exchange = request.extensions().get::<Exchange>();
    let client = throttle::client_address(&http.app.settings.trusted_proxies, exchange, request.headers());
    let response = next.run(request).await;
    let key = response.extensions().get::<AdmittedKey>().map_or("-", |AdmittedKey(name)| name.as_str());
    tracing::info!(
        key,
        %method,
        path,
        status = response.status().as_u16(),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        client = client.map(|address| address.to_string()),
        "request"
    );
    response
}

/// The path and the parameters, in which links and e-mail addresses are redacted as everywhere.
fn logged_path(path: &str, query: Option<&str>) -> String {
    let mut text = printable(path).into_owned();
    if let Some(query) = query {
        let mut parameters = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let is_secret = SECRET_PARAMETERS.iter().any(|secret| name.trim().eq_ignore_ascii_case(secret))
                || value.trim().starts_with("acervo_");
            parameters.append_pair(&name, if is_secret { "REDACTED" } else { &value });
        }
        text.push('?');
        text.push_str(&parameters.finish());
    }
    // Redacted first, since a truncated token is not recognised.
    first_chars(&redacted(&text), PATH_CHARS_MAX).to_owned()
}
