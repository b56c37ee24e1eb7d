//! `acervo config check`: every problem of the configuration, by key.
use std::process::ExitCode;

use super::output;
use crate::config::{self, DEFAULTS, Overrides};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Find every problem
    Check,
    /// Print the commented default file
    Default,
}

pub(super) fn run(command: &Command, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    match command {
        Command::Default => output::print(DEFAULTS),
        Command::Check => {
            let settings = config::load(overrides, &super::environment)?;
            settings.exposure()?;
            let receiver = if settings.receiver.credentials.is_empty() {
                "open to whoever reaches it"
            } else {
                "with credentials"
            };
            let api = match settings.api.keys.len() {
                0 => "open to whoever reaches it".to_owned(),
                n => format!("{n} keys{}", if settings.api.open { ", reading is open to all" } else { "" }),
            };
            let hosts: Vec<String> = settings.fetch.allowed_hosts.iter().map(ToString::to_string).collect();
            output::print(&format!(
                "the configuration is sound\nlisten    {}\ndata      {}\nreceiver  {receiver}\napi       {api}\nfetch     from {}",
                settings.listen,
                settings.data_dir.display(),
                hosts.join(", ")
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
