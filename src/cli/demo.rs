//! `acervo demo`: a service and a simulated portal on loopback.
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::net::TcpListener;

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
    let example = example.context("`--products 0` is not valid; the portal needs at least one product")?.number;
    let portal = Portal::start(TcpListener::bind("127.0.0.1:0").await?, portal_settings, products)?;
    output::print(&format!(
        "portal  {}  ({} products, simulated)\nacervo  http://{address}\n\npressing \"Enviar Tudo\" …",
        portal.address(),
        args.products
    ))?;
    let began = std::time::Instant::now();
    let sent = portal.enviar_tudo().await;
    if sent.delivered < sent.sent {
        bail!("{} of {} notifications were not accepted", sent.sent - sent.delivered, sent.sent);
    }
    let queries = Queries::new(app.clone());
    let status = watch(&queries, u64::from(sent.sent)).await?;
    output::print(&summary(&status, began.elapsed())?)?;
    let schema = crate::graphql::schema(&app, &queries);
    for (title, text) in EXAMPLES {
        output::print(&format!("\n# {title}\n{text}"))?;
        let answer = async_graphql::Executor::execute(&schema, (*text).into()).await;
        if let Some(error) = answer.errors.first() {
            bail!("the example failed: {}", error.message);
        }
        output::print(&serde_json::to_string_pretty(&answer.data)?)?;
    }
    output::print(&format!(
        "\nask      curl -s http://{address}/graphql -H 'content-type: application/json' -d '{{\"query\":\"{{ status {{ publications size storedSize }} }}\"}}'\n\
         publish  acervo simulate publicar {example} --at {}\n\
         data     {}  (removed at the end)",
        portal.address().trim_start_matches("http://"),
        folder.path().display()
    ))?;
    if !args.exit {
        output::print("\nCtrl-C ends it")?;
        super::serve::stop_signal()?.await;
    }
    let _ = stop.send(());
    server.await??;
    jobs.stop().await;
    Ok(ExitCode::SUCCESS)
}

const EXAMPLES: &[(&str, &str)] = &[
    (
        "What was published last?",
        "{ publications(first: 3, orderBy: ARCHIVED_DESC) { totalCount nodes { name referenceDate fileName size } } }",
    ),
    (
        "NEWAVE decks: words in any order, without accents, the last one incomplete",
        "{ publications(search: \"deck newav\", orderBy: RELEVANCE) { nodes { name process periodStart periodEnd revisionNumber sha256 fileUrl } } }",
    ),
    (
        "Which files are in them?",
        "{ revisions(search: \"newave definitivo\", first: 1) { nodes { fileName members(first: 4) { totalCount nodes { path size } } } } }",
    ),
];

/// Binds the configured address, or another loopback port if it is in use.
async fn listen(wanted: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    if !wanted.ip().is_loopback() {
        bail!("listen: others can reach {wanted}; the demo only runs on a loopback address");
    }
    match TcpListener::bind(wanted).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("no free port"),
    }
}

/// The settings of the demo: its own folder, accessible from this machine only, fetching from this machine only.
fn of_the_demo(mut settings: Settings, public_url: &str, folder: &std::path::Path) -> anyhow::Result<Settings> {
    settings.data_dir = folder.to_owned();
    settings.database_url = None;
    settings.archive_dir = None;
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
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} archived  {msg}")?);
    let began = std::time::Instant::now();
    loop {
        let status = queries.status().await?;
        let counts = &status.counts;
        let done = counts.of(NotificationStatus::Archived) + counts.of(NotificationStatus::Unchanged);
        bar.set_position(done);
        bar.set_message(format!("{}  index {} behind", size_of(counts.size)?, status.index_lag));
        if done >= expected && status.index_lag == 0 {
            bar.finish_and_clear();
            return Ok(status);
        }
        if began.elapsed() > FIRST_PASS_TIMEOUT {
            bail!("{done} of {expected} were archived in {} s", FIRST_PASS_TIMEOUT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn summary(status: &Status, took: Duration) -> anyhow::Result<String> {
    let counts = &status.counts;
    Ok(format!(
        "archived {} files of {} products in {:.1} s: {} published, {} stored",
        counts.revisions,
        counts.products,
        took.as_secs_f64(),
        size_of(counts.size)?,
        size_of(counts.stored_size)?
    ))
}
