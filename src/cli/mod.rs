//! cli: one command per file; speaks to a person or a script and decides nothing.
//!
//! Exit codes: 0, 1 (it ran and something is wrong), 2 (usage or configuration).
mod config;
mod demo;
mod get;
mod hold;
mod import;
mod log;
mod output;
mod reindex;
mod retention;
mod retry;
mod search;
mod serve;
mod service;
mod simulate;
mod status;
mod target;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::{App, NoArchive, NotAFolder, Role};
use crate::config::{ConfigError, Overrides, Settings};
use crate::domain::Clock;

/// An archive of everything ONS publishes on its SINtegre portal.
#[derive(Parser)]
#[command(name = "acervo", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingArgs,
    #[command(subcommand)]
    command: Command,
}

/// Settings go over the environment, and that over the file.
#[derive(Args)]
struct SettingArgs {
    /// The configuration file [ACERVO_CONFIG; default: acervo.toml if present]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [ACERVO_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the database, the archive and the index lie [ACERVO_DATA_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// What to log: error, warn, info, debug, trace [ACERVO_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// text or json [ACERVO_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any key of the configuration, such as fetch.concurrency=4; may be given again
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Receive notifications, fetch and archive their files, answer questions
    Serve,
    /// See the main job run: a service and a simulated portal on loopback
    Demo(demo::Args),
    /// A simulated SINtegre portal alone
    Simulate(simulate::Args),
    /// Search the history
    Search(search::Args),
    /// Write an archived file
    Get(get::Args),
    /// Counts, the queue, the link that dies first, the disk
    Status(status::Args),
    /// Import notifications from another receiver, or files you already have
    Import(import::Args),
    /// Queue notifications again
    Retry(retry::Args),
    /// Protect a revision from retention
    Hold(hold::HoldArgs),
    /// Protect it no longer
    Release(hold::ReleaseArgs),
    /// What the policies would remove and why; do it; take it back
    #[command(subcommand)]
    Retention(retention::Command),
    /// Build the search index anew
    Reindex,
    /// Print the GraphQL schema
    Schema,
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Keys for the API
    #[command(subcommand)]
    Token(token::Command),
}

impl SettingArgs {
    fn overrides(&self) -> Overrides {
        let flags = [
            ("listen", &self.listen),
            ("data_dir", &self.data_dir),
            ("log.level", &self.log),
            ("log.format", &self.log_format),
        ];
        let mut values: Vec<(String, String)> =
            flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
        values.extend(self.set.iter().map(|set| match set.split_once('=') {
            Some((key, value)) => (key.trim().to_owned(), value.to_owned()),
            None => (String::new(), String::new()),
        }));
        Overrides { config: self.config.clone(), values }
    }
}

/// Arguments that make no sense together or here, which clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Reads the environment's settings; they are the only ones who do.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the archive writes is for its own user alone, whatever the shell's mask is: it holds links that work without a
/// password. What `get` writes is the user's, and follows the shell's mask.
fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Runs the command line and gives its exit code.
pub fn main() -> ExitCode {
    // Reads which fault points are set, in builds that have any: those of the tests.
    let _faults = fail::FailScenario::setup();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            // It repeats what was given, which may move the cursor.
            output::tell(e.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(e) => e.exit(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(e) if e.is::<output::OutputClosed>() => ExitCode::SUCCESS,
        Err(e) => {
            output::tell(&format!("error: {e:#}"));
            let is_usage = e.is::<ConfigError>() || e.is::<NoArchive>() || e.is::<NotAFolder>() || e.is::<Usage>();
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Commands that need no archive.
    match cli.command {
        Command::Schema => {
            output::print(&crate::graphql::sdl())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Token(command) => return token::run(&command),
        Command::Config(config::Command::Default) => {
            output::print(crate::config::DEFAULTS)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    if !matches!(cli.command, Command::Get(_)) {
        keep_files_private();
    }
    let mut settings = crate::config::load(&cli.settings.overrides(), &environment)?;
    if !matches!(cli.command, Command::Serve) && settings.log_level == "info" {
        // What a command does, it prints.
        settings.log_level = "warn".to_owned();
    }
    log::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(settings).await,
            Command::Demo(args) => demo::run(args, settings).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Search(args) => search::run(args, settings).await,
            Command::Get(args) => get::run(args, settings).await,
            Command::Status(args) => status::run(args, settings).await,
            Command::Import(args) => import::run(args, settings).await,
            Command::Retry(args) => retry::run(args, settings).await,
            Command::Reindex => reindex::run(settings).await,
            Command::Hold(args) => hold::hold(args, settings).await,
            Command::Release(args) => hold::release(args, settings).await,
            Command::Retention(command) => retention::run(command, settings).await,
            Command::Config(command) => config::run(command, settings).await,
            Command::Schema | Command::Token(_) => Ok(ExitCode::SUCCESS),
        }
    })
}

/// The archive, for a command that may run beside a server. A command never creates one: in the wrong folder it would
/// answer from an empty archive.
async fn open(settings: Settings) -> anyhow::Result<App> {
    App::open(settings, Role::Command { may_create: false }, Clock::default()).await
}
