//! Keeps the index up to date with the feed, and rebuilds it if that is not possible.
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::stop::{self, Stopped};
use crate::app::App;
use crate::domain::{ChangeKind, Digest, ProductId, PublicationId, RevisionId};
use crate::engine::index::{self, Position, UnfinishedBuild, Writer};
use crate::engine::record::{Change, Product, Publication, Record, RecordError, Revision};
use crate::spans::{self, Began};
use crate::stage::Stage;

/// Publications read and indexed in one batch.
const BATCH: u64 = 500;

/// Changed publications read in one query: few, since requests are answered by the same connections.
const CHANGED_BATCH: usize = 50;

/// How often the feed is polled for changes by other processes, which may not tell of them.
const CHECK_EVERY: Duration = Duration::from_secs(1);

fn check_every() -> Duration {
    fail::fail_point!("follow-checks-every", |millis| {
        millis.and_then(|millis| millis.parse().ok()).map_or(CHECK_EVERY, Duration::from_millis)
    });
    CHECK_EVERY
}

/// After so many steps during which further changes were committed, the index rests after each: a commit of the index costs nearly as
/// much for one change as for hundreds, and its syncs delay those of new notifications.
const BUSY_STEPS: u32 = 4;
const REST_FACTOR: u32 = 4;
const REST_MAX: Duration = Duration::from_millis(500);

/// How long announcements alone wait for another change, most of all for their files: a file that comes within this time takes one
/// commit of the index instead of two. Notifications that pour in faster than files take ten commits a second at most.
const ANNOUNCED_DELAY: Duration = Duration::from_millis(100);

/// The pause after changes by retention. They come in thousands and are not urgent, and the first queries after each commit of
/// the index are slower.
const PAUSE: Duration = Duration::from_millis(2500);

/// How often an index that is being built is committed, so that it can be searched.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(app: App) {
    while let Some(writer) = acquire_writer(&app).await {
        follow_feed(&app, writer).await;
    }
}

/// Waits until this process may write the index: a command that rebuilds it may take minutes. `None` once stopped.
async fn acquire_writer(app: &App) -> Option<Writer> {
    let mut is_reported = false;
    while !app.stop.is_cancelled() {
        let index = app.index.clone();
        let acquired = tokio::task::spawn_blocking(move || index.writer()).await;
        match acquired.unwrap_or_else(|e| Err(index::IndexError::Io(std::io::Error::other(e)))) {
            Ok(writer) => return Some(writer),
            Err(index::IndexError::InUse) if is_reported => {}
            Err(index::IndexError::InUse) => {
                is_reported = true;
                tracing::warn!(
                    "another process writes the search index; this one will update it once the other has ended"
                );
            }
            Err(e) => tracing::error!(error = %e, "the search index cannot be opened for writing; trying again"),
        }
        tokio::select! {
            _ = app.stop.cancelled() => {}
            _ = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
    None
}

/// Updates the index from the feed until stopped, or until a panic loses the writer.
async fn follow_feed(app: &App, mut writer: Writer) {
    let mut fed = app.record.feed().watch();
    let mut busy_steps = 0;
    while !app.stop.is_cancelled() {
        fed.borrow_and_update();
        let began = Instant::now();
        let (back, outcome) = step(app, writer, &|_, _| {}).await;
        writer = match back {
            Some(writer) => writer,
            None => return tracing::error!("the search index lost its writer; opening it again"),
        };
        if outcome.as_ref().is_err_and(|e| e.is::<Stopped>()) {
            return tracing::info!("the search index continues from here after the next start");
        }
        if let Err(e) = outcome {
            tracing::error!(error = format!("{e:#}"), "the search index cannot be updated; trying again");
            tokio::time::sleep(CHECK_EVERY).await;
            let mut slot = Some(writer);
            if let Err(e) = on_thread(&mut slot, |writer| writer.recover()).await {
                // A writer that could not be rolled back cannot be used any more, so another one is taken.
                return tracing::error!(error = format!("{e:#}"), "the search index cannot be written yet");
            }
            match slot {
                Some(back) => writer = back,
                None => return,
            }
        }
        busy_steps = if fed.has_changed().unwrap_or(false) { busy_steps + 1 } else { 0 };
        if busy_steps >= BUSY_STEPS {
            tokio::time::sleep((began.elapsed() * REST_FACTOR).min(REST_MAX)).await;
        }
        tokio::select! {
            _ = app.stop.cancelled() => {}
            _ = fed.changed() => {}
            _ = tokio::time::sleep(check_every()) => {}
        }
    }
}

/// Updates the index to the end of the feed, once. `false` if another process writes the index, which does this itself.
pub async fn catch_up(app: &App) -> anyhow::Result<bool> {
    let Some(writer) = app.index_writer()? else { return Ok(false) };
    finish(step(app, writer, &|_, _| {}).await)
}

/// Rebuilds the index. `progress` is called with the numbers of completed and of all publications. `false` if another process
/// writes the index.
pub async fn rebuild(app: &App, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<bool> {
    let Some(writer) = app.index_writer()? else { return Ok(false) };
    let epoch = app.record.feed().request_reindex().await?;
    tracing::debug!(epoch, "rebuilding the index");
    finish(step(app, writer, progress).await)
}

fn finish((writer, outcome): (Option<Writer>, anyhow::Result<()>)) -> anyhow::Result<bool> {
    outcome?;
    writer.map(|_| true).ok_or_else(|| anyhow::anyhow!("the search index was interrupted"))
}

/// Moves the writer to other threads and back. It is lost if one of them panics.
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
            let is_current = |build: &UnfinishedBuild| build.goal.epoch == epoch && build.goal.feed <= head;
            match app.index.unfinished().filter(is_current) {
                Some(begun) => build(app, slot, begun, true, progress).await?,
                None => {
                    // A complete old index is searched until the new one is committed.
                    let is_visible = before.is_none_or(Position::is_unfinished);
                    on_thread(slot, |writer| writer.clear()).await?;
                    let goal = Position { feed: head, epoch };
                    build(app, slot, UnfinishedBuild { goal, after: None, done: 0 }, is_visible, progress).await?
                }
            }
        }
    };
    loop {
        stop::check(app, "stop-in-feed")?;
        let changes = changes_after(app, at.feed).await?;
        let Some(last) = changes.last() else { return Ok(()) };
        at.feed = last.number;
        let mut seen = HashSet::new();
        let ids: Vec<PublicationId> =
            changes.iter().map(|change| change.publication_id).filter(|id| seen.insert(*id)).collect();
        let archived: HashSet<RevisionId> = changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Archived)
            .filter_map(|change| change.revision_id)
            .collect();
        let (span, mut arrivals) = (Began::now(), Vec::new());
        for some in ids.chunks(CHANGED_BATCH) {
            stop::check(app, "stop-in-feed")?;
            let batch = Batch::load(&app.record, some).await?;
            arrivals.extend(batch.received(&archived).filter(|(_, at)| *at >= app.started_at));
            on_thread(slot, move |writer| batch.replace(writer)).await?;
        }
        on_thread(slot, move |writer| writer.commit(at)).await?;
        // Only what was received since the start: an import brings revisions of years ago.
        let now = app.clock.now();
        arrivals.iter().for_each(|(_, received_at)| Stage::Indexed.reached(*received_at, now));
        end_spans(app, span, &arrivals).await?;
        if changes.iter().all(|change| change.kind == ChangeKind::Purged) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The next changes of the feed; none at its end.
async fn changes_after(app: &App, position: i64) -> Result<Vec<Change>, RecordError> {
    let until = tokio::time::Instant::now() + ANNOUNCED_DELAY;
    let mut fed = app.record.feed().watch();
    loop {
        fed.borrow_and_update();
        let changes = app.record.feed().changes_after(position, BATCH * 4).await?;
        let waits = !changes.is_empty()
            && (changes.len() as u64) < BATCH
            && changes.iter().all(|change| change.kind == ChangeKind::Announced);
        if !waits || tokio::time::timeout_at(until, fed.changed()).await.is_err() {
            return Ok(changes);
        }
    }
}

/// Revisions of a commit that get a span.
const SPANS_MAX: usize = 100;

async fn end_spans(app: &App, span: Began, arrivals: &[(RevisionId, Timestamp)]) -> Result<(), RecordError> {
    if !spans::is_on() {
        return Ok(());
    }
    let ids: Vec<RevisionId> = arrivals.iter().take(SPANS_MAX).map(|(id, _)| *id).collect();
    for (revision, notification) in app.record.history().notifications_of(&ids).await? {
        let attributes = || vec![("acervo.revision.id", revision.to_string().into())];
        span.end("index", [notification], attributes, None);
    }
    Ok(())
}

/// Adds all publications that are not in the index yet. An index that is visible during the build is committed every few seconds,
/// because partial results are better than none, and a build that is stopped continues from its last commit.
async fn build(
    app: &App,
    slot: &mut Option<Writer>,
    mut state: UnfinishedBuild,
    is_visible: bool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> anyhow::Result<Position> {
    let total = app.record.monitor().counts().await?.publications;
    if total > 0 {
        tracing::info!(publications = total, done = state.done, "building the search index");
    }
    let is_resumed = state.done > 0;
    let mut products = HashSet::new();
    let mut committed_at = None::<Instant>;
    let mut next = Batch::after(&app.record, state.after).await?;
    while let Some((last, mut batch)) = next {
        stop::check(app, "stop-in-build")?;
        state.done += batch.publications.len() as u64;
        state.after = Some(last);
        batch.products.retain(|product| products.insert(product.id));
        let is_committed = is_visible && committed_at.is_none_or(|at| at.elapsed() > COMMIT_EVERY);
        if is_committed {
            committed_at = Some(Instant::now());
        }
        let written = on_thread(slot, move |writer| {
            batch.add(writer, is_resumed)?;
            if is_committed { writer.commit_unfinished(state) } else { Ok(()) }
        });
        let loaded = Batch::after(&app.record, Some(last));
        let (written, loaded) = tokio::join!(written, loaded);
        written?;
        next = loaded?;
        progress(state.done, total);
    }
    on_thread(slot, move |writer| writer.commit(state.goal)).await?;
    if total > 0 {
        tracing::info!(publications = state.done, "the search index is built");
    }
    Ok(state.goal)
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

/// Publications as documents, with their products.
struct Batch {
    publications: Vec<index::Publication>,
    products: Vec<index::Product>,
}

impl Batch {
    /// The next publications in the order of their ids, and the last id.
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
        let document = |publication: Publication| {
            // A publication without a file has no revisions.
            let own = revisions.remove(&publication.id).unwrap_or_default();
            publication_document(&products, &members, publication, own)
        };
        let publications = publications.into_values().map(document).collect::<Result<_, _>>()?;
        Ok(Self { publications, products: products.into_values().map(product_document).collect() })
    }

    /// When the notifications of these revisions were received.
    fn received<'a>(&'a self, which: &'a HashSet<RevisionId>) -> impl Iterator<Item = (RevisionId, Timestamp)> + 'a {
        let revisions = self.publications.iter().flat_map(|publication| &publication.revisions);
        revisions.filter(|revision| which.contains(&revision.id)).map(|revision| (revision.id, revision.received_at))
    }

    /// Adds publications that the index does not have, and their products, which it `may_have`.
    fn add(&self, writer: &mut Writer, may_have: bool) -> Result<(), index::IndexError> {
        self.publications.iter().try_for_each(|publication| writer.add_publication(publication))?;
        match may_have {
            true => self.products.iter().try_for_each(|product| writer.replace_product(product)),
            false => self.products.iter().try_for_each(|product| writer.add_product(product)),
        }
    }

    fn replace(&self, writer: &mut Writer) -> Result<(), index::IndexError> {
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
) -> Result<index::Publication, RecordError> {
    let long = |n: u64| i64::try_from(n).map_err(|_| RecordError::OutOfRange(n.to_string()));
    let revision = |revision: Revision| {
        Ok(index::Revision {
            id: revision.id,
            digest: revision.file.digest,
            // Only zips have members.
            member_names: members.get(&revision.file.digest).cloned().unwrap_or_default(),
            file_name: revision.file_name,
            extension: revision.extension,
            size: long(revision.file.size)?,
            stored_size: long(revision.file.stored_size)?,
            received_at: revision.received_at,
            archived_at: revision.archived_at,
            superseded_at: revision.superseded_at,
            purged: revision.purged_at.is_some(),
        })
    };
    let product = products.get(&publication.product_id);
    let product =
        product.ok_or_else(|| RecordError::Corrupt(format!("the publication {} has no product", publication.id)))?;
    Ok(index::Publication {
        id: publication.id,
        product_id: publication.product_id,
        aliases: aliases(product),
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
        revisions: revisions.into_iter().map(revision).collect::<Result<_, RecordError>>()?,
    })
}
