//! The keys of the API: which there are, and when each was last used.
use jiff::Timestamp;

use super::{Queries, QueryError};
use crate::app::KeyState;
use crate::config::ApiKey;

/// A key of the API and what is known of it.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    pub key: ApiKey,
    pub state: KeyState,
    pub last_used_at: Option<Timestamp>,
}

impl Queries {
    /// All keys of the configuration, in its order.
    pub async fn keys(&self) -> Result<Vec<KeyStatus>, QueryError> {
        let access = &self.app.access;
        let mut uses = self.record.keys().last_uses().await?;
        // Not all of them are written yet.
        uses.extend(access.recent_uses());
        let now = self.app.clock.now();
        let settings = access.settings();
        let keys = settings.api.keys.iter().map(|key| KeyStatus {
            key: key.clone(),
            state: access.state_of(key, now),
            last_used_at: uses.get(&key.name).copied(),
        });
        Ok(keys.collect())
    }
}
