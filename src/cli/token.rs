//! `acervo token`: keys for the API.
use std::process::ExitCode;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::language::say;
use super::output;
use super::service::{self, Told};
use crate::app::KeyState;
use crate::config::{API_TOKEN, ApiKey, Role, Settings, expiry, expiry_as_written, hash_of_key};
use crate::domain::{format_instant, is_blank};
use crate::query::{KeyStatus, Queries};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print a new key once, and the lines with its hash for acervo.toml
    New {
        /// The role: reader, operator or admin
        #[arg(long)]
        role: Role,
        /// The name of the key
        #[arg(long, default_value = "new-key", value_parser = name)]
        name: String,
        /// The last day on which it is valid, such as 2027-01-31, in São Paulo; or an instant
        #[arg(long, value_name = "DATE", value_parser = date)]
        expires: Option<String>,
    },
    /// List the keys: their roles, when they expire, and when they were last used
    List {
        /// The output format
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Revoke a key: the service refuses it from now on, although acervo.toml still has it
    Revoke {
        /// The name of the key
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// An expiry as it is written in acervo.toml. A key that has expired already would never work.
fn date(text: &str) -> Result<String, String> {
    match expiry(text)? > Timestamp::now() {
        true => Ok(text.to_owned()),
        false => Err(say!("cli-token-past", text = text)),
    }
}

/// A name that can be seen in a list, and given to `token revoke`.
fn name(text: &str) -> Result<String, String> {
    let is_readable = !is_blank(text) && !text.chars().any(char::is_control);
    if is_readable { Ok(text.trim().to_owned()) } else { Err(say!("cli-token-name")) }
}

/// A new random key.
pub(super) fn random_key() -> String {
    format!("acervo_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// The lines of acervo.toml for a key.
fn lines(name: &str, role: Role, hash: &str, expires: Option<&str>) -> String {
    let name = toml::Value::String(name.to_owned());
    // A date needs no quotes; an instant is one of TOML too.
    let expires = expires.map(|expires| format!("\nexpires = {expires}")).unwrap_or_default();
    format!("[[api.keys]]\nname = {name}\nrole = \"{role}\"\nhash = \"{hash}\"{expires}")
}

/// Prints a new key; this needs neither a configuration nor an archive.
pub(super) fn new(role: Role, name: &str, expires: Option<&str>) -> anyhow::Result<ExitCode> {
    let key = random_key();
    let lines = lines(name, role, &hash_of_key(&key), expires);
    output::print(&say!("cli-token-new", key = key, lines = lines))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::New { role, name, expires } => new(role, &name, expires.as_deref()),
        Command::List { format } => list(format, settings).await,
        Command::Revoke { name } => revoke(&name, settings).await,
    }
}

/// Lets the running service write when keys were last used, which it does once a minute.
pub(super) async fn write_uses(settings: &Settings) -> anyhow::Result<()> {
    if let Told::Failed(why) = service::tell(settings, "uses").await? {
        tracing::warn!(why, "the service did not write when keys were last used, so this is up to a minute old");
    }
    Ok(())
}

async fn list(format: Format, settings: Settings) -> anyhow::Result<ExitCode> {
    write_uses(&settings).await?;
    let keys = Queries::new(super::open(settings).await?).keys().await?;
    match format {
        Format::Json => output::print(&serde_json::to_string_pretty(&objects(&keys))?)?,
        Format::Table if keys.is_empty() => output::print(&say!("cli-token-none"))?,
        Format::Table => output::print(&table(&keys).to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(keys: &[KeyStatus]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        say!("cli-column-name"),
        say!("cli-column-role"),
        say!("cli-column-expires"),
        say!("cli-column-last-used"),
        say!("cli-column-state"),
    ]);
    for status in keys {
        table.add_row([
            output::in_cell(&status.key.name),
            status.key.role.to_string(),
            status.key.expires.map_or_else(|| say!("cli-never"), last_day),
            status.last_used_at.map_or_else(|| say!("cli-never"), output::local),
            state(status),
        ]);
    }
    table
}

/// The last day on which a key is valid, or the instant at which it expires.
fn last_day(expires: Timestamp) -> String {
    match expiry_as_written(expires).parse::<Date>() {
        Ok(day) => output::day(day),
        Err(_) => output::local(expires),
    }
}

fn state(status: &KeyStatus) -> String {
    match status.state {
        KeyState::Valid => say!("cli-status-key-valid"),
        KeyState::Expired(_) => say!("cli-status-key-expired"),
        KeyState::Revoked(at) => say!("cli-status-key-revoked", when = output::local(at)),
    }
}

/// The keys as JSON.
pub(super) fn objects(keys: &[KeyStatus]) -> Value {
    let object = |status: &KeyStatus| {
        json!({
            "name": status.key.name,
            "role": status.key.role.to_string(),
            "expiresAt": status.key.expires.map(format_instant),
            "lastUsedAt": status.last_used_at.map(format_instant),
            "revokedAt": match status.state {
                KeyState::Revoked(at) => Some(format_instant(at)),
                KeyState::Valid | KeyState::Expired(_) => None,
            },
        })
    };
    keys.iter().map(object).collect()
}

/// The lines of `acervo status` about keys.
pub(super) fn uses(keys: &[KeyStatus], now: Timestamp) -> String {
    let line = |status: &KeyStatus| {
        let used = status.last_used_at.map_or_else(
            || say!("cli-status-key-unused"),
            |at| say!("cli-status-key-used", when = output::when(at, now)),
        );
        let state = match status.state {
            KeyState::Valid => String::new(),
            _ => format!(", {}", state(status)),
        };
        let (name, role) = (output::in_cell(&status.key.name), status.key.role.to_string());
        output::line(
            &say!("cli-status-key"),
            &(say!("cli-status-key-use", name = name, role = role, used = used) + &state),
        )
    };
    keys.iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn revoke(name: &str, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings.clone()).await?;
    let revoked = app.revoke_key(name).await?;
    if revoked.is_empty() {
        let names: Vec<&str> = settings.api.keys.iter().map(|key| key.name.as_str()).collect();
        bail!(match names.is_empty() {
            true => say!("cli-token-unknown-of-none", name = name),
            false => say!("cli-token-unknown", name = name, names = names.join(", ")),
        });
    }
    let told = service::tell(&settings, "revoked").await?;
    let effect = match &told {
        Told::Done(_) => say!("cli-token-refused"),
        Told::NotRunning => say!("cli-token-no-service"),
        Told::Failed(_) => say!("cli-token-refused-soon"),
    };
    output::print(&say!("cli-token-revoked", name = name, effect = effect))?;
    output::print(&say!("cli-token-remove", lines = in_configuration(&revoked)))?;
    Ok(if let Told::Failed(_) = told { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn in_configuration(keys: &[ApiKey]) -> String {
    let written = |key: &ApiKey| {
        if key.name == API_TOKEN {
            return say!("cli-token-of-api");
        }
        let expires = key.expires.map(expiry_as_written);
        lines(&key.name, key.role, &format!("sha256:{}", key.hash), expires.as_deref())
    };
    keys.iter().map(written).collect::<Vec<_>>().join("\n\n")
}
