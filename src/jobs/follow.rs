//! The index follows the feed; where it cannot, it is built anew.
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::{ChangeKind, Digest, ProductId, PublicationId};
use crate::engine::index::{self, Position, Writer};
use crate::engine::record::{Product, Publication, Record, RecordError, Revision};

/// Publications read and indexed at once.
const BATCH: u64 = 500;

/// Publications of a step taken at once: few, since their rows are read where questions are answered too.
const FEW: usize = 50;

/// The longest time between two looks at the feed, for what other processes add.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What retention marks comes in thousands and nobody waits for it: the index takes it together after a rest, since the
/// first questions after each of its commits are slower.
const REST: Duration = Duration::from_millis(2500);

/// How often an index that is being built lets itself be searched.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// The epoch of an index that is still being built: never that of a finished one.
const UNFINISHED: u64 = u64::MAX;

pub(super) async fn run(app: App, stop: CancellationToken) {
    while let Some(writer) = acquire_writer(&app, &stop).await {
        follow_feed(&app, writer, &stop).await;
    }
}

/// Waits until this process may write the index: a command that builds it may have it for minutes. `None` once stopped.
async fn acquire_writer(app: &App, stop: &CancellationToken) -> Option<Writer> {
    let mut is_reported = false;
    while !stop.is_cancelled() {
        let index = app.index.clone();
        let acquired = tokio::task::spawn_blocking(move || index.writer()).await;
        match acquired.unwrap_or_else(|e| Err(index::IndexError::Io(std::io::Error::other(e)))) {
            Ok(writer) => return Some(writer),
            Err(index::IndexError::InUse) if is_reported => {}
            Err(index::IndexError::InUse) => {
                is_reported = true;
                tracing::warn!("another process writes the search index; new publications are found once it has ended");
            }
            Err(e) => tracing::error!(error = %e, "the search index cannot be opened for writing; trying again"),
        }
        tokio::select! {
            _ = stop.cancelled() => {}
            _ = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    None
}

/// Keeps the index up with the feed until stopped, or until the writer was lost to a panic.
async fn follow_feed(app: &App, mut writer: Writer, stop: &CancellationToken) {
    let mut fed = app.record.feed().watch();
    while !stop.is_cancelled() {
        fed.borrow_and_update();
        let (back, outcome) = step(app, writer, &|_, _| {}).await;
        writer = match back {
            Some(writer) => writer,
            None => return tracing::error!("the search index lost its writer; opening it again"),
        };
        if let Err(e) = outcome {
            tracing::error!(error = format!("{e:#}"), "the search index cannot follow; trying again");
            tokio::time::sleep(LOOK_EVERY).await;
            let mut slot = Some(writer);
            if let Err(e) = on_thread(&mut slot, |writer| writer.recover()).await {
                tracing::error!(error = format!("{e:#}"), "the search index cannot be written yet");
            }
            match slot {
                Some(back) => writer = back,
                None => return,
            }
        }
        tokio::select! {
            _ = stop.cancelled() => {}
            _ = fed.changed() => {}
            _ = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Brings the index to the feed's end, once. `false` where another process writes the index, which keeps it up itself.
pub async fn catch_up(app: &App) -> anyhow::Result<bool> {
    let Some(writer) = app.index_writer()? else { return Ok(false) };
    finish(step(app, writer, &|_, _| {}).await)
}

/// Builds the index anew; `progress` is given the publications done and all of them. `false` where another process writes
/// the index.
pub async fn rebuild(app: &App, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<bool> {
    let Some(writer) = app.index_writer()? else { return Ok(false) };
    let epoch = app.record.feed().ask_for_reindex().await?;
    tracing::debug!(epoch, "the index is to be built anew");
    finish(step(app, writer, progress).await)
}

fn finish((writer, outcome): (Option<Writer>, anyhow::Result<()>)) -> anyhow::Result<bool> {
    outcome?;
    writer.map(|_| true).ok_or_else(|| anyhow::anyhow!("the search index was interrupted"))
}

/// The writer goes in and out of threads; it comes back unless one of them panicked.
async fn step(app: &App, writer: Writer, progress: &(dyn Fn(u64, u64) + Sync)) -> (Option<Writer>, anyhow::Result<()>) {
    let mut slot = Some(writer);
    let outcome = follow(app, &mut slot, progress).await;
    (slot, outcome)
}

async fn follow(app: &App, slot: &mut Option<Writer>, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<()> {
    let epoch = app.record.feed().index_epoch().await?;
    let head = app.record.feed().head().await?;
    let mut at = match app.index.position() {
        Some(position) if position.epoch == epoch && position.feed <= head => position,
        before => {
            // Searches go on in the old index until the new one is committed, if there is an old one that is whole.
            let keep_old = before.is_some_and(|before| before.epoch != UNFINISHED);
            build(app, slot, Position { feed: head, epoch }, keep_old, progress).await?
        }
    };
    loop {
        let changes = app.record.feed().changes_after(at.feed, BATCH * 4).await?;
        let Some(last) = changes.last() else { return Ok(()) };
        at.feed = last.number;
        let mut seen = HashSet::new();
        let ids: Vec<PublicationId> =
            changes.iter().map(|change| change.publication_id).filter(|id| seen.insert(*id)).collect();
        for some in ids.chunks(FEW) {
            let batch = Batch::load(&app.record, some).await?;
            on_thread(slot, move |writer| batch.write(writer)).await?;
        }
        on_thread(slot, move |writer| writer.commit(at)).await?;
        if changes.iter().all(|change| change.kind == ChangeKind::Purged) {
            tokio::time::sleep(REST).await;
        }
    }
}

async fn build(
    app: &App,
    slot: &mut Option<Writer>,
    goal: Position,
    keep_old: bool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> anyhow::Result<Position> {
    let total = app.record.monitor().counts().await?.publications;
    if total > 0 {
        tracing::info!(publications = total, "building the search index");
    }
    on_thread(slot, |writer| writer.clear()).await?;
    let mut products = HashSet::new();
    let (mut done, mut shown_at) = (0, None::<Instant>);
    let mut next = Batch::after(&app.record, None).await?;
    while let Some((last, mut batch)) = next {
        done += batch.publications.len() as u64;
        batch.products.retain(|product| products.insert(product.id));
        // What is found meanwhile is better than nothing, where there is no old index; each commit costs, though.
        let is_shown = !keep_old && shown_at.is_none_or(|at| at.elapsed() > SHOW_EVERY);
        if is_shown {
            shown_at = Some(Instant::now());
        }
        let written = on_thread(slot, move |writer| {
            batch.add(writer)?;
            if is_shown { writer.commit(Position { feed: 0, epoch: UNFINISHED }) } else { Ok(()) }
        });
        let loaded = Batch::after(&app.record, Some(last));
        let (written, loaded) = tokio::join!(written, loaded);
        written?;
        next = loaded?;
        progress(done, total);
    }
    on_thread(slot, move |writer| writer.commit(goal)).await?;
    if total > 0 {
        tracing::info!(publications = done, "the search index is built");
    }
    Ok(goal)
}

async fn on_thread<F>(slot: &mut Option<Writer>, work: F) -> anyhow::Result<()>
where
    F: FnOnce(&mut Writer) -> Result<(), index::IndexError> + Send + 'static,
{
    let mut writer = slot.take().ok_or(index::IndexError::Interrupted)?;
    let (writer, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = work(&mut writer);
        (writer, outcome)
    })
    .await?;
    *slot = Some(writer);
    Ok(outcome?)
}

/// Publications as documents, with the products they belong to.
struct Batch {
    publications: Vec<index::Publication>,
    products: Vec<index::Product>,
}

impl Batch {
    /// The next publications by their ids, and the last of these.
    async fn after(
        record: &Record,
        after: Option<PublicationId>,
    ) -> Result<Option<(PublicationId, Self)>, RecordError> {
        let ids = record.history().publication_ids_after(after, BATCH).await?;
        let Some(last) = ids.last() else { return Ok(None) };
        Ok(Some((*last, Self::load(record, &ids).await?)))
    }

    async fn load(record: &Record, ids: &[PublicationId]) -> Result<Self, RecordError> {
        let publications = record.history().publications_by_id(ids).await?;
        let mut revisions = record.history().revisions_of(ids).await?;
        let product_ids: HashSet<ProductId> = publications.values().map(|publication| publication.product_id).collect();
        let products = record.history().products_by_id(&product_ids.into_iter().collect::<Vec<_>>()).await?;
        let digests: HashSet<Digest> = revisions.values().flatten().map(|revision| revision.file.digest).collect();
        let members = record.history().member_names(&digests.into_iter().collect::<Vec<_>>()).await?;
        let publications = publications
            .into_values()
            .map(|publication| {
                let own = revisions.remove(&publication.id).unwrap_or_default();
                publication_document(&products, &members, publication, own)
            })
            .collect();
        Ok(Self { publications, products: products.into_values().map(product_document).collect() })
    }

    /// For an index that has none of them.
    fn add(&self, writer: &mut Writer) -> Result<(), index::IndexError> {
        self.publications.iter().try_for_each(|publication| writer.add_publication(publication))?;
        self.products.iter().try_for_each(|product| writer.add_product(product))
    }

    fn write(&self, writer: &mut Writer) -> Result<(), index::IndexError> {
        self.publications.iter().try_for_each(|publication| writer.replace_publication(publication))?;
        self.products.iter().try_for_each(|product| writer.replace_product(product))
    }
}

fn aliases(product: &Product) -> Vec<String> {
    product.aliases.iter().map(|alias| alias.name.clone()).collect()
}

fn product_document(product: Product) -> index::Product {
    index::Product {
        aliases: aliases(&product),
        id: product.id,
        name: product.name,
        process: product.process,
        macro_process: product.macro_process,
        list_path: product.list_path,
        last_period_end: product.last_period_end.map(|end| end.as_number()),
        size: product.size,
    }
}

fn publication_document(
    products: &HashMap<ProductId, Product>,
    members: &HashMap<Digest, Vec<String>>,
    publication: Publication,
    revisions: Vec<Revision>,
) -> index::Publication {
    let revision = |revision: Revision| index::Revision {
        id: revision.id,
        member_names: members.get(&revision.file.digest).cloned().unwrap_or_default(),
        file_name: revision.file_name,
        extension: revision.extension,
        size: i64::try_from(revision.file.size).unwrap_or(i64::MAX),
        stored_size: i64::try_from(revision.file.stored_size).unwrap_or(i64::MAX),
        received_at: revision.received_at,
        archived_at: revision.archived_at,
        superseded_at: revision.superseded_at,
        purged: revision.purged_at.is_some(),
    };
    index::Publication {
        id: publication.id,
        product_id: publication.product_id,
        aliases: products.get(&publication.product_id).map(aliases).unwrap_or_default(),
        name: publication.name,
        process: publication.process,
        macro_process: publication.macro_process,
        reference_date: publication.reference_date,
        period: publication.period,
        granularity: publication.granularity,
        status: publication.status,
        received_at: publication.received_at,
        latest: publication.latest_revision,
        revision_count: publication.revision_count.into(),
        revisions: revisions.into_iter().map(revision).collect(),
    }
}
