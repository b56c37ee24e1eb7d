//! What a hook is to send next.
use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::message;
use crate::app::App;
use crate::config::Hook;
use crate::domain::{ChangeKind, HookEvent, ProductId, PublicationId, RevisionId, fold};
use crate::engine::record::{
    Change, HookEventRow, HookLetter, HookPosition, LetterSubject, Product, Publication, Record, RecordError, Revision,
};

/// Changes, and events that are not in the feed, read at once.
const CHANGES: u64 = 200;
const EVENTS: u64 = 50;

/// Something to tell.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub kind: HookEvent,
    pub at: Timestamp,
    pub subject: LetterSubject,
    pub data: Value,
}

/// What follows a position.
pub(super) enum Next {
    /// An event that the hook is about, and the position after it.
    Event(Box<Event>, HookPosition),
    /// Nothing; everything up to here was looked at.
    Nothing(HookPosition),
}

/// Finds what follows a position. The order is that of the commits: an event of another kind is before all changes that were
/// committed after it.
pub(super) async fn next(app: &App, hook: &Hook, from: HookPosition) -> Result<Next, RecordError> {
    let record = &app.record;
    let mut at = from;
    loop {
        // In this order: an event that is not read yet was committed after the change `head`, and so comes after it.
        let head = record.feed().head().await?;
        let events = record.hooks().events_after(at.event, EVENTS).await?;
        let changes = match at.feed < head {
            true => record.feed().changes_after(at.feed, CHANGES).await?,
            false => Vec::new(),
        };
        let (events_full, changes_full) = (events.len() as u64 == EVENTS, changes.len() as u64 == CHANGES);
        let changes: Vec<Change> = changes.into_iter().take_while(|change| change.number <= head).collect();
        let wanted: Vec<&Change> =
            changes.iter().filter(|change| kind_of(change).is_some_and(|kind| hook.events.contains(&kind))).collect();
        let rows = Rows::load(record, &wanted).await?;
        let (mut events, mut changes) = (events.into_iter().peekable(), changes.into_iter().peekable());
        loop {
            let is_event_next = match (events.peek(), changes.peek()) {
                (Some(event), Some(change)) => event.feed < change.number,
                // Changes before it that are not read yet come first.
                (Some(event), None) => event.feed <= at.feed || (!changes_full && event.feed <= head),
                (None, _) => false,
            };
            if is_event_next && let Some(event) = events.next() {
                at.event = event.id;
                if let Some(event) = of_event(record, hook, event).await? {
                    return Ok(Next::Event(Box::new(event), at));
                }
                continue;
            }
            // More events may precede the next change.
            if events.peek().is_none() && events_full {
                break;
            }
            let Some(change) = changes.next() else { break };
            at.feed = change.number;
            if let Some(event) = rows.event(app, hook, &change) {
                return Ok(Next::Event(Box::new(event), at));
            }
        }
        if !events_full && !changes_full {
            return Ok(Next::Nothing(at));
        }
    }
}

/// The event that a dead letter is about, whatever the hook is about by now; `None` if it is gone.
pub(super) async fn of_letter(app: &App, letter: &HookLetter) -> Result<Option<Event>, RecordError> {
    match letter.subject {
        LetterSubject::Change(number) => {
            let Some(change) = app.record.feed().change(number).await? else { return Ok(None) };
            Ok(Rows::load(&app.record, &[&change]).await?.tell(app, &change))
        }
        LetterSubject::Event(id) => Ok(app.record.hooks().event(id).await?.map(Event::from)),
    }
}

fn kind_of(change: &Change) -> Option<HookEvent> {
    match change.kind {
        ChangeKind::Archived => Some(HookEvent::Archived),
        ChangeKind::Lost => Some(HookEvent::Lost),
        ChangeKind::Announced
        | ChangeKind::Superseded
        | ChangeKind::Purged
        | ChangeKind::Renamed
        | ChangeKind::Held
        | ChangeKind::Released => None,
    }
}

/// The rows that some changes are about.
struct Rows {
    publications: HashMap<PublicationId, Publication>,
    products: HashMap<ProductId, Product>,
    revisions: HashMap<RevisionId, Revision>,
}

impl Rows {
    async fn load(record: &Record, changes: &[&Change]) -> Result<Self, RecordError> {
        if changes.is_empty() {
            return Ok(Self { publications: HashMap::new(), products: HashMap::new(), revisions: HashMap::new() });
        }
        let mut ids: Vec<PublicationId> = changes.iter().map(|change| change.publication_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let publications = record.history().publications_by_id(&ids).await?;
        let mut products: Vec<ProductId> = publications.values().map(|one| one.product_id).collect();
        products.sort_unstable();
        products.dedup();
        let products = record.history().products_by_id(&products).await?;
        let revisions: Vec<RevisionId> = changes.iter().filter_map(|change| change.revision_id).collect();
        let revisions = record.history().revisions_by_id(&revisions).await?;
        Ok(Self { publications, products, revisions })
    }

    /// The event of a change, if the hook is about it.
    fn event(&self, app: &App, hook: &Hook, change: &Change) -> Option<Event> {
        let kind = kind_of(change).filter(|kind| hook.events.contains(kind))?;
        let publication = self.publications.get(&change.publication_id)?;
        let product = self.products.get(&publication.product_id)?;
        let matching = &hook.matching;
        let is_matching = matching.is_named(&names_of(product))
            && matching.has_processes(&fold(&publication.process), &fold(&publication.macro_process));
        if !is_matching {
            return None;
        }
        if kind == HookEvent::Archived {
            let revision = self.revisions.get(&change.revision_id?)?;
            // A file that the company had before Acervo was added to the history. It is not sent.
            let is_imported = revision.archived_at < change.at;
            if is_imported || !matching.has_extension(&fold(revision.extension.as_deref().unwrap_or_default())) {
                return None;
            }
        }
        self.tell(app, change)
    }

    /// The event of a change.
    fn tell(&self, app: &App, change: &Change) -> Option<Event> {
        let kind = kind_of(change)?;
        let publication = self.publications.get(&change.publication_id)?;
        let revision = change.revision_id.and_then(|id| self.revisions.get(&id));
        let data = message::of_publication(&app.settings, publication, revision);
        Some(Event { kind, at: change.at, subject: LetterSubject::Change(change.number), data })
    }
}

/// The folded names of a product.
fn names_of(product: &Product) -> Vec<String> {
    let aliases = product.aliases.iter().map(|alias| alias.name.as_str());
    aliases.chain([product.name.as_str()]).map(fold).collect()
}

/// The event, if the hook is about it.
async fn of_event(record: &Record, hook: &Hook, event: HookEventRow) -> Result<Option<Event>, RecordError> {
    if !hook.events.contains(&event.kind) {
        return Ok(None);
    }
    if event.kind == HookEvent::Late {
        let id = event.data["productId"].as_str().and_then(|id| id.parse().ok());
        let id: ProductId = id.ok_or_else(|| RecordError::Corrupt(format!("the product of the event {}", event.id)))?;
        let Some(product) = record.history().products_by_id(&[id]).await?.remove(&id) else { return Ok(None) };
        let matching = &hook.matching;
        let is_matching = matching.is_named(&names_of(&product))
            && matching.has_processes(&fold(&product.process), &fold(&product.macro_process));
        if !is_matching {
            return Ok(None);
        }
    }
    Ok(Some(event.into()))
}

impl From<HookEventRow> for Event {
    fn from(row: HookEventRow) -> Self {
        Self { kind: row.kind, at: row.at, subject: LetterSubject::Event(row.id), data: row.data }
    }
}
