//! A service in this process, with the settings of a demo.
use acervo::app::{App, Role};
use acervo::config::{self, Overrides};
use acervo::domain::Clock;

use crate::common::serve;

/// A service on a folder, at a port of its own.
pub async fn service(folder: &std::path::Path) -> (App, String) {
    let values = [
        ("data_dir", folder.display().to_string()),
        ("fetch.allowed_hosts", "127.0.0.1".to_owned()),
        ("fetch.allow_private", "true".to_owned()),
    ];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    let settings = config::load(&Overrides { config: None, values }, &|_| None).expect("sound settings");
    let app = App::open(settings, Role::Server, Clock::default()).await.expect("an archive");
    let address = serve(acervo::http::router(&app)).await;
    (app, address)
}
