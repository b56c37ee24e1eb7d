//! Sends spans to a collector by OTLP over HTTP. They wait in a queue of limited length, and what does not fit, or is not taken, is
//! dropped: nothing else waits for them.
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use url::Url;

use super::{Ids, TRACER};

/// How long a collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last batch.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the spans of a service go, below the address of a collector.
const PATH: &str = "/v1/traces";

/// Sends the spans of this process.
pub struct Exporter(SdkTracerProvider);

/// Starts to send spans to the collector at this address. The client's headers, the batches and more attributes of the service follow the
/// `OTEL_*` variables. `is_named`: these name the service too.
pub fn start(collector: &Url, is_named: bool) -> anyhow::Result<Exporter> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
    let is_local = collector.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let client = if is_local { client.no_proxy() } else { client };
    let client = Client { client: client.build()?, runtime: Handle::current(), is_failing: AtomicBool::new(false) };
    let mut address = collector.as_str().trim_end_matches('/').to_owned();
    if !address.ends_with(PATH) {
        address.push_str(PATH);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(address)
        .build()
        .context("log.otlp_endpoint: spans cannot be sent")?;
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !is_named {
        resource = resource.with_service_name("acervo");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        // A collector samples by what is in a trace; the id of a notification is not random enough to do it here.
        .with_sampler(Sampler::AlwaysOn)
        .with_id_generator(Ids::default())
        .with_resource(resource.build())
        .build();
    // Another service of this process, as tests have, sends its spans to the same collector.
    let _ = TRACER.set(provider.tracer("acervo"));
    Ok(Exporter(provider))
}

impl Exporter {
    /// Sends what waits, for a limited time, and nothing more after that.
    pub async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(e)) = stopped {
            tracing::warn!(error = %e, "the last spans could not be sent");
        }
    }
}

/// The client of the exporter, whose thread belongs to no runtime.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
    is_failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.execute(request).await.map(|response| response.status()) });
        let outcome = sent.await?.map_err(reqwest::Error::without_url);
        self.note(&outcome);
        let status = outcome?;
        // A collector that takes only a part says so in the body. Nothing could be done about it here.
        Ok(Response::builder().status(status.as_u16()).body(Bytes::new())?)
    }
}

impl Client {
    /// Logs once when sending begins to fail, and once when it works again.
    fn note(&self, outcome: &Result<reqwest::StatusCode, reqwest::Error>) {
        let why = match outcome {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("the collector answers {status}")),
            Err(e) => Some(format!("{:#}", anyhow::anyhow!(e.to_string()))),
        };
        let was_failing = self.is_failing.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !was_failing => {
                tracing::warn!(
                    why,
                    "spans cannot be sent to `log.otlp_endpoint` and are dropped; nothing else is affected"
                );
            }
            None if was_failing => tracing::info!("spans are sent again"),
            _ => {}
        }
    }
}
