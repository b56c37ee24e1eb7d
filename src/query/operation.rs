//! What operators see of many rows: open links, protected revisions, activity by day.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::ToSpan;
use jiff::civil::Date;
use tokio::sync::Mutex;

use super::{DayOfActivity, HeldRevision, OpenLink, Queries, QueryError};
use crate::domain::sao_paulo;

/// Days that the activity covers, with the present one.
const DAYS: i64 = 30;

/// Counting a month reads each of its notifications, so it is done at most this often.
const COUNTED_EVERY: Duration = Duration::from_secs(20);

/// Rows of a list that a person looks at.
const LISTED_MAX: u64 = 20;

/// What came and was archived on each of the last 30 days, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    pub days: Vec<(Date, DayOfActivity)>,
}

pub(super) type ActivityCache = Arc<Mutex<Option<(Instant, Arc<Activity>)>>>;

impl Queries {
    /// The notifications whose files are still to be fetched: those whose links expire first, at most 20.
    pub async fn open_links(&self) -> Result<Vec<OpenLink>, QueryError> {
        Ok(self.record.monitor().open_links(LISTED_MAX).await?)
    }

    /// The revisions that were protected from retention last, at most 20.
    pub async fn held(&self) -> Result<Vec<HeldRevision>, QueryError> {
        Ok(self.record.monitor().held(LISTED_MAX).await?)
    }

    /// What came and was archived by day, at most some seconds old.
    pub async fn activity(&self) -> Result<Arc<Activity>, QueryError> {
        let mut cached = self.activity.lock().await;
        if let Some((at, activity)) = &*cached
            && at.elapsed() < COUNTED_EVERY
        {
            return Ok(activity.clone());
        }
        let activity = Arc::new(self.count_activity().await?);
        *cached = Some((Instant::now(), activity.clone()));
        Ok(activity)
    }

    async fn count_activity(&self) -> Result<Activity, QueryError> {
        let today = sao_paulo().to_datetime(self.app.clock.now()).date();
        let first = today.saturating_sub((DAYS - 1).days());
        let since = sao_paulo().to_timestamp(first.at(0, 0, 0, 0));
        let since = since.map_err(|e| QueryError::bad(format!("{first} is not a day of São Paulo: {e}")))?;
        let counted: BTreeMap<Date, DayOfActivity> = self.record.monitor().activity(since).await?;
        let days = first.series(1.day()).take_while(|day| *day <= today);
        Ok(Activity { days: days.map(|day| (day, counted.get(&day).copied().unwrap_or_default())).collect() })
    }

    /// Whether any notification was ever received, or any file imported.
    pub async fn is_empty(&self) -> Result<bool, QueryError> {
        let counts = self.counts().await?;
        Ok(counts.last_notification_at.is_none() && counts.publications == 0)
    }
}
