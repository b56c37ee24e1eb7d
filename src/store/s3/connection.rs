//! The connection to the service: its address, credentials, retries and HTTP client.
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use secrecy::ExposeSecret;

use super::S3Store;
use crate::config::Bucket;
use crate::engine::outgoing::causes;

/// How long a request is repeated before its error is returned. Work that can wait longer is tried again by its job.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 8;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A response that gives no byte for this long is requested again, from the byte that was missing.
const STALL: Duration = Duration::from_secs(60);

/// The bucket cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("the bucket cannot be used as configured: {0}")]
pub struct BucketError(String);

pub(super) fn open(bucket: &Bucket) -> Result<S3Store, BucketError> {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT })
        // Some services do not know the request that deletes many objects at once.
        .with_disable_bulk_delete(true)
        .with_http_connector(Connector);
    for (name, value) in &bucket.variables {
        let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() else { continue };
        builder = builder.with_config(key, value.expose_secret());
    }
    let service = builder.build().map_err(|e| BucketError(causes(&e)))?;
    let prefix = Path::parse(&bucket.prefix).map_err(|e| BucketError(causes(&e)))?;
    Ok(S3Store { service: Arc::new(service), prefix })
}

/// Makes the client of this process's TLS library. An address of a service is the operator's and may be plain HTTP, and private.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("acervo/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })?;
        Ok(HttpClient::new(client))
    }
}
