//! The routes of the portal: the download, the buttons, "Exibir Detalhes", the faults.
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::token::{self, InvalidToken};
use super::{Content, Faults, Portal, Product, Version, lock, validators};

pub(super) fn router(portal: Portal) -> Router {
    Router::new()
        .route("/ONS.Sintegre.Proxy/webhook", get(download))
        .route("/detalhes", get(details))
        .route("/enviar/{number}", post(enviar))
        .route("/enviar-tudo", post(|State(portal): State<Portal>| async move { Json(portal.enviar_tudo().await) }))
        .route(
            "/reenviar-pendentes",
            post(|State(portal): State<Portal>| async move { Json(portal.reenviar_pendentes().await) }),
        )
        .route("/publicar/{number}", post(publish))
        .route("/falhas", get(faults).put(set_faults))
        .with_state(portal)
}

async fn details(State(portal): State<Portal>) -> Json<Value> {
    let details = |product: Product| {
        json!({
            "numero": product.number,
            "nome": product.name,
            "versoes": product.versions.len(),
            "pendente": product.delivery.as_ref().is_some_and(|delivery| !delivery.is_delivered()),
            "entrega": product.delivery,
        })
    };
    Json(portal.products().into_iter().map(details).collect())
}

async fn enviar(State(portal): State<Portal>, Path(number): Path<u32>) -> Response {
    delivered(portal.enviar(number).await)
}

async fn publish(State(portal): State<Portal>, Path(number): Path<u32>) -> Response {
    delivered(portal.publish(number).await)
}

fn delivered(delivery: Option<super::Delivery>) -> Response {
    match delivery {
        Some(delivery) => Json(delivery).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "there is no such product; `acervo simulate detalhes` lists them\n").into_response()
        }
    }
}

async fn faults(State(portal): State<Portal>) -> Json<Faults> {
    Json(lock(&portal.inner.faults).clone())
}

async fn set_faults(State(portal): State<Portal>, Json(faults): Json<Faults>) -> Response {
    if let Err(problem) = faults.check() {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("{problem}\n")).into_response();
    }
    portal.set_faults(faults.clone());
    Json(faults).into_response()
}

async fn download(State(portal): State<Portal>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let find = |wanted: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let claims = match token::verify(&portal.inner.key, &find("token").unwrap_or_default(), portal.now()) {
        Ok(claims) => claims,
        Err(InvalidToken::Expired) => return page(StatusCode::FORBIDDEN, "O link expirou."),
        Err(InvalidToken::Forged) => return page(StatusCode::UNAUTHORIZED, "Acesso negado."),
    };
    let requested = portal.products().into_iter().find_map(|product| {
        let version = product.versions.iter().rev().find(|version| product.claim_path(version) == claims.url)?.clone();
        Some((product, version))
    });
    let Some((product, version)) = requested else { return page(StatusCode::NOT_FOUND, "Página não encontrada") };
    lock(&portal.inner.downloads).push(claims.url);
    let hops: u32 = find("hop").and_then(|hop| hop.parse().ok()).unwrap_or_default();
    let faults = if hops == 0 { lock(&portal.inner.faults).take(product.number) } else { Faults::default() };
    tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    if hops > 1 || faults.redirects > 0 {
        let left = if hops > 1 { hops - 1 } else { faults.redirects };
        let token = find("token").unwrap_or_default();
        let to = format!("/ONS.Sintegre.Proxy/webhook?token={token}&hop={left}");
        return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    }
    let validators = *lock(&portal.inner.validators);
    let validator = validators.of(&version);
    if let Some((name, value)) = validator.clone().filter(|(name, value)| validators::is_known(&headers, name, value)) {
        return validators::not_modified(name, value);
    }
    let mut response = respond(&portal, &product, &version, &faults).await;
    if response.status() == StatusCode::OK {
        portal.inner.bodies.fetch_add(1, Ordering::SeqCst);
        response.headers_mut().extend(validator);
    }
    response
}

fn page(status: StatusCode, text: &str) -> Response {
    (
        status,
        Html(format!(
            "<!DOCTYPE html>\n<html><head><title>SINtegre</title></head><body><h1>{text}</h1></body></html>\n"
        )),
    )
        .into_response()
}

async fn respond(portal: &Portal, product: &Product, version: &Version, faults: &Faults) -> Response {
    if faults.expired {
        return page(StatusCode::FORBIDDEN, "O link expirou.");
    }
    if let Some(status) = faults.status.and_then(|status| StatusCode::from_u16(status).ok()) {
        let mut response = (status, "fault\n").into_response();
        if let Some(seconds) = faults.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return response;
    }
    if faults.html {
        return page(StatusCode::OK, "Página não encontrada");
    }
    if faults.bomb > 0 {
        let compressed = lock(&portal.inner.bomb).clone();
        return ([(header::CONTENT_ENCODING, "gzip")], compressed).into_response();
    }
    if let Some(response) = slow_or_endless(version, faults) {
        return response;
    }
    if let (Content::File(path), Faults { cut_after: None, longer_by: 0, .. }) = (&version.content, faults) {
        return from_disk(product, version, path).await;
    }
    let content = version.content.clone();
    let bytes = match tokio::task::spawn_blocking(move || content.bytes()).await {
        Ok(Ok(bytes)) => bytes,
        _ => return (StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n").into_response(),
    };
    let length = bytes.len() + faults.longer_by;
    let body = match faults.cut_after {
        None if faults.longer_by == 0 => Body::from(bytes),
        cut => broken(bytes.slice(..cut.unwrap_or(bytes.len()).min(bytes.len()))),
    };
    with_headers(product, version, length as u64, body)
}

/// A response that sends a byte now and then, or without end.
fn slow_or_endless(version: &Version, faults: &Faults) -> Option<Response> {
    if faults.drip_ms > 0 {
        let bytes = version.content.bytes().ok()?;
        let every = Duration::from_millis(faults.drip_ms);
        let drops = stream::unfold(0, move |at| {
            let drop = (at < bytes.len()).then(|| bytes.slice(at..at + 1));
            async move {
                tokio::time::sleep(every).await;
                Some((Ok::<_, std::io::Error>(drop?), at + 1))
            }
        });
        return Some(Body::from_stream(drops).into_response());
    }
    if faults.endless {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        return Some(
            Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()))).into_response(),
        );
    }
    None
}

/// A number of zero bytes, compressed with gzip.
pub(super) fn compressed_zeros(length: u64) -> Vec<u8> {
    let mut compressed = Vec::new();
    let zeros = std::io::repeat(0).take(length);
    // Reading zeros and writing into memory cannot fail.
    let _ = flate2::read::GzEncoder::new(zeros, flate2::Compression::best()).read_to_end(&mut compressed);
    compressed
}

/// Some bytes, then a broken connection.
fn broken(bytes: Bytes) -> Body {
    let pieces = [Ok(bytes), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    Body::from_stream(stream::iter(pieces))
}

async fn from_disk(product: &Product, version: &Version, path: &std::path::Path) -> Response {
    let opened = async {
        let file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        Ok::<_, std::io::Error>((file, length))
    };
    match opened.await {
        Ok((file, length)) => {
            let pieces = tokio_util::io::ReaderStream::with_capacity(file, 256 << 10);
            with_headers(product, version, length, Body::from_stream(pieces))
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n").into_response(),
    }
}

fn with_headers(product: &Product, version: &Version, length: u64, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, length.into());
    let name = if product.is_file { version.file_name.clone() } else { format!("{}.zip", product.name) };
    if let Ok(disposition) = HeaderValue::from_str(&disposition(product.number, &name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// As the real portal sends it: plain or quoted for plain names, one long encoded word for names with accents and for some
/// others.
fn disposition(number: u32, name: &str) -> String {
    let encoded = format!("attachment; filename=\"=?utf-8?B?{}?=\"", STANDARD.encode(name));
    if !name.is_ascii() {
        return encoded;
    }
    match number % 3 {
        0 if !name.contains([' ', ';', ',']) => format!("attachment; filename={name}"),
        1 => encoded,
        _ => format!("attachment; filename=\"{name}\""),
    }
}
