//! config: turns flags, environment variables and files into one validated, immutable value at start.
//!
//! Flags override the environment, which overrides `acervo.toml`, which overrides `default.toml`. That file is compiled in
//! and documents every key. All problems are reported at once, each with its key. No other module reads the environment.
mod api;
mod archive;
mod compact;
mod content;
mod database;
mod exposure;
mod fetch;
mod hooks;
mod layers;
mod matching;
mod query;
mod receiver;
mod reload;
mod retention;
mod secret_files;
mod settings;
mod values;
mod verify;

pub use api::{API_TOKEN, Api, ApiKey, Role, expiry, expiry_as_written, hash_of_key};
pub use archive::{ArchiveLocation, Bucket};
pub use compact::Compact;
pub use content::Content;
pub use database::Database;
pub use fetch::Fetch;
pub use hooks::{Endpoint, Hook, Hooks, MailServer, Mailbox, SmtpTls, Target};
pub use layers::{Layers, Overrides, unknown_variables};
pub use query::Query;
pub use receiver::{Credentials, Receiver};
pub use retention::{Policy, Retention, Schedule};
pub use settings::{Disk, Downloads, LogFormat, Settings};
pub use values::{HostPattern, Problem, duration_in_words, positive_size, span_in_words};
pub use verify::Verify;

/// The commented default file.
pub const DEFAULTS: &str = include_str!("default.toml");

/// All problems of a configuration, one per line.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has problems:\n{}", .0.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

/// Reads and validates all layers.
pub fn load(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let layers = Layers::gather(overrides, environment).map_err(|problem| ConfigError(vec![problem]))?;
    Settings::read(layers)
}
