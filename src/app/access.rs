//! Who may use the service: the part of the configuration that a running service reads again, and the keys that were revoked.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::App;
use crate::config::{ApiKey, ConfigError, Settings};
use crate::domain::Digest;

/// Between two writes of the last use of a key.
const WRITE_USE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Reads the configuration again.
type Loader = dyn Fn() -> Result<Settings, ConfigError> + Send + Sync;

/// Who may use the service, at this moment.
pub struct Access {
    settings: RwLock<Arc<Settings>>,
    /// When keys were revoked, by their hash.
    revoked: RwLock<Arc<HashMap<Digest, Timestamp>>>,
    uses: Mutex<HashMap<String, KeyUse>>,
    loader: OnceLock<Box<Loader>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    changed: watch::Sender<()>,
    /// What a command on this machine proves with that it may read the data folder.
    pub control_token: String,
}

#[derive(Clone, Copy, Debug)]
struct KeyUse {
    last: Timestamp,
    /// When it was written, or first noted.
    since: Timestamp,
    is_written: bool,
}

/// What a key is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Valid,
    Expired(Timestamp),
    Revoked(Timestamp),
}

/// What reading the configuration again has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys that apply now.
    pub applied: Vec<String>,
    /// Keys that changed and apply after a restart.
    pub needs_restart: Vec<String>,
    pub warnings: Vec<String>,
}

impl Access {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: RwLock::new(Arc::new(settings)),
            revoked: RwLock::default(),
            uses: Mutex::default(),
            loader: OnceLock::new(),
            reloading: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(()),
            control_token: hex::encode(rand::random::<[u8; 32]>()),
        }
    }

    /// The settings with what was read again since the start.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets `reload` read the configuration as it was read at the start.
    pub fn set_loader(&self, load: impl Fn() -> Result<Settings, ConfigError> + Send + Sync + 'static) {
        // The first one stays: there is one configuration.
        let _ = self.loader.set(Box::new(load));
    }

    /// Is told each time that keys were added, changed or revoked.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn state_of(&self, key: &ApiKey, now: Timestamp) -> KeyState {
        if let Some(at) = self.revoked_at(key.hash) {
            return KeyState::Revoked(at);
        }
        key.expires.filter(|expires| *expires <= now).map_or(KeyState::Valid, KeyState::Expired)
    }

    /// Whether a key that was valid still is.
    pub fn is_valid(&self, hash: Digest, now: Timestamp) -> bool {
        let settings = self.settings();
        let key = settings.api.keys.iter().find(|key| key.hash == hash);
        key.is_some_and(|key| self.state_of(key, now) == KeyState::Valid)
    }

    fn revoked_at(&self, hash: Digest) -> Option<Timestamp> {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).get(&hash).copied()
    }

    /// Notes that a key was used. The database learns it later, so that no request waits for it.
    pub fn note_use(&self, name: &str, at: Timestamp) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(name) {
            Some(used) => {
                used.last = used.last.max(at);
                used.is_written = false;
            }
            None => drop(uses.insert(name.to_owned(), KeyUse { last: at, since: at, is_written: false })),
        }
    }

    /// When keys were used since the start.
    pub fn recent_uses(&self) -> HashMap<String, Timestamp> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.iter().map(|(name, used)| (name.clone(), used.last)).collect()
    }

    /// The uses to write now: of each key at most one a minute, unless `all` are asked for.
    fn uses_to_write(&self, now: Timestamp, all: bool) -> Vec<(String, Timestamp)> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |used: &KeyUse| !used.is_written && (all || now.duration_since(used.since) >= WRITE_USE_EVERY);
        uses.iter().filter(|(_, used)| is_due(used)).map(|(name, used)| (name.clone(), used.last)).collect()
    }

    fn note_written(&self, written: &[(String, Timestamp)], now: Timestamp) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, at) in written {
            if let Some(used) = uses.get_mut(name) {
                used.since = now;
                used.is_written = used.last == *at;
            }
        }
    }

    fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.changed.send_replace(());
    }
}

impl App {
    /// Reads the configuration again and applies what can be changed while the service runs. If it cannot be used, everything stays
    /// as it is.
    pub async fn reload(&self) -> anyhow::Result<Reloaded> {
        let access = &self.access;
        let load = access.loader.get().context("this process does not read its configuration again")?;
        let _one = access.reloading.lock().await;
        let new = load()?;
        // What applies after the next start, and what applies now.
        new.exposure()?;
        let current = access.settings();
        let merged = current.with_reloadable(&new);
        merged.exposure()?;
        let (applied, needs_restart) = current.changes_to(&new);
        let mut warnings: Vec<String> = new.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(merged.exposure_warnings());
        // A new hook tells about what happens once the answer is there.
        for hook in &merged.hooks.all {
            self.record.hooks().register(&hook.name, self.clock.now()).await?;
        }
        access.set_settings(merged);
        Ok(Reloaded { applied, needs_restart, warnings })
    }

    /// Reads which keys were revoked, by whatever process.
    pub async fn read_revoked_keys(&self) -> anyhow::Result<()> {
        let revoked = self.record.keys().revoked().await?;
        let revoked: HashMap<Digest, Timestamp> = revoked.into_iter().map(|key| (key.hash, key.at)).collect();
        let is_new = {
            let mut known = self.access.revoked.write().unwrap_or_else(PoisonError::into_inner);
            let is_new = **known != revoked;
            *known = Arc::new(revoked);
            is_new
        };
        if is_new {
            self.access.changed.send_replace(());
        }
        Ok(())
    }

    /// Writes when keys were last used: all that is not written, or of each key at most once a minute.
    pub async fn write_key_uses(&self, all: bool) -> anyhow::Result<()> {
        let now = self.clock.now();
        let due = self.access.uses_to_write(now, all);
        if !due.is_empty() {
            self.record.keys().note_uses(&due).await?;
            self.access.note_written(&due, now);
        }
        Ok(())
    }

    /// Revokes every key of a name. Returns those keys; none if the configuration has no such key.
    pub async fn revoke_key(&self, name: &str) -> anyhow::Result<Vec<ApiKey>> {
        let keys: Vec<ApiKey> = self.settings.api.keys.iter().filter(|key| key.name == name).cloned().collect();
        for key in &keys {
            self.record.keys().revoke(key.hash, &key.name, self.clock.now()).await?;
        }
        self.read_revoked_keys().await?;
        Ok(keys)
    }
}

/// Something made from the settings, made again once they have changed.
pub struct Derived<T> {
    make: fn(&Settings) -> T,
    made: RwLock<(Arc<Settings>, Arc<T>)>,
}

impl<T> Derived<T> {
    pub fn new(app: &App, make: fn(&Settings) -> T) -> Self {
        let settings = app.access.settings();
        let made = Arc::new(make(&settings));
        Self { make, made: RwLock::new((settings, made)) }
    }

    pub fn get(&self, app: &App) -> Arc<T> {
        let settings = app.access.settings();
        {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&made.0, &settings) {
                return made.1.clone();
            }
        }
        let fresh = Arc::new((self.make)(&settings));
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = (settings, fresh.clone());
        fresh
    }
}
