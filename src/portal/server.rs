//! The portal's addresses: the download, the buttons, "Exibir Detalhes", the faults.
use std::io::Write;
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

use super::token::{self, Refused};
use super::{Content, Faults, Portal, Product, Version, held, validators};

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
    let shown = |product: Product| {
        json!({
            "numero": product.number,
            "nome": product.name,
            "versoes": product.versions.len(),
            "pendente": product.delivery.as_ref().is_some_and(|delivery| !delivery.is_delivered()),
            "entrega": product.delivery,
        })
    };
    Json(portal.products().into_iter().map(shown).collect())
}

async fn enviar(State(portal): State<Portal>, Path(number): Path<u32>) -> Response {
    found(portal.enviar(number).await)
}

async fn publish(State(portal): State<Portal>, Path(number): Path<u32>) -> Response {
    found(portal.publish(number).await)
}

fn found(delivery: Option<super::Delivery>) -> Response {
    match delivery {
        Some(delivery) => Json(delivery).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "there is no such product; `acervo simulate detalhes` lists them\n").into_response()
        }
    }
}

async fn faults(State(portal): State<Portal>) -> Json<Faults> {
    Json(held(&portal.inner.faults).clone())
}

async fn set_faults(State(portal): State<Portal>, Json(faults): Json<Faults>) -> Json<Faults> {
    portal.set_faults(faults.clone());
    Json(faults)
}

async fn download(State(portal): State<Portal>, RawQuery(query): RawQuery, asked: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let find = |wanted: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    let claims = match token::verify(&portal.inner.key, &find("token").unwrap_or_default(), portal.now()) {
        Ok(claims) => claims,
        Err(Refused::Dead) => return page(StatusCode::FORBIDDEN, "O link expirou."),
        Err(Refused::Forged) => return page(StatusCode::UNAUTHORIZED, "Acesso negado."),
    };
    let offered = portal.products().into_iter().find_map(|product| {
        let version = product.versions.iter().rev().find(|version| product.claim_path(version) == claims.url)?.clone();
        Some((product, version))
    });
    let Some((product, version)) = offered else { return page(StatusCode::NOT_FOUND, "Página não encontrada") };
    held(&portal.inner.downloads).push(claims.url);
    let hops: u32 = find("hop").and_then(|hop| hop.parse().ok()).unwrap_or_default();
    let faults = if hops == 0 { held(&portal.inner.faults).meet(product.number) } else { Faults::default() };
    tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    if hops > 1 || faults.redirects > 0 {
        let left = if hops > 1 { hops - 1 } else { faults.redirects };
        let token = find("token").unwrap_or_default();
        let to = format!("/ONS.Sintegre.Proxy/webhook?token={token}&hop={left}");
        return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    }
    let validators = *held(&portal.inner.validators);
    let vouched = validators.of(&version);
    if let Some((name, value)) = vouched.clone().filter(|(name, value)| validators::is_known(&asked, name, value)) {
        return validators::not_modified(name, value);
    }
    let mut response = answer(&portal, &product, &version, &faults).await;
    if response.status() == StatusCode::OK {
        portal.inner.bodies.fetch_add(1, Ordering::SeqCst);
        response.headers_mut().extend(vouched);
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

async fn answer(portal: &Portal, product: &Product, version: &Version, faults: &Faults) -> Response {
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
        let packed = held(&portal.inner.bomb).clone();
        return ([(header::CONTENT_ENCODING, "gzip")], packed).into_response();
    }
    if let Some(body) = odd_body(version, faults) {
        return body;
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

/// Bodies that are not what a file should be: dripping or endless.
fn odd_body(version: &Version, faults: &Faults) -> Option<Response> {
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

/// So many bytes of nothing, packed.
pub(super) fn packed_nothing(bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let piece = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let some = left.min(piece.len() as u64);
        packed.write_all(&piece[..usize::try_from(some).unwrap_or(piece.len())])?;
        left -= some;
    }
    packed.finish()
}

/// Some bytes, then the end of the connection.
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

/// The forms seen: plain and quoted for plain names; one long encoded word for those with accents, and by turns for others.
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
