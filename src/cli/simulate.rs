//! `acervo simulate`: runs a simulated portal, or presses one of its buttons.
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::language::say;
use super::{Usage, output};
use crate::domain::Clock;
use crate::portal::{self, Credentials, Portal, PortalSettings, Webhook};

/// Where the simulated portal is, unless `--at` names another address.
const DEFAULT_AT: &str = "127.0.0.1:9080";

#[derive(clap::Args)]
pub(super) struct Args {
    /// A button of a running portal; without one, a portal is started
    #[command(subcommand)]
    button: Option<Button>,
    /// The address of the portal
    #[arg(long, global = true, default_value = DEFAULT_AT, value_name = "ADDRESS")]
    at: String,
    /// Where to send notifications
    #[arg(long, default_value = "http://127.0.0.1:8080/webhook", value_name = "URL")]
    webhook: String,
    /// The token to send with notifications, bare in Authorization
    #[arg(long, conflicts_with = "username")]
    token: Option<String>,
    /// The user name to send with notifications (HTTP Basic)
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// The password to send with notifications (HTTP Basic)
    #[arg(long)]
    password: Option<String>,
    /// The lifetime of links
    #[arg(long, default_value = "24h1min", value_name = "DURATION", value_parser = duration)]
    link_life: Duration,
    /// The number of products in the catalogue
    #[arg(long, default_value_t = 44)]
    products: usize,
    /// Publish the files of a folder instead: each file is a product, each subfolder a product with its files as versions
    #[arg(long, value_name = "FOLDER")]
    files: Option<PathBuf>,
    /// Publish a new version of a product at this interval
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    publish_every: Option<Duration>,
}

#[derive(clap::Subcommand)]
enum Button {
    /// Send the last version of one product
    Enviar {
        /// The number of the product
        number: u32,
    },
    /// Send the last version of every product
    EnviarTudo,
    /// Send the products whose last POST was not answered 20x
    ReenviarPendentes,
    /// Publish the next version of a product and send it
    Publicar {
        /// The number of the product
        number: u32,
    },
    /// Show the result of the last POST of each product ("Exibir Detalhes")
    Detalhes,
    /// Make downloads fail, as JSON: '{"status":503,"times":10}'; '{}' stops that
    Falhas {
        /// The failures, in JSON
        faults: String,
    },
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match &args.button {
        Some(button) => press(&args.at, button).await?,
        None => serve(&args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn press(at: &str, button: &Button) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = |path: String| format!("http://{at}/{path}");
    let request = match button {
        Button::Enviar { number } => client.post(url(format!("enviar/{number}"))),
        Button::EnviarTudo => client.post(url("enviar-tudo".to_owned())),
        Button::ReenviarPendentes => client.post(url("reenviar-pendentes".to_owned())),
        Button::Publicar { number } => client.post(url(format!("publicar/{number}"))),
        Button::Detalhes => client.get(url("detalhes".to_owned())),
        Button::Falhas { faults } => {
            client.put(url("falhas".to_owned())).header("content-type", "application/json").body(faults.clone())
        }
    };
    let response = request.send().await.with_context(|| say!("cli-simulate-no-portal", address = at))?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!(say!("cli-simulate-answered", status = status.to_string(), text = text.trim()));
    }
    output::print(&text)?;
    Ok(())
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let clock = Clock::default();
    let products = match &args.files {
        Some(folder) => portal::from_folder(folder, clock.now()).map_err(|e| {
            Usage(say!(
                "cli-simulate-files",
                path = folder.display().to_string(),
                why = output::reason(format!("{e:#}"))
            ))
        })?,
        None => portal::builtin(args.products, clock.now()),
    };
    let credentials = match (&args.token, &args.username, &args.password) {
        (Some(token), ..) => Credentials::Token(SecretString::from(token.as_str())),
        (None, Some(username), Some(password)) => {
            Credentials::Basic { username: username.clone(), password: SecretString::from(password.as_str()) }
        }
        _ => Credentials::None,
    };
    let settings = PortalSettings {
        webhook: Webhook { url: args.webhook.clone(), credentials },
        link_life: args.link_life,
        subscriber: "assinante@example.com.br".to_owned(),
        clock,
    };
    let listener =
        TcpListener::bind(&args.at).await.with_context(|| say!("cli-simulate-listen", address = args.at.as_str()))?;
    let numbers: Vec<u32> = products.iter().map(|product| product.number).collect();
    let portal = Portal::start(listener, settings, products)?;
    let address = portal.address().trim_start_matches("http://").to_owned();
    let at = if address == DEFAULT_AT { String::new() } else { format!(" --at {address}") };
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    output::print(&say!(
        "cli-simulate-started",
        address = portal.address(),
        count = numbers.len(),
        webhook = args.webhook.as_str(),
        at = at,
        host = host
    ))?;
    let stop = super::serve::stop_signal()?;
    match args.publish_every {
        None => stop.await,
        Some(every) => {
            tokio::select! {
                _ = stop => {}
                published = publish(&portal, &numbers, every) => return published,
            }
        }
    }
    Ok(())
}

/// Publishes one product after the other, in a loop.
async fn publish(portal: &Portal, numbers: &[u32], every: Duration) -> anyhow::Result<()> {
    for number in numbers.iter().cycle() {
        tokio::time::sleep(every).await;
        if let Some(delivery) = portal.publish(*number).await {
            let response =
                delivery.status.map_or_else(|| say!("cli-simulate-no-response"), |status| status.to_string());
            output::print(&say!("cli-simulate-published", number = number.to_string(), response = response))?;
        }
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| say!("cli-not-a-duration", text = text))?;
    Duration::try_from(parsed).map_err(|_| say!("cli-negative", text = text))
}
