//! The database of an archive, opened by the test itself: for rows that the interface neither returns nor writes.
use std::path::Path;
use std::time::Duration;

use acervo::domain::{ObjectChange, StoredFile};
use acervo::leaves::record::{Capacity, Claim, FetchedFile, Location, Record, ReplayRule};
use sea_orm::{Database, DatabaseConnection};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::TestApp;
use super::links::FileServer;
use super::notice::Notice;

/// The address of an archive's database: `url`, or without one SQLite's file in the archive's folder.
pub fn address(url: Option<&str>, folder: &Path) -> String {
    url.map_or_else(|| format!("sqlite://{}", folder.join("data/acervo.db").display()), str::to_owned)
}

pub async fn connect(address: &str) -> DatabaseConnection {
    Database::connect(address).await.expect("the database")
}

/// Opens a database as the service does.
pub async fn open_record(address: &str) -> Record {
    let location = Location::from_url(&SecretString::from(address));
    let rule = ReplayRule { at_least: 20, gap: Duration::from_secs(60) };
    Record::open(&location, 10, rule).await.expect("a database")
}

impl TestApp {
    pub fn database_address(&self) -> String {
        let url = self.app.settings.database_url.as_ref().map(|url| url.expose_secret());
        address(url, self.folder.path())
    }

    /// A connection of its own to the service's database.
    pub async fn database(&self) -> DatabaseConnection {
        connect(&self.database_address()).await
    }
}

/// A fetched file of which nothing but its bytes is known.
pub fn fetched_file(file: StoredFile) -> FetchedFile {
    FetchedFile {
        file,
        change: ObjectChange::New,
        stored_digest: None,
        file_name: "a.txt".into(),
        extension: Some("txt".into()),
        content_type: None,
        warnings: Vec::new(),
        list_later: false,
        members: Vec::new(),
        validator: None,
        again_at: None,
    }
}

/// Claims of `count` new notifications, each of a product of its own. The service has no jobs.
pub async fn claims(app: &TestApp, count: usize) -> Vec<Claim> {
    let links = FileServer::start().await;
    for n in 0..count {
        let link = links.link(&json!({ "URL": format!("/sites/1/Produtos/{n}"), "IsFile": "True" }));
        let body = Notice::new(format!("P{n}")).link(link).to_string();
        assert_eq!(app.notify(&body).await.0, 202);
    }
    let capacity = Capacity { total: count, per_host: count, hosts: Default::default() };
    let (record, now) = (acervo::leaves::record(&app.app), app.app.clock.now());
    record.intake().caught_up().await;
    let claims = record.queue().claim(now, now, Duration::from_secs(600), capacity).await.expect("claims");
    assert_eq!(claims.len(), count);
    claims
}
