//! A client of a service, which runs in this process or in one of its own.
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::polling::Polling;
use super::{KEY, TOKEN};

/// A client of one service.
pub struct Api {
    pub url: String,
    pub client: reqwest::Client,
    /// The log of a service that is a process of its own; printed when a wait fails.
    log: Option<PathBuf>,
}

impl Api {
    /// A client of a service in this process.
    pub fn new(url: String) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { url, client, log: None }
    }

    /// A client of a process. It keeps no connection, since the process may end or be killed at any moment.
    pub fn of_process(url: String, log: &Path) -> Self {
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
        Self { url, client, log: Some(log.to_owned()) }
    }

    /// Sends a body as the portal would.
    pub async fn notify(&self, body: &str) -> (u16, Value) {
        self.send(body.as_bytes().to_vec(), "application/json; charset=UTF-8").await
    }

    pub async fn send(&self, body: Vec<u8>, content_type: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}/webhook", self.url)).header("authorization", TOKEN);
        let response = request.header("content-type", content_type).body(body).send().await.expect("a response");
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("a response")
    }

    /// The response to a query, errors and all.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let request = self.client.post(format!("{}/graphql", self.url)).bearer_auth(KEY).json(&body);
        request.send().await.expect("a response").json().await.expect("JSON")
    }

    /// The data of a query that must succeed.
    pub async fn query(&self, query: &str) -> Value {
        self.query_with(query, json!({})).await
    }

    pub async fn query_with(&self, query: &str, variables: Value) -> Value {
        let response = self.ask(query, variables).await;
        assert!(response.get("errors").is_none(), "{query}: {response}");
        response["data"].clone()
    }

    /// Waits until `total` notifications are recorded, none is open and the index is up to date.
    pub async fn settled(&self, total: u64) {
        let query = "{ all: notifications(first: 1) { totalCount }
            open: notifications(first: 1, filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
        self.until(query, |data| data["all"]["totalCount"].as_u64() >= Some(total) && data["open"]["totalCount"] == 0)
            .await;
        self.indexed().await;
    }

    /// Waits until the index has all changes. This is queried last, because the fields of one query are resolved concurrently and
    /// not at one instant.
    pub async fn indexed(&self) {
        self.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    }

    /// Repeats a query until its data is as expected.
    pub async fn until(&self, query: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let polling = Polling::start();
        loop {
            let data = self.query(query).await;
            if holds(&data) {
                return data;
            }
            polling.pause(|| format!("{query}: {data}{}", self.logged())).await;
        }
    }

    fn logged(&self) -> String {
        let log = self.log.as_ref().map(|log| std::fs::read_to_string(log).expect("a log"));
        log.map(|log| format!(": {log}")).unwrap_or_default()
    }
}
