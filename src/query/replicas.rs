//! The services that share the database.
use super::{Queries, QueryError, Replica};
use crate::app::ReplicaIdentity;

impl Queries {
    /// The services that share the database, by name; this one as it is now. Of a database that is not shared it is the only one; a
    /// command knows nothing of it.
    pub async fn replicas(&self) -> Result<Vec<Replica>, QueryError> {
        let app = &self.app;
        let head = self.record.feed().head().await?;
        let feed = self.feed_shown();
        let now = app.clock.now();
        if self.record.is_shared() {
            let mut all = self.record.replicas().all(ReplicaIdentity::lasts(), now).await?;
            let own = all.iter_mut().find(|replica| app.serves() && replica.name == app.replica.name);
            if let Some(own) = own {
                (own.feed, own.lag) = (feed, (head - feed).max(0));
            }
            return Ok(all);
        }
        let own = app.serves().then(|| Replica {
            name: app.replica.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: app.started_at,
            seen_at: now,
            feed,
            lag: (head - feed).max(0),
            is_gone: false,
            leads: true,
        });
        Ok(own.into_iter().collect())
    }
}
