//! What a plan is made from: the archive as plain rows, so small that a million revisions fit in 300 MiB.
use std::collections::HashMap;

use anyhow::Context;
use uuid::Uuid;

use crate::domain::{Digest, LocalDateTime, Period, fold};
use crate::engine::record::{InventoryFile, InventoryProduct, InventoryPublication, InventoryRevision};

/// The whole archive as retention sees it: the revisions whose bytes are stored.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub products: Vec<Product>,
    pub publications: Vec<Publication>,
    pub revisions: Vec<Revision>,
    /// The size of each distinct file, on disk and as published.
    pub stored_sizes: Vec<u64>,
    sizes: Vec<u64>,
    /// Texts that many rows share: processes and extensions, folded.
    texts: Vec<String>,
    /// Only used while the archive is read.
    lookup: Lookup,
}

/// Indexes of what rows refer to.
#[derive(Clone, Debug, Default)]
struct Lookup {
    /// By a part of the digest: of a million files, the chance that two share 96 bits is less than one in 10^16.
    files: HashMap<[u8; 12], u32>,
    products: HashMap<Uuid, u32>,
    texts: HashMap<String, u32>,
}

#[derive(Clone, Debug)]
pub struct Product {
    pub id: Uuid,
    pub name: String,
    /// Folded, including the current name.
    pub names: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Publication {
    pub id: Uuid,
    /// The index of its product.
    pub product: u32,
    /// The index of its text.
    process: u32,
    macro_process: u32,
    /// Of its latest revision.
    extension: u32,
    /// Only set if it is not the one that the portal writes for the period.
    unusual_reference_date: Option<Box<str>>,
    pub period: Period,
    /// The range of its revisions: from, to (exclusive).
    pub revisions: (u32, u32),
    /// The index of the one announced last.
    pub latest: u32,
    /// When it was announced. Orders publications of the same period.
    pub announced_at: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Revision {
    pub id: Uuid,
    pub number: i32,
    /// The index of its file.
    pub file: u32,
    /// Together with the number, its position among the publication's revisions.
    pub announced_at: i64,
    pub archived_at: i64,
    /// `i64::MAX` while it is the latest.
    pub superseded_at: i64,
    pub held: bool,
}

impl Inventory {
    /// Allocates once for the given numbers of rows.
    pub fn with_capacity(publications: usize, revisions: usize, files: usize) -> Self {
        let mut inventory = Self::default();
        inventory.publications.reserve_exact(publications);
        inventory.revisions.reserve_exact(revisions);
        inventory.stored_sizes.reserve_exact(files);
        inventory.sizes.reserve_exact(files);
        inventory.lookup.files.reserve(files);
        inventory
    }

    pub fn add_product(&mut self, product: InventoryProduct) {
        self.lookup.products.insert(product.id, index_of(self.products.len()));
        self.products.push(Product { id: product.id, name: product.name, names: product.names });
    }

    pub fn add_file(&mut self, file: InventoryFile) {
        let next = index_of(self.stored_sizes.len());
        if *self.lookup.files.entry(short(file.digest)).or_insert(next) == next {
            self.stored_sizes.push(file.stored_size);
            self.sizes.push(file.size);
        }
    }

    /// Adds a publication with its revisions, in the order of their numbers. One whose product or files were recorded after those
    /// were read is new, so nothing of it is removed yet: it is left out.
    pub fn add_publication(&mut self, publication: InventoryPublication, revisions: &[InventoryRevision]) {
        let Some(product) = self.lookup.products.get(&publication.product).copied() else { return };
        let from = index_of(self.revisions.len());
        let mut latest: Option<(u32, &InventoryRevision)> = None;
        for revision in revisions {
            let Some(file) = self.lookup.files.get(&short(revision.digest)).copied() else { continue };
            // The latest by announcement; if the latest itself was removed, the latest of the remaining ones.
            if latest.is_none_or(|(_, best)| revision.announced_at >= best.announced_at) {
                latest = Some((index_of(self.revisions.len()), revision));
            }
            self.revisions.push(Revision {
                id: revision.id.0,
                number: revision.number,
                file,
                announced_at: revision.announced_at,
                archived_at: revision.archived_at,
                superseded_at: revision.superseded_at.unwrap_or(i64::MAX),
                held: revision.held,
            });
        }
        let Some((latest, latest_revision)) = latest else { return };
        let usual = publication.period.reference_date() == publication.reference_date;
        let publication = Publication {
            id: publication.id,
            product,
            process: self.text(&publication.process),
            macro_process: self.text(&publication.macro_process),
            extension: self.text(latest_revision.extension.as_deref().unwrap_or_default()),
            unusual_reference_date: (!usual).then(|| publication.reference_date.into()),
            period: publication.period,
            revisions: (from, index_of(self.revisions.len())),
            latest,
            announced_at: latest_revision.announced_at,
        };
        self.publications.push(publication);
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.lookup.texts.get(text) {
            return *known;
        }
        let next = index_of(self.texts.len());
        self.texts.push(fold(text));
        self.lookup.texts.insert(text.to_owned(), next);
        next
    }

    /// Drops what is only needed while reading. An error if there are more rows than indexes.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.lookup = Lookup::default();
        let most = self.products.len().max(self.revisions.len()).max(self.stored_sizes.len()).max(self.texts.len());
        u32::try_from(most)
            .with_context(|| format!("{most} rows are too many for a plan; the limit is {}", u32::MAX))?;
        Ok(())
    }

    /// The revisions of a publication, with their indexes.
    pub fn of(&self, publication: &Publication) -> impl Iterator<Item = (u32, &Revision)> {
        let (from, to) = publication.revisions;
        (from..to).map(|i| (i, &self.revisions[i as usize]))
    }

    /// Folded.
    pub fn process(&self, publication: &Publication) -> &str {
        &self.texts[publication.process as usize]
    }

    /// Folded.
    pub fn macro_process(&self, publication: &Publication) -> &str {
        &self.texts[publication.macro_process as usize]
    }

    /// Of the publication's latest revision; empty if it has none.
    pub fn extension(&self, publication: &Publication) -> &str {
        &self.texts[publication.extension as usize]
    }

    /// Of the publication's latest revision, as published.
    pub fn size(&self, publication: &Publication) -> u64 {
        let file = self.revisions[publication.latest as usize].file;
        self.sizes[file as usize]
    }
}

impl Publication {
    pub fn reference_date(&self) -> String {
        self.unusual_reference_date.as_deref().map_or_else(|| self.period.reference_date(), str::to_owned)
    }

    /// Wall clock as seconds.
    pub fn period_start(&self) -> i64 {
        LocalDateTime::as_number(self.period.start)
    }

    pub fn period_end(&self) -> i64 {
        LocalDateTime::as_number(self.period.end)
    }
}

/// Indexes have 32 bits, since a plan has several for each revision. [`Inventory::finish`] refuses more rows.
fn index_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn short(digest: Digest) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&digest.0[..12]);
    bytes
}
