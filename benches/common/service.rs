//! A service in this process, with the settings of the demo.
use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;

/// Starts a service on a folder, on a free port.
pub async fn service(folder: &std::path::Path) -> (App, String) {
    let values = [
        ("data_dir", folder.display().to_string()),
        ("fetch.allowed_hosts", "127.0.0.1".to_owned()),
        ("fetch.allow_private", "true".to_owned()),
    ];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    let app = App::open(settings, Role::Server, Clock::default()).await.expect("an archive");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let served = app.clone();
    tokio::spawn(async move { acervo::http::serve(listener, &served, std::future::pending()).await });
    (app, address)
}
