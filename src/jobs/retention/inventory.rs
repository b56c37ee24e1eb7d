//! What a plan is made of: the archive as plain rows, small enough that a million revisions fit in little memory.
use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::Digest;
use crate::record::InventoryRow;

/// The whole archive, as far as retention looks at it: revisions whose bytes are there.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub products: Vec<Product>,
    pub publications: Vec<Publication>,
    pub revisions: Vec<Revision>,
    /// Bytes on the disk of each different file.
    pub stored_sizes: Vec<u64>,
    pub(super) files: HashMap<Digest, u32>,
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
    /// Folded.
    pub process: Box<str>,
    pub macro_process: Box<str>,
    pub reference_date: Box<str>,
    /// Wall clock as seconds.
    pub period_start: i64,
    pub period_end: i64,
    /// Which of the revisions are its own: from, to.
    pub revisions: (u32, u32),
    /// Which of them was announced last.
    pub latest: u32,
    /// Its extension, and its size as published.
    pub extension: Option<Box<str>>,
    pub size: u64,
    /// When that was announced: what tells the later of two publications.
    pub announced_at: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Revision {
    pub id: Uuid,
    pub number: i32,
    /// Which of the files.
    pub file: u32,
    /// With the number, its place among its publication's.
    pub announced_at: i64,
    pub archived_at: i64,
    /// `i64::MAX` while it is the latest.
    pub superseded_at: i64,
    pub held: bool,
}

impl Inventory {
    /// The place of a file, new or known.
    pub fn file(&mut self, digest: Digest, stored_size: u64) -> u32 {
        let next = u32::try_from(self.stored_sizes.len()).unwrap_or(u32::MAX);
        let place = *self.files.entry(digest).or_insert(next);
        if place == next {
            self.stored_sizes.push(stored_size);
        }
        place
    }

    /// Adds a revision; those of one publication come one after the other.
    pub(super) fn add(&mut self, product: u32, row: InventoryRow) {
        let place = u32::try_from(self.revisions.len()).unwrap_or(u32::MAX);
        let file = self.file(row.digest, row.stored_size);
        self.revisions.push(Revision {
            id: row.revision.0,
            number: row.number,
            file,
            announced_at: row.announced_at,
            archived_at: row.archived_at,
            superseded_at: row.superseded_at.unwrap_or(i64::MAX),
            held: row.held,
        });
        if self.publications.last().is_none_or(|last| last.id != row.publication) {
            self.publications.push(Publication {
                id: row.publication,
                product,
                process: row.process.into(),
                macro_process: row.macro_process.into(),
                reference_date: row.reference_date.into(),
                period_start: row.period_start.as_number(),
                period_end: row.period_end.as_number(),
                revisions: (place, place),
                latest: u32::MAX,
                extension: None,
                size: 0,
                announced_at: i64::MIN,
            });
        }
        if let Some(publication) = self.publications.last_mut() {
            publication.revisions.1 = place + 1;
            // By announcement, as everywhere; where the latest itself was removed, the latest of what is left.
            if row.announced_at >= publication.announced_at {
                publication.latest = place;
                publication.extension = row.extension.map(Into::into);
                publication.size = row.size;
                publication.announced_at = row.announced_at;
            }
        }
    }

    /// Forgets what was only needed for adding.
    pub(super) fn settle(&mut self) {
        self.files = HashMap::new();
    }

    /// The revisions of a publication, with their places.
    pub fn of(&self, publication: &Publication) -> impl Iterator<Item = (u32, &Revision)> {
        let (from, to) = publication.revisions;
        (from..to).map(|i| (i, &self.revisions[i as usize]))
    }
}
