//! config: file, environment and flags become one checked, unchanging value at start.
//!
//! Flags go over the environment, that over `acervo.toml`, that over `default.toml`, which is compiled in and is the
//! documentation of every key. All problems are found in one go and each names its key; nothing else reads the
//! environment.
mod exposure;
mod layers;
mod query;
mod retention;
mod settings;
mod values;

pub use layers::{Layers, Overrides};
pub use query::Query;
pub use retention::{Glob, Policy, Retention, Schedule};
pub use settings::{
    Api, ApiKey, Credentials, Disk, Downloads, Fetch, LogFormat, Receiver, Role, Settings, hash_of_key,
};
pub use values::{HostPattern, Problem, duration_in_words, span_in_words};

/// The commented default file.
pub const DEFAULTS: &str = include_str!("default.toml");

/// Every problem of a configuration, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has problems:\n{}", .0.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(pub Vec<Problem>);

/// Reads all layers and checks them.
pub fn load(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let layers = Layers::gather(overrides, environment).map_err(|problem| ConfigError(vec![problem]))?;
    Settings::read(layers)
}
