//! The feed as callers see it: every change in commit order, from any cursor on.
use uuid::Uuid;

use super::paging::Cursor;
use super::{ListPage, Paging, Queries, QueryError};
use crate::engine::index::SortValue;
use crate::engine::record::Change;

/// The kind of the feed's cursors.
const FEED: char = 'f';

/// A line of the feed.
pub type ChangeRow = Change;

impl Queries {
    /// The cursor before the first change.
    pub fn start_of_changes() -> String {
        Cursor { value: SortValue::Number(0), tie: Uuid::nil() }.format(FEED)
    }

    /// The changes after a cursor, oldest first. The cursor is a number of the feed, so it never expires.
    pub async fn changes(&self, paging: &Paging) -> Result<ListPage<ChangeRow>, QueryError> {
        let window = paging.window(FEED)?;
        let after = window.position::<i64>()?.unwrap_or(0);
        let rows = self.record.feed().changes_after(after, window.limit as u64 + 1).await?;
        let more = rows.len() > window.limit;
        let rows = rows.into_iter().take(window.limit).map(|change| {
            let cursor = Cursor { value: SortValue::Number(change.number), tie: Uuid::nil() };
            (cursor.format(FEED), change)
        });
        Ok(ListPage::new(&window, 0, rows.collect(), more))
    }
}
