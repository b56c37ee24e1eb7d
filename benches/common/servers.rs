//! Servers of this benchmark, each in a process of its own.
use std::process::Command;

use acervo::domain::{NotificationId, ParsedNotification};
use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::json;

use super::process::{Process, free_address};

/// What limits a receiver without a store: it parses each notification as Acervo does and answers 202 with an id.
pub const NULL: &str = "null";

/// A small file for each link, derived from its token.
pub const FILES: &str = "files";

/// Starts one of them.
pub fn start(role: &str) -> Process {
    let address = free_address();
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    Process::start(command.args([role, &address]), address)
}

/// The process of one of them.
pub async fn serve(role: &str, address: &str) {
    let router = match role {
        NULL => Router::new().route("/webhook", post(parse)),
        _ => Router::new().fallback(file),
    };
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port");
    axum::serve(listener, router).await.expect("a server");
}

async fn parse(body: bytes::Bytes) -> (StatusCode, axum::Json<serde_json::Value>) {
    let notification = ParsedNotification::from_json(&body).expect("a JSON object");
    notification.outcome.expect("a notification that can be used");
    (StatusCode::ACCEPTED, axum::Json(json!({ "id": NotificationId::new().to_string() })))
}

async fn file(RawQuery(query): RawQuery) -> String {
    query.unwrap_or_default().repeat(20)
}
