//! Reads the text of files and keeps the index of contents up to date with the feed.
//!
//! It follows the feed at its own pace, behind the index of names: a revision is found by its name first. What it has read it does not read
//! again, whatever becomes of the index of names. A file whose revisions are all removed loses its text; an undo brings both back.
mod read;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::stop::{self, Stopped};
use crate::app::App;
use crate::domain::{Digest, RevisionId};
use crate::engine::extract;
use crate::engine::index::{ContentWriter, Contents, FileText, IndexError, Outcome};
use crate::engine::record::{Change, Revision};
use crate::threads;
use read::FileReader;

/// Runs the process that reads a PDF or workbook: sets its `limits` and starts again within them, or works if it has none to set.
pub fn run_extraction(kind: &str, text_max: usize, limits: Option<(u64, u64)>) -> ExitCode {
    match limits {
        Some((memory_max, cpu_max)) => extract::limit_and_run(kind, text_max, memory_max, cpu_max),
        None => extract::run_limited(kind, text_max),
    }
}

/// Changes read at once.
const BATCH: u64 = 500;

/// How often the feed is polled for changes by other processes, and failed work tried again.
const CHECK_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How often what was read is committed while there is more: a commit delays the syncs of notifications.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// How often at most a position without files is committed: other processes show what is written.
const POSITION_EVERY: Duration = Duration::from_secs(60);

fn commit_every() -> Duration {
    fail::fail_point!("content-commits-every", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(COMMIT_EVERY, Duration::from_millis)
    });
    COMMIT_EVERY
}

fn position_every() -> Duration {
    fail::fail_point!("content-position-every", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(POSITION_EVERY, Duration::from_millis)
    });
    POSITION_EVERY
}

/// The pause after changes, so that what arrives together is committed together.
const BATCH_DELAY: Duration = Duration::from_millis(200);

pub(super) async fn run(app: App) {
    let Ok(contents) = app.index.contents() else { return };
    while let Some(writer) = acquire_writer(&app, contents).await {
        follow_feed(&app, contents, writer).await;
    }
}

/// Waits until this process may write the index. `None` once stopped.
async fn acquire_writer(app: &App, contents: &Contents) -> Option<ContentWriter> {
    let mut is_reported = false;
    while !app.stop.is_cancelled() {
        let index = contents.clone();
        let acquired = threads::at_lowest_priority("content", move || index.writer()).await;
        match acquired.map_err(IndexError::Io).and_then(|taken| taken.unwrap_or(Err(IndexError::Interrupted))) {
            Ok(writer) => return Some(writer),
            Err(IndexError::InUse) => {}
            Err(e) if is_reported => tracing::debug!(error = %e, "the index of contents cannot be opened"),
            Err(e) => {
                is_reported = true;
                tracing::error!(error = %e, "the index of contents cannot be opened for writing; trying again");
            }
        }
        pause(app, CHECK_EVERY).await;
    }
    None
}

async fn pause(app: &App, time: Duration) {
    tokio::select! {
        _ = app.stop.cancelled() => {}
        _ = tokio::time::sleep(time) => {}
    }
}

/// Follows the feed until stopped, or until a panic loses the writer.
async fn follow_feed(app: &App, contents: &Contents, writer: ContentWriter) {
    let mut fed = app.record.feed().watch();
    let mut work = Work::new(app, contents, writer);
    if let Err(e) = work.read_damaged_again().await {
        tracing::warn!(error = format!("{e:#}"), "files that were damaged cannot be read again");
    }
    while !app.stop.is_cancelled() {
        fed.borrow_and_update();
        // Files and notifications need the space more.
        if app.disk.may_fetch().is_err() {
            pause(app, RETRY_AFTER).await;
            continue;
        }
        match work.catch_up().await {
            Ok(()) => {}
            Err(e) if e.is::<Stopped>() || app.stop.is_cancelled() => return,
            Err(e) => {
                tracing::error!(error = format!("{e:#}"), "the text of files cannot be indexed; trying again");
                pause(app, RETRY_AFTER).await;
                if let Err(e) = work.recover().await {
                    // A writer that could not be rolled back cannot be used any more, so another one is taken.
                    return tracing::error!(error = format!("{e:#}"), "the index of contents cannot be written yet");
                }
            }
        }
        tokio::select! {
            _ = app.stop.cancelled() => {}
            _ = fed.changed() => pause(app, BATCH_DELAY).await,
            _ = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
}

/// Reads the text of all files of the feed, once. `false` if the text inside files is not indexed, or another process does this.
pub async fn catch_up_content(app: &App) -> anyhow::Result<bool> {
    let Ok(contents) = app.index.contents() else { return Ok(false) };
    let writer = match contents.writer() {
        Ok(writer) => writer,
        Err(IndexError::InUse) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    Work::new(app, contents, writer).catch_up().await?;
    Ok(true)
}

/// The writer, and what it has not committed.
struct Work<'a> {
    app: &'a App,
    contents: &'a Contents,
    reader: FileReader,
    /// Absent after a panic.
    writer: Option<ContentWriter>,
    /// Files that were changed since the last commit, and whether they have a text now.
    changed: HashMap<Digest, bool>,
    committed_at: Instant,
    /// The position in the index; `None` before its first commit.
    committed: Option<i64>,
    /// The last number of the feed whose files were read.
    at: i64,
}

impl<'a> Work<'a> {
    fn new(app: &'a App, contents: &'a Contents, writer: ContentWriter) -> Self {
        let reader = FileReader::new(app.store.clone(), &app.settings.content, app.stop.clone());
        let committed = contents.position();
        let (changed, committed_at, at) = (HashMap::new(), Instant::now(), committed.unwrap_or_default());
        Self { app, contents, reader, writer: Some(writer), changed, committed_at, committed, at }
    }

    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let head = self.app.record.feed().head().await?;
        if self.at > head {
            // The index is that of another database, or of a later state of this one.
            self.on_thread(|writer| writer.clear()).await?;
            self.at = 0;
            self.commit().await?;
        }
        loop {
            stop::check(self.app, "stop-in-content")?;
            let changes = self.app.record.feed().changes_after(self.at, BATCH).await?;
            let Some(last) = changes.last() else { return self.commit_changed().await };
            let last = last.number;
            if !self.wait_for_names(last).await {
                return Ok(());
            }
            self.take(&changes).await?;
            self.at = last;
            if self.changed.is_empty() {
                self.contents.note_position(last);
            }
        }
    }

    /// Waits until the index of names has the changes. Returns whether it has.
    async fn wait_for_names(&self, number: i64) -> bool {
        let mut progress = self.app.index.progress();
        let reached = progress.wait_for(|progress| progress.position.is_some_and(|at| at.feed >= number));
        tokio::select! {
            _ = self.app.stop.cancelled() => false,
            // Where nothing writes that index, as with a command, this one need not wait for it.
            _ = tokio::time::sleep(RETRY_AFTER) => true,
            reached = reached => reached.is_ok(),
        }
    }

    async fn take(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        let ids: HashSet<RevisionId> = changes.iter().filter_map(|change| change.revision_id).collect();
        let ids: Vec<RevisionId> = ids.into_iter().collect();
        let revisions = self.app.record.history().revisions_by_id(&ids).await?;
        let digests: HashSet<Digest> = revisions.values().map(|revision| revision.file.digest).collect();
        let shown = self.app.record.files().shown_among(&digests.into_iter().collect::<Vec<_>>()).await?;
        let mut seen = HashSet::new();
        for change in changes {
            let revision = change.revision_id.and_then(|id| revisions.get(&id));
            let Some(revision) = revision.filter(|revision| seen.insert(revision.file.digest)) else { continue };
            stop::check(self.app, "stop-in-content")?;
            if !self.changed.is_empty() && self.committed_at.elapsed() > commit_every() {
                // The changes before this batch are complete; of the batch, what was read is not read again.
                self.commit().await?;
            }
            let digest = revision.file.digest;
            let is_indexed = match self.changed.get(&digest) {
                Some(is_indexed) => *is_indexed,
                None => self.contents.has(digest)?,
            };
            match (shown.contains(&digest), is_indexed) {
                (true, false) => self.add(revision).await?,
                (false, true) => self.remove(digest).await?,
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    /// Reads files again that the archive did not give back: they may have been repaired.
    async fn read_damaged_again(&mut self) -> anyhow::Result<()> {
        for digest in self.contents.ended(Outcome::Damaged)? {
            let Some(id) = self.app.record.verify().newest_with(digest).await? else { continue };
            if let Some(revision) = self.app.record.history().revisions_by_id(&[id]).await?.get(&id) {
                self.add(revision).await?;
            }
        }
        if self.changed.is_empty() { Ok(()) } else { self.commit().await }
    }

    async fn add(&mut self, revision: &Revision) -> anyhow::Result<()> {
        let began = Instant::now();
        let digest = revision.file.digest;
        let Some(file) = self.app.record.files().stored_file(digest).await? else { return Ok(()) };
        let text: FileText = self.reader.read(file, &revision.file_name).await?;
        metrics::histogram!("acervo_content_read_seconds").record(began.elapsed());
        tracing::debug!(%digest, outcome = text.outcome.as_str(), texts = text.documents.len(), "read the text of a file");
        self.on_thread(move |writer| writer.replace(&text)).await?;
        self.changed.insert(digest, true);
        super::fault("content-added");
        Ok(())
    }

    async fn remove(&mut self, digest: Digest) -> anyhow::Result<()> {
        self.on_thread(move |writer| {
            writer.remove(digest);
            Ok(())
        })
        .await?;
        self.changed.insert(digest, false);
        Ok(())
    }

    /// Commits the files that were changed, or from time to time a position: after a restart, changes without files are moved over again.
    async fn commit_changed(&mut self) -> anyhow::Result<()> {
        let is_due = match self.committed {
            Some(committed) => committed != self.at && self.committed_at.elapsed() > position_every(),
            None => true,
        };
        if self.changed.is_empty() && !is_due { Ok(()) } else { self.commit().await }
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        let at = self.at;
        self.on_thread(move |writer| writer.commit(at)).await?;
        self.changed.clear();
        (self.committed, self.committed_at) = (Some(at), Instant::now());
        Ok(())
    }

    async fn recover(&mut self) -> anyhow::Result<()> {
        self.changed.clear();
        self.on_thread(|writer| writer.recover()).await
    }

    async fn on_thread<F>(&mut self, work: F) -> anyhow::Result<()>
    where
        F: FnOnce(&mut ContentWriter) -> Result<(), IndexError> + Send + 'static,
    {
        let mut writer = self.writer.take().ok_or(IndexError::Interrupted)?;
        let work = move || {
            let outcome = work(&mut writer);
            (writer, outcome)
        };
        let done = threads::at_lowest_priority("content", work).await?;
        let (writer, outcome) = done.context("the writer of the index of contents panicked")?;
        self.writer = Some(writer);
        Ok(outcome?)
    }
}
