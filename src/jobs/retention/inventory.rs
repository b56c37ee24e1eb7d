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
    /// Of each different file, bytes on the disk and as published.
    pub stored_sizes: Vec<u64>,
    sizes: Vec<u64>,
    /// Texts that many rows share: processes and extensions, folded.
    texts: Vec<String>,
    /// While the archive is read.
    reading: Reading,
}

/// Indexes of what rows refer to.
#[derive(Clone, Debug, Default)]
struct Reading {
    /// By a part of the digest: of a million files, the chance that two share 96 bits is less than one in 10^16.
    files: HashMap<[u8; 12], u32>,
    products: HashMap<Uuid, u32>,
    texts: HashMap<String, u32>,
}

#[derive(Clone, Debug)]
pub struct Product {
    pub id: Uuid,
    pub name: String,
    /// Folded, the present name among them.
    pub names: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Publication {
    pub id: Uuid,
    /// Which of the products.
    pub product: u32,
    /// Which of the texts.
    process: u32,
    macro_process: u32,
    /// Of its latest revision; absent while there is none.
    extension: u32,
    /// Where it differs from the usual form of the period.
    odd_reference_date: Option<Box<str>>,
    pub period: Period,
    /// Which of the revisions are its own: from, to.
    pub revisions: (u32, u32),
    /// Which of them was announced last.
    pub latest: u32,
    /// When that was. Orders publications of the same period.
    pub announced_at: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Revision {
    pub id: Uuid,
    pub number: i32,
    /// Which of the files.
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
        inventory.reading.files.reserve(files);
        inventory
    }

    pub fn add_product(&mut self, product: InventoryProduct) {
        self.reading.products.insert(product.id, place(self.products.len()));
        self.products.push(Product { id: product.id, name: product.name, names: product.names });
    }

    pub fn add_file(&mut self, file: InventoryFile) {
        let next = place(self.stored_sizes.len());
        if *self.reading.files.entry(short(file.digest)).or_insert(next) == next {
            self.stored_sizes.push(file.stored_size);
            self.sizes.push(file.size);
        }
    }

    /// Adds a publication with its revisions, by number. One that came after its product or its files were read is new, and
    /// nothing of it is removed yet: it is left out.
    pub fn add_publication(&mut self, publication: InventoryPublication, revisions: &[InventoryRevision]) {
        let Some(product) = self.reading.products.get(&publication.product).copied() else { return };
        let from = place(self.revisions.len());
        let mut latest: Option<(u32, &InventoryRevision)> = None;
        for revision in revisions {
            let Some(file) = self.reading.files.get(&short(revision.digest)).copied() else { continue };
            // The latest by announcement; if the latest itself was removed, the latest of the remaining ones.
            if latest.is_none_or(|(_, best)| revision.announced_at >= best.announced_at) {
                latest = Some((place(self.revisions.len()), revision));
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
        let Some((latest, shown)) = latest else { return };
        let usual = publication.period.reference_date() == publication.reference_date;
        let publication = Publication {
            id: publication.id,
            product,
            process: self.text(&publication.process),
            macro_process: self.text(&publication.macro_process),
            extension: self.text(shown.extension.as_deref().unwrap_or_default()),
            odd_reference_date: (!usual).then(|| publication.reference_date.into()),
            period: publication.period,
            revisions: (from, place(self.revisions.len())),
            latest,
            announced_at: shown.announced_at,
        };
        self.publications.push(publication);
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.reading.texts.get(text) {
            return *known;
        }
        let next = place(self.texts.len());
        self.texts.push(fold(text));
        self.reading.texts.insert(text.to_owned(), next);
        next
    }

    /// Drops what is only needed while reading. An error where there is more than the positions can name.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        self.reading = Reading::default();
        let most = self.products.len().max(self.revisions.len()).max(self.stored_sizes.len()).max(self.texts.len());
        u32::try_from(most).with_context(|| format!("{most} rows are more than a plan can be made of"))?;
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
        self.odd_reference_date.as_deref().map_or_else(|| self.period.reference_date(), str::to_owned)
    }

    /// Wall clock as seconds.
    pub fn period_start(&self) -> i64 {
        LocalDateTime::as_number(self.period.start)
    }

    pub fn period_end(&self) -> i64 {
        LocalDateTime::as_number(self.period.end)
    }
}

/// Positions have 32 bits, since a plan has several for each revision; [`Inventory::settle`] refuses more.
fn place(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn short(digest: Digest) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&digest.0[..12]);
    bytes
}
