//! Many rows in few statements, of few lengths: a statement whose text was seen before need not be prepared again. And
//! long work in pages, one commit each.
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait};
use tokio::time::Instant;

/// Rows that long work reads and writes at once: few enough that a notification waits for milliseconds.
pub(super) const PAGE: u64 = 500;

/// The most rows of one statement: SQLite takes 32,766 values, and the widest table has 32 columns.
const ROWS_MAX: usize = 256;

/// Inserts rows; `or` says what is done with those that exist.
pub(super) async fn insert<A, C>(txn: &C, rows: Vec<A>, or: Option<OnConflict>) -> Result<(), DbErr>
where
    A: ActiveModelTrait + Send,
    C: ConnectionTrait,
{
    let mut rows = rows;
    while !rows.is_empty() {
        let some = rows.split_off(rows.len() - length(rows.len()));
        let insert = A::Entity::insert_many(some);
        match &or {
            Some(or) => insert.on_conflict(or.clone()).exec_without_returning(txn).await?,
            None => insert.exec_without_returning(txn).await?,
        };
    }
    Ok(())
}

/// How many of `n` rows go into the next statement: 1, 2, 4 or some eights.
pub(super) fn length(n: usize) -> usize {
    if n < 8 { 1 << n.ilog2() } else { (n - n % 8).min(ROWS_MAX) }
}

/// Fills a list up to a power of two by repeating its last value, which changes nothing in a list of alternatives.
pub(super) fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    values
}

/// Waits for as long as a page of long work took, so that other writers get as much time as it does.
pub(super) async fn pause(began: Instant) {
    tokio::time::sleep(began.elapsed()).await;
}
