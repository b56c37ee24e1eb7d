//! Waits for a service to finish its work.
use std::time::{Duration, Instant};

use super::common::{self, Connection};

/// The timeout.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until all files are fetched and all changes are indexed.
pub async fn wait_until_idle(connection: &mut Connection) {
    let query = serde_json::json!({ "query": "{ status { queued fetching retrying indexLag } }" }).to_string();
    let request = common::post("/graphql", &query);
    let began = Instant::now();
    loop {
        let (_, body) = connection.send(&request).await;
        let response: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let status = &response["data"]["status"];
        let number = |key: &str| status[key].as_u64().expect("a number");
        assert!(began.elapsed() < PATIENCE, "work hangs: {status}");
        if number("queued") + number("fetching") + number("retrying") + number("indexLag") == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
