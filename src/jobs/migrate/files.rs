//! The objects of files.
use std::collections::HashMap;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use super::{MigrateEvent, Run, fault, verify};
use crate::domain::Digest;
use crate::engine::jobs::stop;
use crate::engine::record::{Columns, FileRow, Frozen, Table};
use crate::engine::store::{Archive, StoreError};

/// Objects copied at once, and between two commits. Each takes up to two parts of 8 MiB of memory.
const AT_ONCE: usize = 4;
const FILES: usize = 16;

/// What is to be done about a file.
enum Task {
    Copy(FileRow),
    /// The instance does not have the object any more, and the copy has one.
    Remove(FileRow),
}

/// Compares a page of files with those of the copy.
fn tasks(page: Vec<FileRow>, there: &HashMap<Digest, FileRow>) -> impl Iterator<Item = Task> {
    page.into_iter().filter_map(|row| {
        let copy = there.get(&row.file.digest);
        match copy {
            Some(copy) if row.is_copied_as(copy) => None,
            Some(copy) if !row.is_stored && copy.is_stored => Some(Task::Remove(row)),
            Some(_) | None => row.is_stored.then_some(Task::Copy(row)),
        }
    })
}

impl Run<'_, '_> {
    /// Copies every object that the copy does not have, and removes those that the instance does not have any more.
    pub(super) async fn copy_files(&mut self) -> anyhow::Result<()> {
        let Some(store) = &self.to.store else { return Ok(()) };
        verify::require_access(self.app).await?;
        let total = self.app.record.dump().count(Table::Files).await?;
        let (mut after, mut done) = (None, 0);
        loop {
            let page = self.app.record.dump().files_after(after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.file.digest);
            let length = page.len() as u64;
            let there = self.there(&page).await?;
            let stored = page.iter().filter(|row| row.is_stored).count();
            let tasks: Vec<Task> = tasks(page, &there).collect();
            let copies = tasks.iter().filter(|task| matches!(task, Task::Copy(_))).count();
            self.report.present += (stored - copies) as u64;
            done += length;
            let mut tasks = tasks.into_iter();
            while tasks.len() > 0 {
                stop::check(self.app, "stop-in-migrate")?;
                (self.listener)(MigrateEvent::Files { done: done - tasks.len() as u64, total });
                let some: Vec<Task> = tasks.by_ref().take(FILES).collect();
                self.carry_out(some, store, &there).await?;
            }
            (self.listener)(MigrateEvent::Files { done, total });
        }
    }

    async fn there(&self, page: &[FileRow]) -> anyhow::Result<HashMap<Digest, FileRow>> {
        let digests = page.iter().map(|row| row.file.digest).collect();
        Ok(self.to.record.dump().files_of(digests).await?)
    }

    async fn carry_out(
        &mut self,
        tasks: Vec<Task>,
        store: &Archive,
        there: &HashMap<Digest, FileRow>,
    ) -> anyhow::Result<()> {
        let mut gone = Vec::new();
        let mut rows: Vec<Columns> = Vec::new();
        let mut copies = Vec::new();
        for task in tasks {
            match task {
                Task::Copy(row) => copies.push(row),
                Task::Remove(row) => {
                    gone.extend(there.get(&row.file.digest).map(|copy| copy.file.locator()));
                    rows.push(row.columns);
                }
            }
        }
        let from = &self.app.store;
        let copied = stream::iter(copies).map(|row| async move {
            let outcome = from.transfer(row.file, row.stored_digest, store).await;
            (row, outcome)
        });
        // An object may be large: a process that is asked to stop does not wait for its end.
        let copied: Vec<_> = tokio::select! {
            copied = copied.buffered(AT_ONCE).collect() => copied,
            () = self.app.stop.cancelled() => return Err(stop::Stopped.into()),
        };
        fault("migrate-after-objects");
        for (row, outcome) in copied {
            let digest = row.file.digest;
            let outcome = outcome.with_context(|| format!("the object of {digest} cannot be copied"))?;
            match outcome {
                Ok(bytes) => {
                    self.report.copied += 1;
                    self.report.bytes_copied += bytes;
                    let before = there.get(&digest).filter(|copy| copy.is_stored);
                    gone.extend(before.map(|copy| copy.file.locator()).filter(|copy| *copy != row.file.locator()));
                    rows.push(row.columns);
                }
                Err(e) => self.note_damaged(&row, &e).await?,
            }
        }
        // The row is written after the object that it names, and before another one is removed.
        self.to.record.dump().write(Table::Files, &rows, &self.state).await?;
        fault("migrate-between-files");
        for locator in gone {
            store.remove_transferred(locator).await?;
            self.report.removed += 1;
        }
        Ok(())
    }

    /// Notes a file whose object does not read back, unless it is stored in another way by now.
    async fn note_damaged(&mut self, row: &FileRow, error: &StoreError) -> anyhow::Result<()> {
        let (record, digest) = (&self.app.record, row.file.digest);
        let now = record.files().stored_file(digest).await?;
        if now.is_none_or(|now| now.locator() != row.file.locator()) {
            return Ok(());
        }
        if error.damaged() == Some(digest) {
            // The folder may have been unmounted since the beginning.
            verify::require_access(self.app).await?;
            record.files().mark_damaged(&row.file, error.breakage(), self.app.clock.now()).await?;
        }
        if self.damaged.insert(digest) {
            self.report.damaged += 1;
            (self.listener)(MigrateEvent::Damaged { digest, reason: &error.to_string() });
        }
        Ok(())
    }

    /// Whether nothing is left to copy, now that nothing changes any more.
    pub(super) async fn has_all_files(&self, frozen: &Frozen) -> anyhow::Result<bool> {
        let mut after = None;
        loop {
            let page = frozen.files_after(after).await?;
            let Some(last) = page.last() else { return Ok(true) };
            after = Some(last.file.digest);
            let there = self.there(&page).await?;
            let is_new = |task: Task| match task {
                Task::Copy(row) => !self.damaged.contains(&row.file.digest),
                Task::Remove(_) => true,
            };
            if tasks(page, &there).any(is_new) {
                return Ok(false);
            }
        }
    }
}
