//! Serves a router on a free port.
use tokio::net::TcpListener;

/// Serves a router and returns its address, such as `127.0.0.1:1234`.
pub async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
