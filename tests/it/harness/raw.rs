//! Requests written byte by byte, as no library writes them.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, TestApp};

/// Sends bytes and returns everything received until the other side closes.
pub async fn exchange(app: &TestApp, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(app).await;
    stream.write_all(request.as_ref()).await.expect("a connection");
    rest(&mut stream).await
}

/// The status of the response to a request that is sent as given, with `Connection: close` added.
pub async fn status(app: &TestApp, line: &str, headers: &[&str], body: &str) -> u16 {
    let answer = exchange(app, text(line, headers, body)).await;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {line} {headers:?}: {answer:?}"))
}

/// A request as text.
pub fn text(line: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.url.trim_start_matches("http://")).await.expect("a connection")
}

/// All that comes until the other side closes.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end in time");
    // A reset after the answer is an end too.
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}
