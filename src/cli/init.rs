//! `acervo init`: a configuration with fresh secrets, and what to enter in the portal's form.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::language::say;
use super::{output, token};
use crate::config::{Overrides, hash_of_key};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The address at which the portal reaches the service, such as https://acervo.example.com
    #[arg(value_name = "URL", value_parser = public_url)]
    public_url: url::Url,
    /// The user name for the portal's form
    #[arg(long, value_name = "NAME", default_value = "ons", value_parser = username)]
    username: String,
    /// Let the portal send a token instead of a user name and a password
    #[arg(long, conflicts_with = "username")]
    token: bool,
}

fn public_url(text: &str) -> Result<url::Url, String> {
    let wrong = || say!("cli-init-url", text = text);
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain { Ok(url) } else { Err(wrong()) }
}

fn username(text: &str) -> Result<String, String> {
    let is_plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'));
    if is_plain { Ok(text.to_owned()) } else { Err(say!("cli-init-username")) }
}

/// What the portal sends.
enum Credentials {
    Password { username: String, password: String },
    Token(String),
}

pub(super) fn run(args: Args, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let path = overrides.config.clone().or_else(|| super::environment("ACERVO_CONFIG").map(PathBuf::from));
    let path = path.unwrap_or_else(|| PathBuf::from("acervo.toml"));
    let given =
        |key: &str| overrides.values.iter().rev().find(|(given, _)| given == key).map(|(_, value)| value.clone());
    let secret = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
    let credentials = match args.token {
        true => Credentials::Token(secret()),
        false => Credentials::Password { username: args.username, password: secret() },
    };
    let key = token::random_key();
    let public_url = args.public_url.as_str().trim_end_matches('/');
    // Absolute, so that every command finds the same folder, wherever it is run.
    let data_dir = given("data_dir").unwrap_or_else(|| "acervo-data".to_owned());
    let data_dir = std::path::absolute(data_dir).with_context(|| say!("cli-init-folder"))?.display().to_string();
    let listen = given("listen").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let text = configuration(public_url, &listen, &data_dir, &credentials, &key);
    write_new(&path, &text)?;
    output::print(&what_next(&path, public_url, &credentials, &key))?;
    Ok(ExitCode::SUCCESS)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn configuration(public_url: &str, listen: &str, data_dir: &str, credentials: &Credentials, key: &str) -> String {
    let receiver = match credentials {
        Credentials::Password { username, password } => {
            format!("username = {}\npassword = {}", quoted(username), quoted(password))
        }
        Credentials::Token(token) => format!("token = {}", quoted(token)),
    };
    format!(
        r#"# The configuration of Acervo. `acervo config default` prints all keys with their defaults, `acervo config check` reports
# problems, and `acervo config reload` lets the running service take over changed keys and credentials.

# The address to listen on, for a reverse proxy that has the certificate (deploy/Caddyfile).
listen = {}
# The address at which the portal and the users reach it.
public_url = {}
# The folder for acervo.db, archive/ and index/.
data_dir = {}
# PostgreSQL instead of SQLite:
# database_url_file = "/etc/acervo/database_url"

[receiver]
# What the portal's webhook form has (Meu Perfil → Configuração de webhook). Each can be in a file of its own instead:
# password_file = "/etc/acervo/receiver.password"
{receiver}

# Keys of the API. `acervo token new --role reader --name power-bi` prints another one.
[[api.keys]]
name = "admin"
role = "admin"
hash = "{}"

# What to keep: everything. See docs/retention.md for policies.

[log]
# true: a line for each request, with the name of its key.
access = false
"#,
        quoted(listen),
        quoted(public_url),
        quoted(data_dir),
        hash_of_key(key),
    )
}

/// Writes a file that only its owner can read. What is there stays.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    let unwritable = || say!("cli-init-unwritable", path = shown.as_str());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(say!("cli-init-exists", path = shown.as_str()))
        }
        opened => opened.with_context(unwritable)?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(unwritable)
}

fn what_next(path: &Path, public_url: &str, credentials: &Credentials, key: &str) -> String {
    let form = match credentials {
        Credentials::Password { username, password } => {
            say!("cli-init-user", username = username.as_str(), password = password.as_str())
        }
        Credentials::Token(token) => say!("cli-init-token", token = token.as_str()),
    };
    let is_default = path == Path::new("acervo.toml");
    let config = if is_default { String::new() } else { format!(" --config {}", path.display()) };
    say!("cli-init-next", path = path.display().to_string(), url = public_url, form = form, key = key, config = config)
}
