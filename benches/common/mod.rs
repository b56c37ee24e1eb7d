//! Shared by the benchmarks: the entry point, a minimal HTTP client, statistics.
mod run;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use run::run;

/// A persistent connection. A minimal client, so that the service is what is measured.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a service");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request and returns the status and body.
    pub async fn send(&mut self, request: &[u8]) -> (u16, Vec<u8>) {
        self.stream.write_all(request).await.expect("a connection");
        self.buffer.clear();
        let (mut end, mut length) = (0, usize::MAX);
        while length == usize::MAX || self.buffer.len() < end + length {
            if self.stream.read_buf(&mut self.buffer).await.expect("a connection") == 0 {
                panic!("the connection was closed");
            }
            if let (usize::MAX, Some(at)) = (length, self.buffer.windows(4).position(|w| w == b"\r\n\r\n")) {
                let head = String::from_utf8_lossy(&self.buffer[..at]).to_ascii_lowercase();
                let field = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                length = field.map_or(0, |value| value.trim().parse().expect("a length"));
                end = at + 4;
            }
        }
        let status = std::str::from_utf8(&self.buffer[9..12]).expect("a status").parse().expect("a status");
        (status, self.buffer[end..].to_vec())
    }
}

/// The bytes of a POST request.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The percentile of a sorted list.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
