//! `acervo token new`: a key for the API.
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::output;
use crate::config::{Role, hash_of_key};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Print a new key once, and the lines with its hash for acervo.toml
    New {
        /// The role: reader, operator or admin
        #[arg(long)]
        role: Role,
        /// The name of the key
        #[arg(long, default_value = "new-key")]
        name: String,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::New { role, name } = command;
    let key = format!("acervo_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let quoted = toml::Value::String(name.clone());
    output::print(&format!(
        "key (shown this once): {key}\n\nfor acervo.toml:\n\n[[api.keys]]\nname = {quoted}\nrole = \"{role}\"\nhash = \"{}\"",
        hash_of_key(&key)
    ))?;
    Ok(ExitCode::SUCCESS)
}
