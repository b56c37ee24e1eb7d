//! cli: the command line, one file per command. Contains no business rules.
//!
//! Exit codes: 0 (success), 1 (the command ran and something is wrong), 2 (wrong usage or configuration).
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
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::{App, ArchiveNotFound, NotAFolder, Role};
use crate::config::{ConfigError, Overrides, Settings};
use crate::domain::Clock;
use crate::jobs::Stopped;

/// Archives everything that ONS publishes on its SINtegre portal
#[derive(Parser)]
#[command(name = "acervo", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options that override the environment and the configuration file.
#[derive(Args)]
struct SettingArgs {
    /// The configuration file [ACERVO_CONFIG; default: acervo.toml if present]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [ACERVO_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The folder for the database, the archive and the index [ACERVO_DATA_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The log level: error, warn, info, debug or trace [ACERVO_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// The log format: text or json [ACERVO_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Set any configuration key, such as fetch.concurrency=4; can be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service: receive notifications, archive their files, answer queries
    Serve,
    /// Run a demo: a service and a simulated portal on this machine
    Demo(demo::Args),
    /// Run a simulated SINtegre portal, or press one of its buttons
    Simulate(simulate::Args),
    /// Search the archive
    Search(search::Args),
    /// Download an archived file
    Get(get::Args),
    /// Show the state of the service: counts, queue, expiring links, disk
    Status(status::Args),
    /// Import notifications from another receiver, or files you already have
    Import(import::Args),
    /// Queue failed notifications again
    Retry(retry::Args),
    /// Protect a revision from retention
    Hold(hold::HoldArgs),
    /// End the protection of a revision
    Release(hold::ReleaseArgs),
    /// Plan, run or undo retention
    #[command(subcommand)]
    Retention(retention::Command),
    /// Read the archive back, and list everything that is broken
    Verify(verify::Args),
    /// Rebuild the search index
    Reindex,
    /// Print the GraphQL schema
    Schema,
    /// Check the configuration, or print the defaults
    #[command(subcommand)]
    Config(config::Command),
    /// Create keys for the API
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

/// Invalid arguments that clap cannot detect.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Reads an environment variable. Nothing else reads the environment.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Makes the files of the archive private to its user, whatever the umask: they contain links that need no password. Files
/// written by `get` follow the umask.
fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    // Configures fault points. Only test builds have any.
    let _faults = fail::FailScenario::setup();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            // The message repeats the arguments, which may contain terminal control characters.
            output::print_message(e.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(e) => e.exit(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(e) if e.is::<output::OutputClosed>() => ExitCode::SUCCESS,
        Err(e) => {
            output::print_message(&format!("error: {e:#}"));
            let is_usage =
                e.is::<ConfigError>() || e.is::<ArchiveNotFound>() || e.is::<NotAFolder>() || e.is::<Usage>();
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
        // Commands print what they do; the log is for problems.
        settings.log_level = "warn".to_owned();
    }
    log::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let serves = matches!(cli.command, Command::Serve);
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(settings).await,
            Command::Demo(args) => demo::run(args, settings).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Search(args) => search::run(args, settings).await,
            Command::Get(args) => get::run(args, settings).await,
            Command::Status(args) => status::run(args, settings).await,
            Command::Import(args) => import::run(args, settings).await,
            Command::Retry(args) => retry::run(args, settings).await,
            Command::Verify(args) => verify::run(args, settings).await,
            Command::Reindex => reindex::run(settings).await,
            Command::Hold(args) => hold::hold(args, settings).await,
            Command::Release(args) => hold::release(args, settings).await,
            Command::Retention(command) => retention::run(command, settings).await,
            Command::Config(command) => config::run(command, settings).await,
            Command::Schema | Command::Token(_) => Ok(ExitCode::SUCCESS),
        }
    });
    if serves || outcome.as_ref().is_err_and(|e| e.is::<Stopped>()) {
        // A thread whose result is no longer needed must not keep the process from ending.
        runtime.shutdown_background();
    }
    outcome
}

/// Opens the archive for a command, which may run while a service does. Commands never create an archive: in the wrong folder
/// they would work on an empty one.
async fn open(settings: Settings) -> anyhow::Result<App> {
    App::open(settings, Role::Command { may_create: false }, Clock::default()).await
}
