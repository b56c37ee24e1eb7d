//! Files: each is read back and compared with its digest. In the same order, the objects of the archive are compared with the rows.
use std::collections::{BTreeMap, HashSet};

use futures_util::StreamExt;

use super::run::{Doubted, Pass, Position};
use crate::domain::{Breakage, Digest, DigestRange, Encoding, Hasher, Share, StoredFile};
use crate::engine::record::{FileState, Finding};
use crate::engine::store::{ObjectEntry, StoreError};
use crate::jobs::fault;

/// Files verified between two moments at which the position can be saved: at most so many, of about so many bytes.
const PAGE: u64 = 100;
const PAGE_BYTES: u64 = 256 << 20;

/// Digests of one statement.
const AT_ONCE: u64 = 500;

/// The objects of a part of the archive.
pub(super) type Objects = BTreeMap<Digest, Vec<ObjectEntry>>;

impl Pass<'_> {
    /// Verifies all files from the position of the run on.
    pub async fn verify_files(&mut self) -> anyhow::Result<()> {
        let Some(first) = self.run.next else { return Ok(()) };
        let last = self.run.share.digests().last;
        for (first_byte, part) in (DigestRange { first, last }).by_first_byte() {
            let objects = self.list(first_byte, part).await?;
            let mut rest = Some(part);
            while let Some(range) = rest {
                self.page_start = Position { next: Some(range.first), ..Position::of(&self.run) };
                rest = self.verify_page(range, &objects).await?;
                // The position: nothing before it has to be read again.
                self.run.next = match rest {
                    Some(rest) => Some(rest.first),
                    None => part.last.successor().filter(|next| *next <= last),
                };
                self.save_sometimes().await?;
            }
        }
        self.settle_suspects(true).await
    }

    /// Looks again at what the run found about files before it was interrupted: some of it may have been put right since.
    pub async fn verify_again(&mut self, doubted: &Doubted) -> anyhow::Result<()> {
        let record = self.app.record.verify();
        // These files were counted before.
        let counted = Position::of(&self.run);
        let mut listed = None;
        for is_finding in [true, false] {
            let mut after = None;
            loop {
                let digests = match is_finding {
                    true => record.doubted_files(&self.run.id, after, AT_ONCE).await?,
                    false => record.damaged_files(doubted.files, after, AT_ONCE).await?,
                };
                for digest in &digests {
                    let first_byte = digest.0[0];
                    let objects = match listed.take() {
                        Some((of, objects)) if of == first_byte => objects,
                        _ => self.list(first_byte, self.run.share.digests()).await?,
                    };
                    self.page_start = counted;
                    self.verify_page(DigestRange { first: *digest, last: *digest }, &objects).await?;
                    listed = Some((first_byte, objects));
                    (self.run.files, self.run.bytes) = (counted.files, counted.bytes);
                }
                after = digests.last().copied().filter(|_| digests.len() as u64 == AT_ONCE);
                if after.is_none() {
                    break;
                }
            }
        }
        self.settle_suspects(true).await
    }

    /// The objects of a part of the archive. If they cannot be listed, that is a finding: its files are verified all the same, and only
    /// objects without a row are not found.
    async fn list(&self, first_byte: u8, part: DigestRange) -> anyhow::Result<Objects> {
        let mut objects = Objects::new();
        let mut listed = self.app.store.objects(first_byte);
        while let Some(entry) = listed.next().await {
            match entry {
                Ok(entry) if (part.first..=part.last).contains(&entry.locator.digest) => {
                    objects.entry(entry.locator.digest).or_default().push(entry);
                }
                Ok(_) => {}
                Err(e) => {
                    let e = unless_general(e)?;
                    self.require_access().await?;
                    let finding = Finding {
                        id: format!("folder:{first_byte:02x}"),
                        kind: Breakage::Unreadable,
                        point: Share::point_of_file(part.first),
                        digest: None,
                        publication: None,
                        revision: None,
                        detail: format!("the folder {first_byte:02x} of the archive cannot be listed: {e}"),
                    };
                    self.save_findings(&[finding]).await?;
                    break;
                }
            }
        }
        Ok(objects)
    }

    /// Verifies the first files of a range. Returns what is left of it.
    async fn verify_page(&mut self, range: DigestRange, objects: &Objects) -> anyhow::Result<Option<DigestRange>> {
        self.check()?;
        let mut files = self.app.record.verify().files(range, PAGE).await?;
        let mut is_last = (files.len() as u64) < PAGE;
        let mut bytes = 0;
        let within = files.iter().take_while(|state| {
            let is_within = bytes < PAGE_BYTES;
            bytes += state.file.size;
            is_within
        });
        let within = within.count();
        is_last &= within == files.len();
        files.truncate(within);
        let last = match files.last() {
            Some(state) if !is_last => state.file.digest,
            Some(_) | None => range.last,
        };
        let done = DigestRange { first: range.first, last };
        let broken = self.verify_each(&files).await?;
        self.find_unused(&files, &broken).await?;
        self.find_unstored(done).await?;
        self.find_orphans(done, &files, objects).await?;
        fault("verify-after-page");
        Ok(last.successor().filter(|first| *first <= range.last).map(|first| DigestRange { first, last: range.last }))
    }

    /// Reads files back, and marks those that are damaged. Returns those.
    async fn verify_each(&mut self, files: &[FileState]) -> anyhow::Result<HashSet<Digest>> {
        let record = self.app.record.files();
        let mut damaged: Vec<(StoredFile, Breakage)> = Vec::new();
        let (mut altered, mut first_read) = (Vec::new(), Vec::new());
        for state in files {
            self.check()?;
            match self.read(state.file).await? {
                Ok(stored) => {
                    if state.is_damaged {
                        record.lift_damage(state.file.digest).await?;
                    }
                    match (stored, state.stored_digest) {
                        (Some(stored), None) => first_read.push((state.file, stored)),
                        (Some(stored), Some(known)) if stored != known => altered.push(state.file.digest),
                        (Some(_), Some(_)) | (None, _) => {}
                    }
                }
                Err(e) => damaged.push((state.file, e.breakage())),
            }
            self.run.files += 1;
            self.run.bytes += state.file.size;
            self.tell();
        }
        record.save_stored_digests(&first_read).await?;
        self.find_altered(&altered).await?;
        let mut broken = HashSet::new();
        if damaged.is_empty() {
            return Ok(broken);
        }
        if damaged.iter().any(|(_, breakage)| matches!(breakage, Breakage::Missing | Breakage::Unreadable)) {
            self.require_access().await?;
        }
        let known: HashSet<Digest> =
            files.iter().filter(|state| state.is_damaged).map(|state| state.file.digest).collect();
        // Those that were removed or stored anew since they were read are not marked.
        let marked = record.mark_read_as_damaged(&damaged, self.app.clock.now()).await?;
        fault("verify-after-mark");
        for file in marked {
            // Good bytes may have replaced damaged ones before the mark, which those who store them did not see.
            match self.read(file).await? {
                Ok(_) => record.lift_damage(file.digest).await?,
                Err(e) => {
                    if self.scheduled && !known.contains(&file.digest) {
                        tracing::error!(error = %e, "a file of the archive is damaged; `acervo verify --repair` says what can be done");
                    }
                    broken.insert(file.digest);
                }
            }
        }
        Ok(broken)
    }

    /// Reads a file back. Returns the digest of its object, if that may differ from the file's. The outer error ends the run: it says
    /// nothing about the file.
    pub async fn read(&mut self, file: StoredFile) -> anyhow::Result<Result<Option<Digest>, StoreError>> {
        let is_frame = file.encoding == Encoding::Zstd;
        let opened = match is_frame {
            // The frame is decoded on its way, and its last bytes come only if the whole matched the digest.
            true => self.app.store.read_frame(file).await.map(|(_, bytes)| bytes),
            false => self.app.store.read_object(file, None).await,
        };
        let mut bytes = match opened {
            Ok(bytes) => bytes,
            Err(e) => return unless_general(e).map(Err),
        };
        let (mut hasher, mut read) = (is_frame.then(Hasher::default), 0);
        while let Some(piece) = bytes.next().await {
            match piece {
                Ok(piece) => {
                    if let Some(hasher) = &mut hasher {
                        hasher.update(&piece);
                    }
                    read += piece.len() as u64;
                    self.spend(file, read, piece.len() as u64).await;
                    self.check()?;
                }
                Err(e) => return unless_general(e).map(Err),
            }
        }
        if file.encoding == Encoding::Dense {
            // A dense object can have bits that do not matter for decoding.
            return match self.app.store.dense_object_digest(file.digest).await {
                Ok(stored) => Ok(Ok(Some(stored))),
                Err(e) => unless_general(e).map(Err),
            };
        }
        Ok(Ok(hasher.map(Hasher::finish)))
    }

    /// Waits until the next piece may be read. What counts is the published bytes, which are hashed; those of a frame are estimated from
    /// its length.
    async fn spend(&mut self, file: StoredFile, read: u64, piece: u64) {
        let share = |stored: u64| (stored as f64 / file.stored_size.max(1) as f64 * file.size as f64) as u64;
        let bytes =
            if file.encoding != Encoding::Zstd { piece } else { share(read).saturating_sub(share(read - piece)) };
        self.bytes_now += bytes;
        self.pace.spend(bytes, &self.app.stop).await;
    }

    /// Rows of stored files that neither a revision nor another file uses.
    async fn find_unused(&mut self, files: &[FileState], broken: &HashSet<Digest>) -> anyhow::Result<()> {
        let digests: Vec<Digest> =
            files.iter().map(|state| state.file.digest).filter(|digest| !broken.contains(digest)).collect();
        if digests.is_empty() {
            return Ok(());
        }
        let unused: Vec<Digest> = self.app.record.removals().unused(&digests).await?.into_iter().collect();
        // A sweep may have begun to remove them after they were read.
        let states = self.app.record.verify().file_states(&unused).await?;
        let staying = states.into_values().filter(|state| !state.is_removed && !state.is_leaving);
        let finding = |state: FileState| {
            let detail = "the file is stored and no revision has it".to_owned();
            of_file(format!("dangling:unused:{}", state.file.digest), Breakage::Dangling, state.file.digest, detail)
        };
        let found: Vec<Finding> = staying.map(finding).collect();
        self.save_findings(&found).await
    }

    /// Files that revisions have and that are not recorded as stored.
    async fn find_unstored(&mut self, range: DigestRange) -> anyhow::Result<()> {
        let mut rest = Some(range);
        while let Some(range) = rest {
            let digests = self.app.record.verify().unstored(range, AT_ONCE).await?;
            let next = digests.last().filter(|_| digests.len() as u64 == AT_ONCE).and_then(|last| last.successor());
            rest = next.filter(|first| *first <= range.last).map(|first| DigestRange { first, last: range.last });
            let finding = |digest: &Digest| {
                let detail = "revisions have a file that is not recorded as stored".to_owned();
                of_file(format!("dangling:unstored:{digest}"), Breakage::Dangling, *digest, detail)
            };
            let found: Vec<Finding> = digests.iter().map(finding).collect();
            self.save_findings(&found).await?;
        }
        Ok(())
    }

    pub async fn save_findings(&self, found: &[Finding]) -> anyhow::Result<()> {
        if self.scheduled {
            for finding in found {
                tracing::error!(kind = %finding.kind, id = finding.id, "verification: {}", finding.detail);
            }
        }
        self.app.record.verify().save_findings(&self.run.id, found, self.app.clock.now()).await?;
        Ok(())
    }
}

/// A finding about a file.
pub(super) fn of_file(id: String, kind: Breakage, digest: Digest, detail: String) -> Finding {
    let point = Share::point_of_file(digest);
    Finding { id, kind, point, digest: Some(digest), publication: None, revision: None, detail }
}

/// An error that is about one file; any other is one of the whole process or store.
fn unless_general(error: StoreError) -> anyhow::Result<StoreError> {
    // Out of file descriptors (of the system, of the process) or of memory.
    const GENERAL: [i32; 3] = [23, 24, 12];
    match &error {
        StoreError::Io(e) if e.raw_os_error().is_some_and(|code| GENERAL.contains(&code)) => Err(error.into()),
        StoreError::Interrupted | StoreError::DiskFull(_) => Err(error.into()),
        away if away.is_away() => Err(error.into()),
        _ => Ok(error),
    }
}
