//! The rows of all tables.
use anyhow::bail;

use super::{Listener, MigrateEvent, Run, count, fault};
use crate::app::{App, Destination};
use crate::engine::jobs::stop;
use crate::engine::record::{Frozen, RowPosition, Table};

impl Run<'_, '_> {
    /// Copies the tables, from the position on where an earlier attempt was interrupted.
    pub(super) async fn copy_rows(&mut self, frozen: &Frozen) -> anyhow::Result<()> {
        let total = count(frozen).await?;
        let mut done = 0;
        let from = self.state.rows.take();
        let first = from.as_ref().map_or(Table::ALL[0], |from| from.table);
        let skipped = Table::ALL.iter().position(|table| *table == first).unwrap_or_default();
        for (index, table) in Table::ALL.iter().copied().enumerate() {
            if index < skipped {
                done += frozen.count(table).await?;
                continue;
            }
            let from = from.clone().filter(|from| from.table == table && from.after.is_some());
            self.copy_table(frozen, table, from, &mut done, total).await?;
            self.report.tables += 1;
        }
        Ok(())
    }

    /// Copies a table, from a position on or anew.
    async fn copy_table(
        &mut self,
        frozen: &Frozen,
        table: Table,
        from: Option<RowPosition>,
        done: &mut u64,
        total: u64,
    ) -> anyhow::Result<()> {
        let is_new = from.is_none();
        let mut position = from.unwrap_or(RowPosition { table, after: None });
        self.state.rows = Some(position.clone());
        // The rows of files say which objects the copy has, and are replaced one by one.
        if is_new && table != Table::Files {
            self.to.record.dump().clear(table, &self.state).await?;
        }
        while let Some(rows) = frozen.next(&mut position).await? {
            stop::check(self.app, "stop-in-migrate")?;
            self.state.rows = Some(position.clone());
            self.to.record.dump().write(table, &rows, &self.state).await?;
            *done += rows.len() as u64;
            self.report.rows += rows.len() as u64;
            (self.listener)(MigrateEvent::Rows { done: *done, total });
            fault("migrate-between-rows");
        }
        Ok(())
    }

    /// Compares all tables. One that differs, as the instance was used between two attempts, is copied anew.
    pub(super) async fn make_equal(&mut self, frozen: &Frozen) -> anyhow::Result<()> {
        let differ = differing(self.app, frozen, self.to, self.listener).await?;
        if differ.is_empty() {
            return Ok(());
        }
        for table in differ {
            let mut done = 0;
            self.copy_table(frozen, table, None, &mut done, frozen.count(table).await?).await?;
            // Triggers have counted what was written.
            self.copy_table(frozen, Table::Totals, None, &mut done, frozen.count(Table::Totals).await?).await?;
        }
        let left = differing(self.app, frozen, self.to, self.listener).await?;
        if left.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = left.iter().map(|table| table.as_str()).collect();
        bail!(
            "the copy differs from the instance in {}, and is not complete; is something else writing to the database of the copy?",
            names.join(", ")
        )
    }
}

/// The tables that do not have the same rows in both databases.
pub(super) async fn differing(
    app: &App,
    frozen: &Frozen,
    to: &Destination,
    listener: &mut Listener<'_>,
) -> anyhow::Result<Vec<Table>> {
    let (mut found, total) = (Vec::new(), Table::ALL.len() as u64);
    for (done, table) in (1..).zip(Table::ALL.iter().copied()) {
        stop::check(app, "stop-in-migrate")?;
        if frozen.sum(table).await? != to.record.dump().sum(table).await? {
            found.push(table);
        }
        listener(MigrateEvent::Tables { done, total });
    }
    Ok(found)
}
