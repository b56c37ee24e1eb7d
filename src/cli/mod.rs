//! cli: the command line, one file per command. Contains no business rules.
//!
//! Exit codes: 0 (success), 1 (the command ran and something is wrong), 2 (wrong usage or configuration).
mod ask;
mod backup;
mod compact;
mod config;
mod coverage;
mod dates;
mod demo;
mod diff;
mod export;
mod get;
mod help;
mod hold;
mod hook;
mod import;
mod init;
mod language;
mod log;
mod lost;
mod migrate;
mod output;
mod progress;
mod reindex;
mod remove;
mod restore;
mod retention;
mod retry;
mod search;
mod serve;
mod service;
mod simulate;
mod status;
mod systemd;
mod table;
mod target;
mod token;
mod usage;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, FromArgMatches, Parser, Subcommand};

use self::language::say;
use crate::app::{App, ArchiveNotFound, NotAFolder, Role};
use crate::config::{ConfigError, Overrides, Settings};
use crate::domain::Clock;
use crate::jobs::Stopped;
use crate::lang::Lang;

/// Archives everything that ONS publishes on its SINtegre portal
#[derive(Parser)]
#[command(name = "acervo", version, arg_required_else_help = true)]
struct Cli {
    // Apart from the options of each command, which come first. The heading applies to all that follow.
    #[command(flatten, next_help_heading = "Options of every command")]
    settings: SettingArgs,
    #[command(flatten)]
    remote: ask::RemoteArgs,
    /// The language of help and messages: en or pt [ACERVO_LANG; default: that of the system (LC_ALL, LC_MESSAGES, LANG)]
    #[arg(long, global = true, value_name = "LANGUAGE", value_parser = language::parse)]
    #[allow(dead_code, reason = "it is read before the arguments are parsed")]
    lang: Option<Lang>,
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
    /// Report which products are late or missing
    Coverage(coverage::Args),
    /// Download an archived file
    Get(get::Args),
    /// Show what changed between two revisions
    Diff(diff::Args),
    /// Show the state of the service: counts, queue, expiring links, disk
    Status(status::Args),
    /// Import notifications from another receiver, or files you already have
    Import(import::Args),
    /// Queue failed notifications again
    Retry(retry::Args),
    /// List the publications whose file is lost
    Lost(lost::LostArgs),
    /// Acknowledge that publications are lost, so that alerts on them end
    Acknowledge(lost::AcknowledgeArgs),
    /// Protect a revision from retention
    Hold(hold::HoldArgs),
    /// End the protection of a revision
    Release(hold::ReleaseArgs),
    /// List hooks and what they sent, and send again what they gave up
    #[command(subcommand)]
    Hook(hook::Command),
    /// Plan, run or undo retention
    #[command(subcommand)]
    Retention(retention::Command),
    /// Remove all files of a product, after a confirmation
    Remove(remove::RemoveArgs),
    /// List the products that were removed: who, when and why
    Removals(remove::RemovalsArgs),
    /// Read the archive back, and list everything that is broken
    Verify(verify::Args),
    /// Encode the files of the archive densely
    Compact(compact::Args),
    /// Write the archive as plain folders and a manifest, or add what is new
    Export(export::Args),
    /// Make an instance from what `acervo export` wrote
    Restore(restore::Args),
    /// Copy the running archive to another data folder, or bring the copy up to date
    Backup(backup::Args),
    /// Copy the instance to another database and archive: from one machine to several, and back
    MigrateTo(migrate::Args),
    /// Rebuild the search index
    Reindex,
    /// Print the GraphQL schema
    Schema,
    /// Write a configuration with fresh secrets, and print what to enter in the portal's form
    Init(init::Args),
    /// Check the configuration, let the service read it again, or print the defaults
    #[command(subcommand)]
    Config(config::Command),
    /// Read the text of one document from the standard input (started by the service, with limits)
    #[command(hide = true)]
    ExtractText {
        kind: String,
        text_max: usize,
        #[arg(required_unless_present = "limited")]
        memory_max: Option<u64>,
        #[arg(required_unless_present = "limited")]
        cpu_max: Option<u64>,
        /// The limits are set already
        #[arg(long)]
        limited: bool,
    },
    /// Create, list and revoke keys for the API
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

/// Who runs this command, for the record: the person behind `sudo`, if it was started so.
fn person() -> String {
    let named = |name| environment(name).filter(|user| !user.is_empty());
    let user = named("SUDO_USER").or_else(|| named("USER"));
    #[cfg(unix)]
    let user = user.or_else(|| Some(format!("uid {}", rustix::process::getuid().as_raw())));
    format!("{} on this machine", user.unwrap_or_else(|| "unknown".to_owned()))
}

/// The umask that the process was started with, for a command whose files are the user's.
#[cfg(unix)]
static USERS_UMASK: std::sync::OnceLock<rustix::fs::Mode> = std::sync::OnceLock::new();

/// Makes the files of the archive private to its user, whatever the umask: they contain links that need no password. The files
/// that `get` writes follow the umask, which applies again once the archive is open.
fn keep_files_private(writes_users_files: bool) {
    #[cfg(unix)]
    {
        let before = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        if writes_users_files {
            let _ = USERS_UMASK.set(before);
        }
    }
}

fn follow_users_umask() {
    #[cfg(unix)]
    if let Some(before) = USERS_UMASK.get() {
        rustix::process::umask(*before);
    }
}

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    // Configures fault points. Only test builds have any.
    let _faults = fail::FailScenario::setup();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Err(e) = language::choose(&args, &environment) {
        output::print_message(&say!("cli-error", text = e.to_string()));
        return ExitCode::from(2);
    }
    let matches = help::command(language::language()).try_get_matches_from(args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => {
            let portuguese = (language::language() == Lang::Portuguese).then(|| usage::in_portuguese(&e)).flatten();
            // The message repeats the arguments, which may contain terminal control characters.
            output::print_message(portuguese.unwrap_or_else(|| e.render().to_string()).trim_end());
            return ExitCode::from(2);
        }
        Err(e) => e.exit(),
    };
    match run(cli) {
        Ok(code) => code,
        Err(e) if e.is::<output::OutputClosed>() => ExitCode::SUCCESS,
        Err(e) => {
            output::print_message(&say!("cli-error", text = output::reason(format!("{e:#}"))));
            let is_usage =
                e.is::<ConfigError>() || e.is::<ArchiveNotFound>() || e.is::<NotAFolder>() || e.is::<Usage>();
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Commands that need no archive.
    match cli.command {
        Command::ExtractText { kind, text_max, memory_max, cpu_max, limited } => {
            let limits = memory_max.zip(cpu_max).filter(|_| !limited);
            return Ok(crate::jobs::run_extraction(&kind, text_max, limits));
        }
        Command::Schema => {
            output::print(&crate::graphql::sdl())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Token(token::Command::New { role, name, expires }) => {
            return token::new(role, &name, expires.as_deref());
        }
        Command::Config(config::Command::Default) => {
            output::print(crate::config::DEFAULTS)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    keep_files_private(matches!(cli.command, Command::Get(_)));
    let overrides = cli.settings.overrides();
    if let Command::Init(args) = cli.command {
        return init::run(args, &overrides);
    }
    let remote = match cli.command {
        Command::Search(_) | Command::Coverage(_) | Command::Get(_) | Command::Diff(_) | Command::Status(_) => {
            cli.remote.remote(&environment)?
        }
        _ if cli.remote.is_named() => {
            return Err(Usage(say!("cli-local-only")).into());
        }
        _ => None,
    };
    let mut settings = crate::config::load(&overrides, &environment)?;
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    settings.warnings.extend(crate::config::unknown_variables(variables));
    if !matches!(cli.command, Command::Serve) && settings.log_level == "info" {
        // Commands print what they do; the log is for problems.
        settings.log_level = "warn".to_owned();
    }
    log::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let serves = matches!(cli.command, Command::Serve);
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run(settings, move || crate::config::load(&overrides, &environment)).await,
            Command::Demo(args) => demo::run(args, settings).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Search(args) => search::run(args, remote, settings).await,
            Command::Coverage(args) => coverage::run(args, remote, settings).await,
            Command::Get(args) => get::run(args, remote, settings).await,
            Command::Diff(args) => diff::run(args, remote, settings).await,
            Command::Status(args) => status::run(args, remote, settings).await,
            Command::Import(args) => import::run(args, settings).await,
            Command::Retry(args) => retry::run(args, settings).await,
            Command::Remove(args) => remove::remove(args, settings).await,
            Command::Removals(args) => remove::removals(args, settings).await,
            Command::Verify(args) => verify::run(args, settings).await,
            Command::Compact(args) => compact::run(args, settings).await,
            Command::Export(args) => export::run(args, settings).await,
            Command::Restore(args) => restore::run(args, settings).await,
            Command::Backup(args) => backup::run(args, settings).await,
            Command::MigrateTo(args) => {
                let load = |values: Vec<(String, String)>| {
                    let values = overrides.values.iter().cloned().chain(values).collect();
                    crate::config::load(&Overrides { config: overrides.config.clone(), values }, &environment)
                };
                migrate::run(args, settings, load).await
            }
            Command::Reindex => reindex::run(settings).await,
            Command::Lost(args) => lost::list(args, settings).await,
            Command::Acknowledge(args) => lost::acknowledge(args, settings).await,
            Command::Hold(args) => hold::hold(args, settings).await,
            Command::Release(args) => hold::release(args, settings).await,
            Command::Hook(command) => hook::run(command, settings).await,
            Command::Retention(command) => retention::run(command, settings).await,
            Command::Config(command) => config::run(command, settings).await,
            Command::Token(command) => token::run(command, settings).await,
            Command::Schema | Command::Init(_) | Command::ExtractText { .. } => Ok(ExitCode::SUCCESS),
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
    let app = App::open(settings, Role::Command { may_create: false }, Clock::default()).await?;
    follow_users_umask();
    Ok(app)
}
