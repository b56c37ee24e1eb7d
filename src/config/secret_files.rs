//! Secrets that are in files: `receiver.token_file` for `receiver.token`, and systemd's credentials.
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::layers::Layers;
use super::values::Problem;

/// The largest secret. A header, in which most are sent, takes far less.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Secrets that can be a systemd credential or a variable such as `ACERVO_RECEIVER_TOKEN_FILE`.
pub(super) const SECRETS: &[(&str, &str)] = &[
    ("ACERVO_DATABASE_URL", "database_url"),
    ("ACERVO_RECEIVER_USERNAME", "receiver.username"),
    ("ACERVO_RECEIVER_PASSWORD", "receiver.password"),
    ("ACERVO_RECEIVER_TOKEN", "receiver.token"),
    ("ACERVO_API_TOKEN", "api.token"),
    ("ACERVO_FETCH_PROXY", "fetch.proxy"),
];

impl Layers {
    /// Lets a key come from the file that `KEY_file` names, with the priority of the layer that names it. Called before the key is
    /// read, for each key that is a secret.
    pub fn secret_from_file(&mut self, key: &str) {
        let file_key = format!("{key}_file");
        self.mark_read(&file_key);
        let named = match self.path_in_each_layer(&file_key) {
            Ok(named) => named,
            Err(message) => return self.problems.push(Problem::new(&file_key, message)),
        };
        for (layer, path) in named {
            if self.has_in_layer(layer, key) {
                let message = format!("is given as well as {key}; keep one of them");
                return self.problems.push(Problem::new(&file_key, message));
            }
            // A layer above has the value: the file need not even be there.
            if self.has_above(layer, key) {
                continue;
            }
            match read_secret(Path::new(&path)) {
                Ok(secret) => {
                    if let Some(mode) = open_to_others(Path::new(&path)) {
                        let warning = readable_by_others(&shown(&path), mode);
                        self.warnings.push(Problem::new(&file_key, warning));
                    }
                    self.set_in_layer(layer, key, secret);
                }
                Err(reason) => self.problems.push(Problem::new(&file_key, format!("{} {reason}", shown(&path)))),
            }
            return;
        }
    }
}

/// A path for a message. Anything else may be a secret that was written in the wrong place.
fn shown(path: &str) -> String {
    if path.starts_with(['/', '.', '~']) { format!("`{path}`") } else { "the file that it names".to_owned() }
}

/// The secret in a file, without the line break at its end. Errors do not quote it.
fn read_secret(path: &Path) -> Result<String, String> {
    let cannot = |e: std::io::Error| format!("cannot be read: {e}");
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(cannot)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("has more than {SECRET_BYTES_MAX} bytes, so it is not the file of a secret"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not valid UTF-8".to_owned())?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(secret.to_owned())
}

/// The secrets of sources and hooks that can be credentials.
const OF_SOURCE: [&str; 3] = ["username", "password", "token"];
const OF_HOOK: [&str; 4] = ["url", "secret", "smtp_user", "smtp_password"];

/// The secrets of a bucket. The tools of AWS have no variables for files of these.
const OF_BUCKET: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The secrets among systemd's credentials (`LoadCredential=receiver.token:/etc/acervo/receiver.token`), by key. Those of a source
/// are `receiver.sources.NAME.token`, those of a hook `hook.NAME.secret`; the key of a hook has its position in the file.
pub(super) fn credentials(folder: &Path, hooks: &[String]) -> (Vec<(String, String)>, Vec<Problem>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut take = |key: String, path: &Path| match read_secret(path) {
        Ok(secret) => found.push((key, secret)),
        Err(reason) => problems.push(Problem::new(&key, format!("the credential `{}` {reason}", path.display()))),
    };
    for (_, key) in SECRETS {
        // systemd's own examples have names of either kind.
        let paths = [folder.join(key), folder.join(key.replace('.', "_"))];
        if let Some(path) = paths.iter().find(|path| path.exists()) {
            take((*key).to_owned(), path);
        }
    }
    // A name that is not valid is reported where hooks are read.
    for (at, hook) in hooks.iter().enumerate().filter(|(_, hook)| !hook.contains('/')) {
        let names = OF_HOOK.map(|name| (name, folder.join(format!("hook.{hook}.{name}"))));
        for (name, path) in names.iter().filter(|(_, path)| path.exists()) {
            take(format!("hook.{at}.{name}"), path);
        }
    }
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    for name in names.filter_map(|name| name.into_string().ok()) {
        let source = name.strip_prefix("receiver.sources.").and_then(|rest| rest.rsplit_once('.'));
        if source.is_some_and(|(source, key)| !source.contains('.') && OF_SOURCE.contains(&key)) {
            take(name.clone(), &folder.join(&name));
        }
    }
    (found, problems)
}

/// The secrets of a bucket that are in files: `AWS_SECRET_ACCESS_KEY_FILE` names one, or systemd has a credential of the
/// variable's name.
pub(super) fn of_bucket(
    set: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<(String, SecretString)> {
    let mut found = Vec::new();
    for name in OF_BUCKET {
        let variable = format!("{name}_FILE");
        let credential = set("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(name));
        let (path, is_named) = match (set(&variable), credential) {
            (Some(_), _) if set(name).is_some() => {
                problems.push(Problem::new(&variable, format!("is given as well as {name}; keep one of them")));
                continue;
            }
            (Some(path), _) => (PathBuf::from(path), true),
            (None, Some(path)) if set(name).is_none() && path.exists() => (path, false),
            (None, _) => continue,
        };
        let shown = shown(&path.to_string_lossy());
        match read_secret(&path) {
            Ok(secret) => found.push((name.to_owned(), secret.into())),
            Err(reason) => problems.push(Problem::new(&variable, format!("{shown} {reason}"))),
        }
        if let Some(mode) = open_to_others(&path).filter(|_| is_named) {
            warnings.push(Problem::new(&variable, readable_by_others(&shown, mode)));
        }
    }
    found
}

fn readable_by_others(shown: &str, mode: u32) -> String {
    format!("{shown} can be read by other users of this machine (mode {mode:03o}); make it private with `chmod 600`")
}

/// The permissions of a file that others can read.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<u32> {
    None
}
