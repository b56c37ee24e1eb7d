//! Which settings a running service can take over, and which changed.
use super::Settings;

/// Keys that a running service takes over.
fn is_reloadable(key: &str) -> bool {
    let key = key.strip_suffix("_file").unwrap_or(key);
    matches!(
        key,
        "host_names"
            | "api.token"
            | "api.open"
            | "api.cors_origins"
            | "api.session_lifetime"
            | "receiver.username"
            | "receiver.password"
            | "receiver.token"
            | "receiver.open"
    ) || is_of_hooks(key)
        || key.starts_with("api.keys.")
        || key.starts_with("receiver.sources.")
}

fn is_of_hooks(key: &str) -> bool {
    key.starts_with("hook.") || key.starts_with("hooks.")
}

/// A key as a message names it: a table of keys or of a source as a whole.
fn group(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match parts.as_slice() {
        ["api", "keys", ..] => "api.keys".to_owned(),
        ["receiver", "sources", name, ..] => format!("receiver.sources.{name}"),
        _ => key.to_owned(),
    }
}

impl Settings {
    /// These settings with what a running service can take over from others.
    pub fn with_reloadable(&self, new: &Self) -> Self {
        let mut merged = self.clone();
        merged.api = new.api.clone();
        merged.host_names = new.host_names.clone();
        merged.hooks = new.hooks.clone();
        merged.receiver.credentials = new.receiver.credentials.clone();
        merged.receiver.sources = new.receiver.sources.clone();
        merged.receiver.open = new.receiver.open;
        merged.written.retain(|key, _| !is_reloadable(key));
        let taken = new.written.iter().filter(|(key, _)| is_reloadable(key));
        merged.written.extend(taken.map(|(key, digest)| (key.clone(), *digest)));
        merged
    }

    /// The keys whose values differ: those that a running service takes over, and those that need a restart.
    pub fn changes_to(&self, new: &Self) -> (Vec<String>, Vec<String>) {
        let keys = self.written.keys().chain(new.written.keys());
        let changed = keys.filter(|key| self.written.get(*key) != new.written.get(*key));
        let (mut applied, mut restart): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        applied.extend(self.hooks.changes_to(&new.hooks).map(|name| format!("hook.{name}")));
        // A hook is named above: its number in the file says little.
        for key in changed.filter(|key| !key.starts_with("hook.")) {
            if is_reloadable(key) { applied.push(group(key)) } else { restart.push(key.clone()) }
        }
        for keys in [&mut applied, &mut restart] {
            keys.sort();
            keys.dedup();
        }
        (applied, restart)
    }
}
