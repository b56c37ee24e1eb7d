use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::samples::{noise, product, zip};
use crate::harness::{KEY, Options, TestApp};

/// More than the system takes in for a client that does not read.
const SIZE: usize = 24 << 20;

/// Asks for a file and reads nothing of the answer.
async fn unread(app: &TestApp, path: &str) -> TcpStream {
    let address = app.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // A connection that was kept for another request would not end with the answer.
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a request");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_downloads_lose_their_slots() {
    let values = [("downloads.at_once", "3"), ("downloads.per_key", "2"), ("downloads.stall", "200ms")];
    let values = values.map(|(key, value)| (key, value.to_owned())).into();
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    let bytes = noise(SIZE);
    let deck = zip(&[("dados.bin", &bytes)]);
    let number = app.portal.add(product(1, "Deck", "deck.zip", deck.clone()));
    let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    let (file, member) = (format!("/files/{id}"), format!("/files/{id}/members/dados.bin"));
    let mut clients = Vec::new();
    for path in [&file, &member, &file, &member, &file, &member] {
        clients.push(unread(&app, path).await);
    }
    // Earlier clients lose their slots; each is answered in turn or with 503.
    let answered = async {
        loop {
            let answer = app.get(&file).await;
            match answer.status().as_u16() {
                200 => break answer.bytes().await.expect("bytes"),
                503 => assert!(answer.headers().contains_key("retry-after")),
                other => panic!("{other}"),
            }
        }
    };
    let got = tokio::time::timeout(crate::harness::PATIENCE, answered).await.expect("a response");
    assert!(got == deck);
    let mut cut = 0;
    for mut client in clients {
        let mut got = Vec::new();
        let read = tokio::time::timeout(crate::harness::PATIENCE, client.read_to_end(&mut got)).await;
        let _ = read.expect("an end");
        cut += u32::from(got.starts_with(b"HTTP/1.1 200") && got.len() < SIZE);
    }
    // At least two lost their slots; the one that came last may have been read in time.
    assert!(cut >= 2, "{cut}");
}
