//! The four layers of the configuration. The first layer that has a value wins.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use strsim::levenshtein;
use toml::{Table, Value};

use super::DEFAULTS;
use super::archive::VARIABLES;
use super::secret_files::{self, SECRETS};
use super::values::Problem;
use crate::domain::{Digest, is_blank};

/// Values given on the command line, as typed.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub config: Option<PathBuf>,
    /// Keys and values, `fetch.concurrency` and `4`.
    pub values: Vec<(String, String)>,
}

/// Environment variables and the keys that they set.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("ACERVO_LISTEN", "listen"),
    ("ACERVO_DATA_DIR", "data_dir"),
    ("ACERVO_PUBLIC_URL", "public_url"),
    ("ACERVO_WEBHOOK_LISTEN", "webhook_listen"),
    ("ACERVO_STOP_DELAY", "stop_delay"),
    ("ACERVO_HOST_NAMES", "host_names"),
    ("ACERVO_TRUSTED_PROXIES", "trusted_proxies"),
    ("ACERVO_REPLICA_NAME", "replica_name"),
    ("ACERVO_DATABASE_URL", "database_url"),
    ("ACERVO_ARCHIVE_URL", "archive_url"),
    ("ACERVO_RECEIVER_USERNAME", "receiver.username"),
    ("ACERVO_RECEIVER_PASSWORD", "receiver.password"),
    ("ACERVO_RECEIVER_TOKEN", "receiver.token"),
    ("ACERVO_API_TOKEN", "api.token"),
    ("ACERVO_FETCH_ALLOWED_HOSTS", "fetch.allowed_hosts"),
    ("ACERVO_FETCH_ALLOW_PRIVATE", "fetch.allow_private"),
    ("ACERVO_FETCH_MAX_BYTES", "fetch.max_bytes"),
    ("ACERVO_FETCH_PROXY", "fetch.proxy"),
    ("ACERVO_FETCH_RETRY_FIRST", "fetch.retry_first"),
    ("ACERVO_FETCH_RETRY_MAX", "fetch.retry_max"),
    ("ACERVO_FETCH_STALL", "fetch.stall"),
    ("ACERVO_RETENTION_SCHEDULE", "retention.schedule"),
    ("ACERVO_VERIFY_SCHEDULE", "verify.schedule"),
    ("ACERVO_COMPACT_SCHEDULE", "compact.schedule"),
    ("ACERVO_LOG", "log.level"),
    ("ACERVO_LOG_FORMAT", "log.format"),
    ("ACERVO_LOG_ACCESS", "log.access"),
    // The standard variable of OpenTelemetry, and ours, which comes after it and so replaces it.
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "log.otlp_endpoint"),
    ("ACERVO_LOG_OTLP_ENDPOINT", "log.otlp_endpoint"),
];

/// Variables that are no keys of the configuration.
const OTHER_VARIABLES: &[&str] = &[
    "ACERVO_CONFIG",
    "ACERVO_LANG",
    "ACERVO_URL",
    "ACERVO_KEY",
    "ACERVO_KEY_FILE",
    "ACERVO_FROM_KEY",
    // Of the files in deploy/.
    "ACERVO_DOMAIN",
    "ACERVO_CERTIFICATE",
];

/// A warning for each variable that looks like one of these and is none, so that it sets nothing.
pub fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<Problem> {
    let files = SECRETS.iter().map(|(name, _)| format!("{name}_FILE"));
    let known = ENVIRONMENT.iter().map(|(name, _)| *name).chain(OTHER_VARIABLES.iter().copied()).map(str::to_owned);
    let known: Vec<String> = known.chain(files).collect();
    let is_unknown =
        |name: &String| name.starts_with("ACERVO_") && !name.starts_with("ACERVO_TEST_") && !known.contains(name);
    let warning = |name: String| {
        let nearest = known.iter().min_by_key(|known| levenshtein(known, &name));
        let message = match nearest.filter(|nearest| levenshtein(nearest, &name) <= 3) {
            Some(known) => format!("is an unknown variable, which sets nothing; did you mean `{known}`?"),
            None => {
                "is an unknown variable, which sets nothing; `acervo config default` names those that do".to_owned()
            }
        };
        Problem::new(&name, message)
    };
    names.filter(is_unknown).map(warning).collect()
}

/// All values, and the keys that have been read so far.
pub struct Layers {
    /// Highest priority first.
    tables: Vec<Table>,
    file: Option<Table>,
    read_keys: Vec<String>,
    /// The variables of [`VARIABLES`] that are set.
    pub aws: Vec<(String, SecretString)>,
    pub problems: Vec<Problem>,
    /// Values that are allowed but probably a mistake.
    pub warnings: Vec<Problem>,
}

impl Layers {
    pub fn gather(overrides: &Overrides, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let named = overrides.config.clone().or_else(|| environment("ACERVO_CONFIG").map(PathBuf::from));
        let file = read_file(named.as_deref())?;
        let mut flags = Table::new();
        for (key, value) in overrides.values.iter().filter(|(key, _)| !key.trim().is_empty()) {
            insert(&mut flags, key, value);
        }
        let mut variables = Table::new();
        for (name, key) in ENVIRONMENT {
            if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
                insert(&mut variables, key, &value);
            }
        }
        for (name, key) in SECRETS {
            if let Some(path) = environment(&format!("{name}_FILE")).filter(|path| !path.is_empty()) {
                insert(&mut variables, &format!("{key}_file"), &path);
            }
        }
        let mut problems = Vec::new();
        let mut credentials = Table::new();
        if let Some(folder) = environment("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()) {
            let (found, mut wrong) = secret_files::credentials(Path::new(&folder), &hook_names(file.as_ref()));
            problems.append(&mut wrong);
            for (key, secret) in found {
                insert(&mut credentials, &key, &secret);
            }
        }
        let defaults = DEFAULTS.parse().map_err(|e| Problem::new("default.toml", format!("{e}")))?;
        let tables = [Some(flags), Some(variables), Some(credentials), file.clone(), Some(defaults)];
        let tables = tables.into_iter().flatten().collect();
        let read_keys = Vec::new();
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let mut aws: Vec<(String, SecretString)> =
            VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), set(name)?.into()))).collect();
        let mut warnings = Vec::new();
        aws.extend(secret_files::of_bucket(&set, &mut problems, &mut warnings));
        for (key, _) in &overrides.values {
            if key.trim().is_empty() {
                problems.push(Problem::new("--set", "is not valid; expected KEY=VALUE, such as fetch.concurrency=4"));
            }
        }
        Ok(Self { tables, file, read_keys, aws, problems, warnings })
    }

    /// The value of a key. A value that `parse` refuses is recorded as a problem and treated as absent.
    pub fn get<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        self.read_keys.push(key.to_owned());
        let value = self.tables.iter().find_map(|table| lookup(table, key))?;
        let parsed = scalar(value).and_then(|text| if text.is_empty() { Ok(None) } else { parse(&text).map(Some) });
        self.note(key, parsed).flatten()
    }

    /// Whether a key has a value, valid or not.
    pub fn has(&self, key: &str) -> bool {
        let value = self.tables.iter().find_map(|table| lookup(table, key));
        value.is_some_and(|value| value.as_str() != Some(""))
    }

    /// The value of a secret key, as written: white space at its ends belongs to it. Problems do not quote it.
    pub fn secret(&mut self, key: &str, check: fn(&str) -> Result<String, String>) -> Option<String> {
        self.read_keys.push(key.to_owned());
        let value = self.tables.iter().find_map(|table| lookup(table, key))?;
        let written = match value {
            Value::String(text) => Ok(text.clone()),
            other => scalar(other),
        };
        let checked = written.and_then(|text| check(&text));
        self.note(key, checked).filter(|text| !text.is_empty())
    }

    /// A secret key, which may come from a file: see [`Layers::secret_from_file`].
    pub fn secret_or_file(&mut self, key: &str, check: fn(&str) -> Result<String, String>) -> Option<String> {
        self.secret_from_file(key);
        self.secret(key, check)
    }

    /// A list: an array, or comma-separated text. A list of blank items is a problem; an empty list is not.
    pub fn list<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>) -> Vec<T> {
        let is_written = match self.tables.iter().find_map(|table| lookup(table, key)) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        let Some(texts) = self.texts(key) else { return Vec::new() };
        let parsed = texts.and_then(|texts| {
            let named: Vec<&String> = texts.iter().filter(|text| !text.is_empty()).collect();
            if named.is_empty() && is_written {
                return Err("contains only blank items; give at least one value, or omit the key".to_owned());
            }
            named.into_iter().map(|text| parse(text)).collect()
        });
        self.note(key, parsed).unwrap_or_default()
    }

    /// A list of patterns. A blank pattern, which would match everything, is a problem, and so is an empty list.
    pub fn patterns<T>(&mut self, key: &str, parse: fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(texts) = self.texts(key) else { return Vec::new() };
        let parsed = texts.and_then(|texts| {
            if texts.is_empty() || texts.iter().any(|text| is_blank(text)) {
                return Err(
                    "has a blank pattern, which would match everything; write a pattern, or omit the key".to_owned()
                );
            }
            texts.iter().map(|text| parse(text)).collect()
        });
        self.note(key, parsed).unwrap_or_default()
    }

    /// The items of a list, including blank ones; `None` if the key is not set.
    fn texts(&mut self, key: &str) -> Option<Result<Vec<String>, String>> {
        self.read_keys.push(key.to_owned());
        Some(match self.tables.iter().find_map(|table| lookup(table, key))? {
            Value::Array(items) => items.iter().map(scalar).collect(),
            other => scalar(other).map(|text| text.split(',').map(|part| part.trim().to_owned()).collect()),
        })
    }

    /// The tables under a key of the file: `[[api.keys]]` as `api.keys.0`, `[receiver.sources.x]` as `receiver.sources.x`.
    pub fn children(&mut self, key: &str) -> Vec<String> {
        match self.file.as_ref().and_then(|file| lookup(file, key)) {
            Some(Value::Array(items)) => (0..items.len()).map(|i| format!("{key}.{i}")).collect(),
            Some(Value::Table(table)) => table.keys().map(|name| format!("{key}.{name}")).collect(),
            Some(_) => {
                self.problems.push(Problem::new(key, "is not a table"));
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// Notes that a key exists.
    pub(super) fn mark_read(&mut self, key: &str) {
        self.read_keys.push(key.to_owned());
    }

    /// The layers that give a path for a key, highest priority first.
    pub(super) fn path_in_each_layer(&self, key: &str) -> Result<Vec<(usize, String)>, String> {
        let given = self.tables.iter().enumerate().filter_map(|(i, table)| Some((i, lookup(table, key)?)));
        let mut found = Vec::new();
        for (i, value) in given {
            let Value::String(path) = value else { return Err("is not the path of a file".to_owned()) };
            if !path.is_empty() {
                found.push((i, path.clone()));
            }
        }
        Ok(found)
    }

    /// Whether a layer has a value for a key.
    pub(super) fn has_in_layer(&self, layer: usize, key: &str) -> bool {
        let value = self.tables.get(layer).and_then(|table| lookup(table, key));
        value.is_some_and(|value| value.as_str() != Some(""))
    }

    /// Whether a layer of higher priority decides about a key. There an empty value does, as it does for every key.
    pub(super) fn has_above(&self, layer: usize, key: &str) -> bool {
        self.tables.iter().take(layer).any(|table| lookup(table, key).is_some())
    }

    /// Sets a key in a layer, as if it had been written there. It is beside a key that is there.
    pub(super) fn set_in_layer(&mut self, layer: usize, key: &str, value: String) {
        let (parent, name) = key.rsplit_once('.').unwrap_or(("", key));
        if let Some(table) = self.tables.get_mut(layer).and_then(|table| table_at(table, parent)) {
            table.insert(name.to_owned(), Value::String(value));
        }
    }

    /// The digest of every value as it applies, by key. What they are cannot be told from it, so secrets may be among them.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        let mut found = BTreeMap::new();
        for table in self.tables.iter().rev() {
            walk(table, "", &mut |key| {
                if let Some(value) = lookup(table, key) {
                    found.insert(key.to_owned(), Digest::of(value.to_string().as_bytes()));
                }
            });
        }
        found
    }

    /// The same of the values below a key, by what follows it: a table of an array is known by no name.
    pub fn digests_below(&self, key: &str) -> BTreeMap<String, Digest> {
        let below =
            |(full, digest): (String, Digest)| Some((full.strip_prefix(key)?.strip_prefix('.')?.to_owned(), digest));
        self.digests().into_iter().filter_map(below).collect()
    }

    /// Keys that were never read, so probably misspelt.
    pub fn unknown_keys(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for table in &self.tables {
            walk(table, "", &mut |key| {
                let nearest = || {
                    self.read_keys
                        .iter()
                        .min_by_key(|known| levenshtein(known, key))
                        .filter(|known| levenshtein(known, key) <= 3)
                };
                if !self.read_keys.iter().any(|known| known == key) {
                    let message = match nearest() {
                        Some(known) => format!("is an unknown key; did you mean `{known}`?"),
                        None => "is an unknown key".to_owned(),
                    };
                    found.push(Problem::new(key, message));
                }
            });
        }
        found
    }

    fn note<T>(&mut self, key: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|message| self.problems.push(Problem::new(key, message))).ok()
    }
}

fn read_file(named: Option<&Path>) -> Result<Option<Table>, Problem> {
    let path = named.unwrap_or(Path::new("acervo.toml"));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(None),
        Err(e) => return Err(Problem::new(&path.display().to_string(), format!("cannot be read: {e}"))),
    };
    // `Display` of the parser's error quotes the line, which may contain a password. Only the line number is reported.
    text.parse::<Table>().map(Some).map_err(|e| {
        let line = e.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let position = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        Problem::new(&path.display().to_string(), format!("{position}{}", e.message()))
    })
}

/// The names of the hooks of a file, in its order.
fn hook_names(file: Option<&Table>) -> Vec<String> {
    let hooks = file.and_then(|file| file.get("hook")).and_then(Value::as_array);
    let name = |hook: &Value| hook.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    hooks.into_iter().flatten().map(name).collect()
}

fn insert(table: &mut Table, key: &str, value: &str) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), Value::String(value.to_owned()));
        }
        Some((head, rest)) => {
            let below = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

fn table_at<'a>(table: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    let mut parts = path.split('.').filter(|part| !part.is_empty());
    let Some(first) = parts.next() else { return Some(table) };
    let mut value = table.get_mut(first)?;
    for part in parts {
        value = match value {
            Value::Table(table) => table.get_mut(part)?,
            Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    value.as_table_mut()
}

fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let mut value = table.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Table(table) => table.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Datetime(at) => Ok(at.to_string()),
        Value::Array(_) | Value::Table(_) => Err("is not a single value".to_owned()),
    }
}

fn walk(table: &Table, prefix: &str, visit: &mut dyn FnMut(&str)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(below) => walk(below, &key, visit),
            Value::Array(items) if items.iter().any(Value::is_table) => {
                for (i, item) in items.iter().enumerate() {
                    if let Value::Table(below) = item {
                        walk(below, &format!("{key}.{i}"), visit);
                    }
                }
            }
            _ => visit(&key),
        }
    }
}
