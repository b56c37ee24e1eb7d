//! Read your writes, on whatever machine: an answer that waits until it shows a number of the feed, and the number that it shows.
//!
//! Lists come from the search index of this process and from the record, which all processes share. The index follows the record, so
//! what is answered from now on shows at least the number that the index has.
use std::time::Duration;

use tokio::time::Instant;

use super::streams::wait;
use super::{Queries, QueryError};
use crate::domain::NotificationId;

/// What an answer must show, as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedMark {
    /// A number of the feed.
    Number(i64),
    /// A notification that was answered 202, with its publication.
    Notification(NotificationId),
}

impl std::fmt::Display for FeedMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Notification(id) => id.fmt(f),
        }
    }
}

impl Queries {
    /// The number of the feed that answers made from now on show: they show every change up to it, and perhaps later ones.
    pub fn feed_shown(&self) -> i64 {
        self.app.index.position().map_or(0, |position| position.feed)
    }

    /// The last number of the feed, for an answer that has changed something.
    pub async fn feed_recorded(&self) -> Result<i64, QueryError> {
        Ok(self.record.feed().head().await?)
    }

    /// Waits until answers show a mark, for the given time at most. A request that waits holds one of the places of those that wait for
    /// changes, and nothing else.
    pub async fn until_shown(&self, mark: FeedMark, longest: Duration, key: &str) -> Result<(), QueryError> {
        if let FeedMark::Number(number) = mark
            && self.feed_shown() >= number
        {
            return Ok(());
        }
        let _place = self.admission().admit_poll(key)?;
        let shown = async {
            let number = match mark {
                FeedMark::Number(number) => number,
                FeedMark::Notification(id) => self.until_resolved(id).await?,
            };
            self.until_indexed(number).await
        };
        let behind = || QueryError::Behind { mark, shown: self.feed_shown() };
        tokio::select! {
            shown = tokio::time::timeout(longest, shown) => match shown {
                Ok(Err(QueryError::IndexStopped)) | Err(_) => Err(behind()),
                Ok(shown) => shown,
            },
            () = self.app.stopping.cancelled() => Err(behind()),
        }
    }

    /// Waits until a notification has its publication; gives a number of the feed that includes it.
    async fn until_resolved(&self, id: NotificationId) -> Result<i64, QueryError> {
        let mut commits = self.record.feed().watch();
        loop {
            commits.borrow_and_update();
            let looked_at = Instant::now();
            match self.record.history().is_resolved(id).await? {
                Some(true) => return self.feed_recorded().await,
                Some(false) => wait(&mut commits, looked_at).await,
                None => return Err(QueryError::bad(format!("`Acervo-Feed` is {id}: there is no such notification"))),
            }
        }
    }
}
