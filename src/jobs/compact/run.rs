//! A run: product by product, each in the order of its periods and revisions, so that a file's bases come before it.
use std::collections::VecDeque;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};

use super::bases::{release_bases, store_fresh};
use super::encoder::Encoder;
use super::leftovers::remove_all_second_objects;
use super::{Busy, LOCK, Listener, Options, Progress, Sizes, Summary};
use crate::app::App;
use crate::domain::{DEPTH_MAX, Encoding, StoredFile, millis};
use crate::engine::dense::{Base, FILE_MAX, Kind};
use crate::engine::record::{LockHolder, ProductToCompact, Replacement, TimelineFile};
use crate::engine::store::StoreError;
use crate::jobs::lock::Guard;
use crate::jobs::{fault, stop};

/// How long a run waits for another one to end, or for the lock of a process that was killed.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Files before a file that may be its bases.
const RECENT: usize = 12;

/// Bases that a file is tried with: revisions of its own publication, and the last ones of earlier publications.
const OWN_BASES: usize = 2;
const OTHER_BASES: usize = 2;

/// Bytes of bases that are held in memory while a file is encoded.
const BASE_BYTES: usize = 64 << 20;

/// An object is replaced if that saves at least one part in so many: reading a dense file takes longer.
const SAVED_AT_LEAST: u64 = 20;

/// Compacts what there is to compact.
pub async fn run(app: &App, options: Options, listener: &Listener<'_>) -> anyhow::Result<Summary> {
    let holder = format!("compact-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::wait(app, LOCK, &holder, LOCK_TIMEOUT).await? else {
        stop::check(app, "stop-before-compact")?;
        bail!(Busy);
    };
    let outcome = compact(app, &guard, options, listener).await;
    guard.release().await;
    outcome
}

/// Compacts the files that were stored some time ago.
pub(in crate::engine::jobs) async fn scheduled(app: &App) -> anyhow::Result<Value> {
    let holder = format!("compact-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::take(app, LOCK, &holder).await? else {
        return Ok(json!({ "skipped": "another compaction is running" }));
    };
    let now = app.clock.now().to_zoned_datetime(crate::domain::sao_paulo().clone());
    let stored_before = now.checked_sub(app.settings.compact.after)?.timestamp();
    let outcome = compact(app, &guard, Options { stored_before, rewrite: false }, &|_| {}).await;
    guard.release().await;
    let Summary { total, damaged, .. } = outcome?;
    let Sizes { files, dense, before, after } = total;
    tracing::info!(files, dense, before, after, damaged, "compacted the archive");
    Ok(json!({ "files": files, "dense": dense, "bytesBefore": before, "bytesAfter": after, "damaged": damaged }))
}

async fn compact(app: &App, guard: &Guard, options: Options, listener: &Listener<'_>) -> anyhow::Result<Summary> {
    remove_all_second_objects(app, guard).await?;
    release_bases(app, guard).await?;
    let record = app.record.compaction();
    let products = record.products(options.stored_before, options.rewrite).await?;
    let mut run =
        Run { app, guard, options, listener, encoder: Encoder::start()?, progress: Progress::default(), damaged: 0 };
    let mut summary = Summary::default();
    if options.rewrite {
        for product in &products {
            run.expand(product).await?;
        }
    }
    let (files_total, bytes_total) = record.due(options.stored_before).await?;
    run.progress = Progress { files_total, bytes_total, ..Progress::default() };
    (run.listener)(run.progress);
    for product in products {
        let sizes = run.product(&product).await?;
        summary.total.add(sizes);
        if sizes.files > 0 {
            summary.products.push((product.name, sizes));
        }
    }
    summary.damaged = run.damaged;
    release_bases(app, guard).await?;
    Ok(summary)
}

struct Run<'a> {
    app: &'a App,
    guard: &'a Guard,
    options: Options,
    listener: &'a Listener<'a>,
    encoder: Encoder,
    progress: Progress,
    damaged: u64,
}

impl Run<'_> {
    fn check(&self) -> anyhow::Result<()> {
        self.guard.check("stop-in-compact")
    }

    fn is_old_enough(&self, stored_at: i64) -> bool {
        stored_at < millis(self.options.stored_before)
    }

    /// Stores the dense files of a product as they were before, to encode them again.
    async fn expand(&mut self, product: &ProductToCompact) -> anyhow::Result<()> {
        let mut next = None;
        loop {
            let (files, after) = self.app.record.compaction().timeline(product.id, next).await?;
            for entry in files {
                self.check()?;
                if entry.file.encoding == Encoding::Dense && self.is_old_enough(entry.stored_at) {
                    store_fresh(self.app, self.guard, entry.file).await?;
                }
            }
            next = after;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Compacts the files of a product.
    async fn product(&mut self, product: &ProductToCompact) -> anyhow::Result<Sizes> {
        let (mut sizes, mut recent, mut next) = (Sizes::default(), VecDeque::new(), None);
        loop {
            let (files, after) = self.app.record.compaction().timeline(product.id, next).await?;
            for mut entry in files {
                self.check()?;
                if entry.is_new && self.is_old_enough(entry.stored_at) && entry.file.encoding != Encoding::Dense {
                    let before = entry.file.stored_size;
                    if !self.file(&mut entry, &recent).await? {
                        continue;
                    }
                    let dense = u64::from(entry.file.encoding == Encoding::Dense);
                    let after = entry.file.stored_size;
                    sizes.add(Sizes { files: 1, dense, before, after });
                    metrics::counter!("acervo_compacted_files_total").increment(1);
                    metrics::counter!("acervo_compacted_before_bytes_total").increment(before);
                    metrics::counter!("acervo_compacted_after_bytes_total").increment(after);
                    self.progress.files += 1;
                    self.progress.bytes += entry.file.size;
                    (self.listener)(self.progress);
                }
                recent.push_front(entry);
                recent.truncate(RECENT);
            }
            next = after;
            if next.is_none() {
                return Ok(sizes);
            }
        }
    }

    /// Encodes a file densely, if that is worth it; `entry` then says how it is stored. `false` if it cannot be read.
    async fn file(&mut self, entry: &mut TimelineFile, recent: &VecDeque<TimelineFile>) -> anyhow::Result<bool> {
        let (app, file) = (self.app, entry.file);
        let record = app.record.compaction();
        if file.size > FILE_MAX as u64 {
            record.keep(&file, app.clock.now()).await?;
            return Ok(true);
        }
        let content = match app.store.content(file.digest).await {
            Ok(content) => content,
            Err(e) => return self.unreadable(entry, e).await.map(|()| false),
        };
        let bases = self.bases(entry, recent).await?;
        let encoded = match self.encoder.encode(content, bases).await? {
            Ok(encoded) => encoded,
            Err(e) => {
                stop::check(app, "stop-in-compact")?;
                tracing::warn!(digest = %file.digest, error = %e, "a file cannot be encoded densely and stays as it is");
                record.keep(&file, app.clock.now()).await?;
                return Ok(true);
            }
        };
        let size = encoded.bytes.len() as u64;
        if encoded.header.kind == Kind::Plain || size + file.stored_size / SAVED_AT_LEAST > file.stored_size {
            record.keep(&file, app.clock.now()).await?;
            return Ok(true);
        }
        let depth = encoded.header.base.map_or(0, |base| base.depth);
        self.check()?;
        fault("compact-before-put");
        app.disk.require_space(size)?;
        let put = match app.store.put_dense(file, encoded).await {
            Ok(put) => put,
            Err(e) => return self.unreadable(entry, e).await.map(|()| false),
        };
        fault("compact-after-put");
        self.check()?;
        let change = Replacement { old: file, new: put.file, stored_digest: put.stored_digest, is_final: true };
        let holder = LockHolder { lock: LOCK, holder: self.guard.holder() };
        if record.replace(holder, &change, app.clock.now()).await? {
            fault("compact-after-record");
            self.check()?;
            app.store.remove_copy(file).await?;
            (entry.file, entry.depth) = (put.file, depth);
        } else {
            app.store.remove_copy(put.file).await?;
        }
        fault("compact-after-delete");
        put.unrecorded.recorded();
        Ok(true)
    }

    /// The bases that a file is tried with, decoded; the most promising first.
    async fn bases(&self, entry: &TimelineFile, recent: &VecDeque<TimelineFile>) -> anyhow::Result<Vec<Base>> {
        // The chains of files that need this one would become longer than they are allowed to be.
        if entry.is_base {
            return Ok(Vec::new());
        }
        let (mut own, mut others) = (0, Vec::new());
        let (mut bases, mut left) = (Vec::new(), BASE_BYTES);
        for other in recent.iter().filter(|other| other.depth < DEPTH_MAX) {
            if other.publication == entry.publication {
                own += 1;
                if own > OWN_BASES {
                    continue;
                }
            } else if others.contains(&other.publication) || others.len() == OTHER_BASES {
                continue;
            } else {
                others.push(other.publication);
            }
            let form = self.form_len(&other.file).await?;
            let needed = form.unwrap_or(other.file.size) as usize;
            if needed > left {
                continue;
            }
            left -= needed;
            self.check()?;
            match self.app.store.content(other.file.digest).await {
                Ok(content) => bases.push(Base { content, depth: other.depth, is_expanded: form.is_some() }),
                Err(StoreError::Interrupted) => return Err(StoreError::Interrupted.into()),
                // The file is encoded without it. A verification reports what is wrong.
                Err(e) => tracing::warn!(digest = %other.file.digest, error = %e, "a file cannot be used as a base"),
            }
        }
        Ok(bases)
    }

    /// The length of the expanded form that the object of a file has, if it has one.
    async fn form_len(&self, file: &StoredFile) -> anyhow::Result<Option<u64>> {
        if file.encoding != Encoding::Dense {
            return Ok(None);
        }
        match self.app.store.dense_header(file.digest).await {
            Ok(header) => Ok(header.form.map(|form| form.len)),
            Err(e) if e.damaged().is_some() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// A file that cannot be read is marked as damaged, and the run goes on; any other error ends it.
    async fn unreadable(&mut self, entry: &TimelineFile, error: StoreError) -> anyhow::Result<()> {
        if error.damaged() != Some(entry.file.digest) {
            return Err(error.into());
        }
        tracing::error!(%error, "a file of the archive is damaged; `acervo verify --repair` says what can be done");
        let damage = [(entry.file, error.breakage())];
        self.app.record.files().mark_read_as_damaged(&damage, self.app.clock.now()).await?;
        self.damaged += 1;
        Ok(())
    }
}
