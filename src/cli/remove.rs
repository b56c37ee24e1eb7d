//! `acervo remove`: removes all files of a product, after a confirmation. `acervo removals` lists who removed what.
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::language::say;
use super::{Usage, output};
use crate::app::App;
use crate::config::Settings;
use crate::domain::{ProductId, RemovalReason, TextMatch, format_instant};
use crate::jobs::retention::{self, RemovalRequest};
use crate::query::{Filter, Order, Paging, Product, ProductRemoval, ProductRequest, Queries};

#[derive(clap::Args)]
pub(super) struct RemoveArgs {
    /// The product: its id, or its whole name
    product: String,
    /// Why it is removed, for the record
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<RemovalReason>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove without asking; give the name of the product once more
    #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
    yes: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct RemovalsArgs {
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Products that are listed where a name is that of several.
const LISTED: i64 = 10;

/// Removals that are listed.
const REMOVALS: i64 = 1_000;

pub(super) async fn remove(args: RemoveArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    super::serve::stop_on_signal(&app.stop)?;
    let product = find(&app, &args.product).await?;
    let (product, extent) = retention::removal_extent(&app, product.id).await?;
    let name = output::in_cell(&product.name);
    output::print(&say!(
        "cli-remove-extent",
        name = name,
        id = product.id.to_string(),
        publications = extent.publications,
        revisions = extent.revisions,
        size = output::size(extent.bytes_freed)
    ))?;
    if extent.held > 0 {
        output::print(&say!("cli-remove-held", count = extent.held))?;
    }
    if extent.waiting > 0 {
        output::print(&say!("cli-remove-waiting", count = extent.waiting))?;
    }
    let Some(reason) = args.reason.filter(|_| !args.dry_run) else { return Ok(ExitCode::SUCCESS) };
    let confirmation = match args.yes {
        Some(name) => name,
        None => ask(&product.name)?,
    };
    let by = super::person();
    let removal =
        retention::remove_product(&app, RemovalRequest { product: product.id, confirmation, reason, by }).await?;
    output::print(&text(&removal))?;
    Ok(ExitCode::SUCCESS)
}

/// The name as a person types it.
fn ask(name: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let name = output::in_cell(name);
        return Err(Usage(say!("cli-remove-without-terminal", name = name)).into());
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{} ", say!("cli-remove-ask"))?;
    stderr.flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim().to_owned())
}

async fn find(app: &App, text: &str) -> anyhow::Result<Product> {
    let queries = Queries::new(app.clone());
    if let Ok(id) = text.parse::<uuid::Uuid>() {
        let id = ProductId(id);
        let found = queries.products_by_id(&[id]).await?.remove(&id);
        return found.ok_or_else(|| anyhow::anyhow!(say!("cli-remove-no-id", id = text)));
    }
    // Without a server nothing else updates the index.
    crate::jobs::catch_up(app).await?;
    let name = TextMatch { eq: Some(text.to_owned()), ..TextMatch::default() };
    let filter = Filter { name: Some(name), ..Filter::default() };
    let request = ProductRequest { search: None, filter, order: Order::Name, paging: Paging::first(LISTED) };
    let mut found: Vec<Product> = queries.products(request).await?.rows.into_iter().map(|(_, row)| row).collect();
    match (found.pop(), found.is_empty()) {
        (Some(product), true) => Ok(product),
        (None, _) => anyhow::bail!(say!("cli-remove-no-name", name = text)),
        (Some(last), false) => {
            let ids: Vec<String> = found.iter().chain([&last]).map(|product| product.id.to_string()).collect();
            anyhow::bail!(say!("cli-remove-several", name = text, ids = ids.join(", ")))
        }
    }
}

pub(super) async fn removals(args: RemovalsArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    let rows = Queries::new(app).product_removals(&Paging::first(REMOVALS)).await?.rows;
    match args.format {
        Format::Text if rows.is_empty() => output::print(&say!("cli-remove-none"))?,
        Format::Text => {
            for (_, removal) in &rows {
                output::print(&text(removal))?;
            }
        }
        Format::Json => {
            let rows: Vec<Value> = rows.iter().map(|(_, removal)| object(removal)).collect();
            output::print(&serde_json::to_string_pretty(&rows)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(removal: &ProductRemoval) -> String {
    let run = &removal.run;
    let state = match (run.undone_at, run.swept_at, removal.completed_at, run.sweep_after) {
        (Some(at), ..) => say!("cli-remove-undone", at = output::local(at)),
        (None, Some(at), ..) => say!("cli-remove-deleted", at = output::local(at)),
        (None, None, None, _) => say!("cli-remove-in-progress"),
        (None, None, Some(_), Some(at)) => {
            say!("cli-remove-deleted-after", at = output::local(at), id = run.id.to_string())
        }
        (None, None, Some(_), None) => say!("cli-remove-complete"),
    };
    say!(
        "cli-remove-record",
        at = output::local(removal.requested_at),
        name = output::in_cell(&removal.name),
        id = removal.product_id.to_string(),
        by = output::in_cell(&output::reason(&removal.requested_by)),
        reason = output::in_cell(&removal.reason),
        count = run.removed,
        size = output::size(run.bytes_freed),
        state = state
    )
}

/// With the fields of GraphQL.
fn object(removal: &ProductRemoval) -> Value {
    let run = &removal.run;
    json!({
        "id": run.id,
        "productId": removal.product_id.to_string(),
        "name": removal.name,
        "reason": removal.reason,
        "requestedBy": removal.requested_by,
        "requestedAt": format_instant(removal.requested_at),
        "completedAt": removal.completed_at.map(format_instant),
        "removed": run.removed,
        "bytesFreed": run.bytes_freed,
        "sweepAfter": run.sweep_after.map(format_instant),
        "undoneAt": run.undone_at.map(format_instant),
        "sweptAt": run.swept_at.map(format_instant),
    })
}
