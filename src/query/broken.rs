//! What is broken, with all that needs it and what can be done.
use super::paging::Cursor;
use super::{ListPage, Paging, Queries, QueryError};
use crate::domain::{Breakage, Digest, PublicationId, RevisionId, Share};
use crate::engine::index::SortValue;
use crate::engine::record::{BrokenItem, Use, Uses, VerifyCycle, VerifyRun};

/// The letter of cursors into the list of what is broken.
const BROKEN_ORDER: char = 'k';

/// Uses that are listed with an item at most.
pub const USES_MAX: u64 = 100;

/// Items whose uses are read in one statement.
const ITEMS_AT_ONCE: usize = 250;

/// About the memory of an item and of each use of it.
const ROW_BYTES: usize = 1024;
const USE_BYTES: usize = 512;

/// Something broken, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRow {
    pub item: BrokenItem,
    /// What is wrong, in words.
    pub detail: String,
    /// The first revisions that need it.
    pub uses: Vec<Use>,
    pub uses_total: u64,
    /// What to do next.
    pub next_step: String,
}

/// The state of verification.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// The last run, complete or not.
    pub last_run: Option<VerifyRun>,
    /// The last time that the whole archive was verified, in one run or in many.
    pub last_cycle: Option<VerifyCycle>,
    /// The cycle of scheduled runs in progress.
    pub cycle: Option<VerifyCycle>,
    /// How much is broken, as far as is known.
    pub broken: u64,
    /// Bytes read by all runs, as published.
    pub bytes_read: u64,
}

impl Queries {
    pub async fn verification(&self) -> Result<Verification, QueryError> {
        let record = self.record.verify();
        Ok(Verification {
            last_run: record.runs(None, 1).await?.0.pop(),
            last_cycle: record.last_cycle().await?,
            cycle: record.open_cycle().await?,
            broken: record.count_broken(Share::ALL).await?,
            bytes_read: record.bytes_read().await?,
        })
    }

    /// How much is broken in a share, as far as is known.
    pub async fn broken_in(&self, share: Share) -> Result<u64, QueryError> {
        Ok(self.record.verify().count_broken(share).await?)
    }

    /// How much is broken, as far as is known.
    pub async fn broken_count(&self) -> Result<u64, QueryError> {
        self.broken_in(Share::ALL).await
    }

    /// Everything that is broken in a share: damaged files in the order of their digests, and then the rest. Each item comes with the first
    /// `uses_max` revisions that need it, at least one.
    pub async fn broken_items(
        &self,
        share: Share,
        uses_max: u64,
        paging: &Paging,
    ) -> Result<ListPage<BrokenRow>, QueryError> {
        let window = paging.window(BROKEN_ORDER)?;
        if window.backwards || window.offset > 0 {
            return Err(QueryError::bad("this list is read forwards, with `first` and `after`"));
        }
        let after = window.beyond.as_ref().map(|cursor| match &cursor.value {
            SortValue::Text(key) if BrokenItem::is_key(key) => Ok(key.as_str()),
            SortValue::Text(_) | SortValue::Number(_) | SortValue::Score(_) => {
                Err(QueryError::bad("the cursor is not one of this list; take it from `endCursor`"))
            }
        });
        let after = after.transpose()?;
        let record = self.record.verify();
        let total = record.count_broken(share).await?;
        let mut items = record.broken(share, after, window.limit as u64 + 1).await?;
        let more = items.len() > window.limit;
        items.truncate(window.limit);
        let mut rows = Vec::with_capacity(items.len());
        for some in items.chunks(ITEMS_AT_ONCE) {
            for row in self.broken_rows(some, uses_max.clamp(1, USES_MAX)).await? {
                self.limits().count_bytes(ROW_BYTES + row.uses.len() * USE_BYTES)?;
                let cursor = Cursor { value: SortValue::Text(row.item.key.clone()), tie: uuid::Uuid::nil() };
                rows.push((cursor.format(BROKEN_ORDER), row));
            }
        }
        Ok(ListPage::new(&window, total, rows, more))
    }

    /// Items with what needs them, in at most three statements.
    async fn broken_rows(&self, items: &[BrokenItem], uses_max: u64) -> Result<Vec<BrokenRow>, QueryError> {
        let record = self.record.verify();
        let files: Vec<Digest> = items.iter().filter_map(|item| item.digest).collect();
        let of_rows = || items.iter().filter(|item| item.digest.is_none());
        let revisions: Vec<RevisionId> = of_rows().filter_map(|item| item.revision).collect();
        let publications: Vec<PublicationId> =
            of_rows().filter(|item| item.revision.is_none()).filter_map(|item| item.publication).collect();
        let by_file = record.uses_of_files(&files, uses_max).await?;
        let by_revision = record.uses_of_revisions(&revisions).await?;
        let by_publication = record.uses_of_publications(&publications, uses_max).await?;
        let uses_of = |item: &BrokenItem| match (item.digest, item.revision, item.publication) {
            (Some(digest), _, _) => by_file.get(&digest),
            (None, Some(id), _) => by_revision.get(&id),
            (None, None, Some(id)) => by_publication.get(&id),
            (None, None, None) => None,
        };
        Ok(items.iter().map(|item| broken_row(item.clone(), uses_of(item).cloned().unwrap_or_default())).collect())
    }

    /// Further revisions that need a file.
    pub async fn uses_after(&self, row: &BrokenRow, after: RevisionId) -> Result<Vec<Use>, QueryError> {
        let Some(digest) = row.item.digest else { return Ok(Vec::new()) };
        Ok(self.record.verify().uses(digest, Some(after), USES_MAX).await?)
    }
}

fn broken_row(item: BrokenItem, uses: Uses) -> BrokenRow {
    let Uses { first: uses, total: uses_total } = uses;
    let detail = match item.kind {
        Breakage::Missing => "the archive does not have its object".to_owned(),
        Breakage::Unreadable if item.digest.is_some() => "its object cannot be read".to_owned(),
        Breakage::Wrong => "its object does not read back as it was archived".to_owned(),
        Breakage::NotAFile => "there is something else in the place of its object".to_owned(),
        // A folder.
        Breakage::Unreadable
        | Breakage::Altered
        | Breakage::Orphan
        | Breakage::Dangling
        | Breakage::NotIndexed
        | Breakage::NotRecorded => item.detail.clone(),
    };
    let next_step = next_step(&item, &uses);
    BrokenRow { item, detail, uses, uses_total, next_step }
}

/// What to do about something broken.
fn next_step(item: &BrokenItem, uses: &[Use]) -> String {
    const FROM: &str = "`acervo verify --repair --from DIR|URL` takes it from another copy of the archive";
    let product = uses.iter().find_map(|using| using.product.as_deref());
    let resend = product.map(|product| {
        format!("; or press \"Enviar\" for the product `{product}` on the portal, which sends its last version again")
    });
    let resend = resend.unwrap_or_default();
    match item.kind {
        Breakage::Missing | Breakage::Wrong | Breakage::NotAFile => {
            format!("{FROM}{resend}; or import the file again (`acervo import --manifest`)")
        }
        Breakage::Unreadable if item.digest.is_none() => {
            "check the permissions of the folder and the medium, and verify again".to_owned()
        }
        Breakage::Unreadable => format!(
            "check the permissions of the object and the medium; {FROM}{resend}; or import the file again \
             (`acervo import --manifest`)"
        ),
        Breakage::Altered => "`acervo verify --repair` writes the object again; check the medium".to_owned(),
        Breakage::Orphan if !uses.is_empty() => {
            "`acervo verify --repair` removes it if the other object of the file is sound".to_owned()
        }
        Breakage::Orphan => {
            "nothing needs it, and Acervo does not delete it: if the database is older than the archive, restore \
             the newer one; otherwise move the object away"
                .to_owned()
        }
        Breakage::Dangling if item.digest.is_some() && !uses.is_empty() => format!("{FROM}{resend}"),
        Breakage::Dangling => "restore the database from a backup".to_owned(),
        Breakage::NotIndexed | Breakage::NotRecorded => {
            "`acervo reindex` builds the search index again; so does `acervo verify --repair`".to_owned()
        }
    }
}
