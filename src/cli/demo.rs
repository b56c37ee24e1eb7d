//! `acervo demo`: a service and a simulated portal on loopback.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::TcpListener;

use super::language::say;
use super::output;
use super::status::size_of;
use crate::app::{App, Role};
use crate::config::{HostPattern, Settings};
use crate::domain::{Clock, NotificationStatus};
use crate::http;
use crate::jobs::Jobs;
use crate::portal::{self, Credentials, Portal, PortalSettings, Webhook};
use crate::query::{Queries, Status};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Exit after the first pass instead of running until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// The number of products on the portal
    #[arg(long, default_value_t = 44)]
    products: usize,
}

/// The product of the last hint, if the catalogue has it: "Precipitação por Satélite".
const EXAMPLE: u32 = 487;

/// Longer than any first pass takes.
const FIRST_PASS_TIMEOUT: Duration = Duration::from_secs(300);

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("acervo-demo-").tempdir()?;
    http::install_metrics()?;
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr()?;
    let settings = of_the_demo(settings, &format!("http://{address}"), folder.path())?;
    let app = App::open(settings, Role::Server, Clock::default()).await?;
    let jobs = Jobs::start(&app).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = app.clone();
    let server = tokio::spawn(async move { http::serve(listener, &served, async { drop(stopped.await) }).await });

    let portal_settings = PortalSettings {
        webhook: Webhook { url: format!("http://{address}/webhook"), credentials: Credentials::None },
        link_life: portal::LINK_LIFE,
        subscriber: "assinante@example.com.br".to_owned(),
        clock: app.clock.clone(),
    };
    let products = portal::builtin(args.products, app.clock.now());
    let example = products.iter().find(|product| product.number == EXAMPLE).or(products.first());
    let example = example.with_context(|| say!("cli-demo-no-products"))?.number;
    let portal = Portal::start(TcpListener::bind("127.0.0.1:0").await?, portal_settings, products)?;
    let url = format!("http://{address}");
    output::print(&say!("cli-demo-portal", address = portal.address(), count = args.products, url = url.as_str()))?;
    let began = std::time::Instant::now();
    let sent = portal.enviar_tudo().await;
    if sent.delivered < sent.sent {
        bail!(say!("cli-demo-not-accepted", count = sent.sent - sent.delivered, sent = sent.sent));
    }
    let queries = Queries::new(app.clone());
    let status = watch(&queries, u64::from(sent.sent)).await?;
    output::print(&summary(&status, began.elapsed())?)?;
    let schema = crate::graphql::schema(&app, &queries);
    for (title, text) in examples() {
        output::print(&format!("\n# {title}\n{text}"))?;
        let answer = async_graphql::Executor::execute(&schema, text.into()).await;
        if let Some(error) = answer.errors.first() {
            bail!(say!("cli-demo-example-failed", why = error.message.as_str()));
        }
        output::print(&serde_json::to_string_pretty(&answer.data)?)?;
    }
    let ask = format!(
        "curl -s {url}/graphql -H 'content-type: application/json' -d '{{\"query\":\"{{ status {{ publications size storedSize }} }}\"}}'"
    );
    output::print(&say!(
        "cli-demo-hints",
        ask = ask,
        product = example.to_string(),
        portal = portal.address().trim_start_matches("http://"),
        folder = folder.path().display().to_string()
    ))?;
    if !args.exit {
        output::print(&say!("cli-demo-ends"))?;
        super::serve::stop_signal()?.await;
    }
    let _ = stop.send(());
    server.await??;
    jobs.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn examples() -> [(String, &'static str); 3] {
    [
        (
            say!("cli-demo-last"),
            "{ publications(first: 3, orderBy: ARCHIVED_DESC) { totalCount nodes { name referenceDate fileName size } } }",
        ),
        (
            say!("cli-demo-newave"),
            "{ publications(search: \"deck newav\", orderBy: RELEVANCE) { nodes { name process periodStart periodEnd revisionNumber sha256 fileUrl } } }",
        ),
        (
            say!("cli-demo-members"),
            "{ revisions(search: \"newave definitivo\", first: 1) { nodes { fileName members(first: 4) { totalCount nodes { path size } } } } }",
        ),
    ]
}

/// Binds the configured address, or another loopback port if it is in use.
async fn listen(wanted: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    if !wanted.ip().is_loopback() {
        bail!(say!("cli-demo-loopback", address = wanted.to_string()));
    }
    match TcpListener::bind(wanted).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind("127.0.0.1:0").await.with_context(|| say!("cli-demo-no-port")),
    }
}

/// The settings of the demo: its own folder, accessible from this machine only, fetching from this machine only.
fn of_the_demo(mut settings: Settings, public_url: &str, folder: &std::path::Path) -> anyhow::Result<Settings> {
    settings.data_dir = folder.to_owned();
    settings.database_url = None;
    settings.archive = None;
    settings.public_url = Some(public_url.to_owned());
    settings.receiver.credentials = Default::default();
    settings.receiver.sources = Vec::new();
    settings.api.keys = Vec::new();
    settings.api.open = false;
    settings.fetch.allow_private = true;
    settings.fetch.allowed_hosts = vec![HostPattern::parse("127.0.0.1").map_err(anyhow::Error::msg)?];
    settings.fetch.proxy = None;
    Ok(settings)
}

/// Shows progress until everything is archived and indexed.
async fn watch(queries: &Queries, expected: u64) -> anyhow::Result<Status> {
    let bar = ProgressBar::new(expected);
    bar.set_style(ProgressStyle::with_template(&format!(
        "{{bar:40}} {{pos}}/{{len}} {}  {{msg}}",
        say!("cli-demo-progress")
    ))?);
    let began = std::time::Instant::now();
    loop {
        let status = queries.status().await?;
        let counts = &status.counts;
        let done = counts.of(NotificationStatus::Archived) + counts.of(NotificationStatus::Unchanged);
        bar.set_position(done);
        bar.set_message(say!("cli-demo-progress-index", size = size_of(counts.size)?, lag = status.index_lag));
        if done >= expected && status.index_lag == 0 {
            bar.finish_and_clear();
            return Ok(status);
        }
        if began.elapsed() > FIRST_PASS_TIMEOUT {
            bail!(say!("cli-demo-slow", done = done, expected = expected, seconds = FIRST_PASS_TIMEOUT.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn summary(status: &Status, took: Duration) -> anyhow::Result<String> {
    let counts = &status.counts;
    Ok(say!(
        "cli-demo-archived",
        files = counts.revisions,
        products = counts.products,
        seconds = output::decimal(took.as_secs_f64()),
        published = size_of(counts.size)?,
        stored = size_of(counts.stored_size)?
    ))
}
