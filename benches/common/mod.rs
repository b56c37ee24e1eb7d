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
        let end = loop {
            self.read_more().await;
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let status = std::str::from_utf8(&self.buffer[9..12]).expect("a status").parse().expect("a status");
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("transfer-encoding:") == Some("chunked") {
            return (status, self.chunks(end).await);
        }
        let length: usize = field("content-length:").map_or(0, |value| value.parse().expect("a length"));
        while self.buffer.len() < end + length {
            self.read_more().await;
        }
        (status, self.buffer[end..].to_vec())
    }

    /// The body of a response in chunks, the first of which begins at `at`.
    async fn chunks(&mut self, mut at: usize) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line(at).await;
            let size = std::str::from_utf8(&self.buffer[at..line]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            at = line + 2;
            while self.buffer.len() < at + size + 2 {
                self.read_more().await;
            }
            body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
            if size == 0 {
                return body;
            }
        }
    }

    /// Where the line that begins at `from` ends.
    async fn line(&mut self, from: usize) -> usize {
        loop {
            if let Some(length) = self.buffer[from..].windows(2).position(|window| window == b"\r\n") {
                return from + length;
            }
            self.read_more().await;
        }
    }

    async fn read_more(&mut self) {
        if self.stream.read_buf(&mut self.buffer).await.expect("a connection") == 0 {
            panic!("the connection was closed");
        }
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
