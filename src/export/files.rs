//! The files of a query: which they are, the path of each, and which publications have none.
//!
//! The list is made before the first file is read and kept in a temporary file, so neither memory nor the database is in use for as
//! long as a client reads.
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Component, Path};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::folder::WORK;
use super::scratch::{Lines, Scratch, ScratchFile};
use crate::domain::{
    Digest, ProductFolders, PublicationStatus, RevisionId, format_instant, parse_instant, period_folder, published_name,
};
use crate::query::{FileBytes, FileError, PublicationRequest, PublicationRow, Queries, QueryError, Revision, TableRow};

/// The name of the manifest, one JSON object a line: the path of the file, or why there is none, and the columns of publications.
pub(super) const MANIFEST: &str = "manifest.ndjson";

/// The name of the list of publications without a file. It does not exist if all have one.
pub(super) const MISSING: &str = "MISSING.txt";

/// Names that no product's folder gets: those of ours, and those of `acervo export`.
const RESERVED: [&str; 4] = [MANIFEST, MISSING, "SHA256SUMS", WORK];

/// Bytes of a received list that are kept in memory; a longer one is kept in a temporary file.
const IN_MEMORY_MAX: usize = 4 << 20;

/// The files of a query, one for each publication that has one.
pub struct FileList {
    pub(super) manifest: ScratchFile,
    pub(super) missing: Option<ScratchFile>,
    /// The number of publications.
    pub publications: u64,
    pub files: u64,
    /// The sum of the files' sizes.
    pub bytes: u64,
    pub made_at: Timestamp,
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum FileLine {
    File(ListedFile),
    /// A publication without a file.
    Missing {
        name: String,
        reason: String,
        /// The file is still to come, so nothing is wrong.
        is_awaited: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct ListedFile {
    /// product / period / published name, different for each file.
    pub path: String,
    pub revision: RevisionId,
    pub digest: Digest,
    pub size: u64,
    pub archived_at: Timestamp,
}

impl FileList {
    /// Lists the files of a request, whose paging is ignored. `limit`: the maximum number of publications.
    pub async fn of(queries: &Queries, request: PublicationRequest, limit: Option<u64>) -> Result<Self, QueryError> {
        let folders = queries.product_folders(&RESERVED).await?;
        let mut list = Builder {
            queries,
            folders,
            manifest: Scratch::new(queries),
            missing: Scratch::new(queries),
            publications: 0,
            files: 0,
            bytes: 0,
        };
        let mut pages = super::limited(queries.all_publications(request)?, limit);
        while let Some(page) = pages.next().await.transpose()? {
            list.add(&page).await?;
        }
        let Builder { manifest, missing, publications, files, bytes, .. } = list;
        let missing = if missing.length() > 0 { Some(missing.finish().await?) } else { None };
        let manifest = manifest.finish().await?;
        Ok(Self { manifest, missing, publications, files, bytes, made_at: Timestamp::now() })
    }

    /// The list that another instance sent as `GET /export/files.ndjson`.
    pub async fn received(mut bytes: impl Stream<Item = anyhow::Result<Bytes>> + Unpin + Send) -> anyhow::Result<Self> {
        let (mut received, mut length) = (tempfile::spooled_tempfile(IN_MEMORY_MAX), 0);
        while let Some(piece) = bytes.next().await.transpose()? {
            received.write_all(&piece)?;
            length += piece.len() as u64;
        }
        let manifest = ScratchFile::of(received, length);
        let mut list = Self { manifest, missing: None, publications: 0, files: 0, bytes: 0, made_at: Timestamp::now() };
        let mut lines = list.lines();
        while let Some(line) = lines.next().await? {
            list.publications += 1;
            if let FileLine::File(file) = line {
                list.files += 1;
                list.bytes += file.size;
            }
        }
        Ok(list)
    }

    /// The list itself, as one JSON object a line.
    pub fn into_manifest(self) -> (u64, FileBytes) {
        let length = self.manifest.length();
        (length, self.manifest.stream(0..length))
    }

    /// All lines, from the first.
    pub fn lines(&self) -> FileLines {
        FileLines(self.manifest.lines())
    }
}

/// Reads the lines of a list.
pub struct FileLines(Lines);

impl FileLines {
    pub async fn next(&mut self) -> Result<Option<FileLine>, FileError> {
        let Some(line) = self.0.next().await? else { return Ok(None) };
        let line: serde_json::Value = serde_json::from_slice(&line).map_err(std::io::Error::from)?;
        let text = |name: &str| line[name].as_str();
        let file = || {
            Some(ListedFile {
                path: text("path").filter(|path| is_below(path))?.to_owned(),
                revision: text("revisionId")?.parse().ok()?,
                digest: text("sha256")?.parse().ok()?,
                size: line["size"].as_u64()?,
                archived_at: parse_instant(text("archivedAt")?)?,
            })
        };
        let missing = || {
            let name = format!("{} {}", text("name")?, text("referenceDate")?);
            let is_awaited = text("status")? == PublicationStatus::Awaited.as_str();
            Some(FileLine::Missing { name, reason: text("missing")?.to_owned(), is_awaited })
        };
        let read = file().map(FileLine::File).or_else(missing);
        read.map(Some).ok_or_else(|| std::io::Error::other("a line of the list of files cannot be read").into())
    }
}

/// Whether a path stays within the folder that it is relative to. Lists may come from elsewhere.
fn is_below(path: &str) -> bool {
    let mut components = Path::new(path).components();
    let is_ours = components.next().is_some_and(|first| first == Component::Normal(WORK.as_ref()));
    !path.is_empty() && !is_ours && Path::new(path).components().all(|one| matches!(one, Component::Normal(_)))
}

struct Builder<'a> {
    queries: &'a Queries,
    folders: ProductFolders,
    manifest: Scratch,
    missing: Scratch,
    publications: u64,
    files: u64,
    bytes: u64,
}

impl Builder<'_> {
    async fn add(&mut self, page: &[PublicationRow]) -> Result<(), QueryError> {
        let revisions: Vec<&Revision> = page.iter().filter_map(present).collect();
        let damaged = self.queries.damaged_among(&revisions).await?;
        for row in page {
            self.publications += 1;
            let reason = match present(row) {
                None => Some(why_absent(row)),
                Some(revision) => damaged.get(&revision.id).cloned(),
            };
            match (reason, present(row)) {
                (None, Some(revision)) => {
                    let path = self.path(row, &revision.file_name);
                    self.files += 1;
                    self.bytes += revision.file.size;
                    self.line(row, Some(&path), None).await?;
                }
                (reason, _) => self.missing(row, &reason.unwrap_or_default()).await?,
            }
        }
        Ok(())
    }

    fn path(&mut self, row: &PublicationRow, file_name: &str) -> String {
        let publication = &row.publication;
        let product = self.folders.assign(publication.product_id.0, &publication.name);
        let period = period_folder(&publication.reference_date, publication.period);
        format!("{product}/{period}/{}", published_name(file_name))
    }

    async fn line(
        &mut self,
        row: &PublicationRow,
        path: Option<&str>,
        missing: Option<&str>,
    ) -> Result<(), QueryError> {
        let line = ManifestLine { row, path, missing, queries: self.queries };
        let mut line = serde_json::to_vec(&line).map_err(|e| FileError::Io(e.into()))?;
        line.push(b'\n');
        Ok(self.manifest.append(&line).await?)
    }

    async fn missing(&mut self, row: &PublicationRow, reason: &str) -> Result<(), QueryError> {
        self.line(row, None, Some(reason)).await?;
        let mut text = String::new();
        if self.missing.length() == 0 {
            text.push_str("These publications have no file here:\r\n\r\n");
        }
        let publication = &row.publication;
        // Writing to a string does not fail.
        let _ = write!(text, "{} {}: {reason}\r\n", publication.name, publication.reference_date);
        Ok(self.missing.append(text.as_bytes()).await?)
    }
}

/// A publication's revision, if its file was not removed.
fn present(row: &PublicationRow) -> Option<&Revision> {
    row.revision.as_ref().filter(|revision| revision.purged_at.is_none())
}

fn why_absent(row: &PublicationRow) -> String {
    match (&row.revision, row.status()) {
        (Some(Revision { purged_at: Some(at), purge_rule, .. }), _) => {
            let rule = purge_rule.as_deref().unwrap_or_default();
            format!("the file was removed by retention at {}: {rule}", format_instant(*at))
        }
        (_, PublicationStatus::Awaited) => "the file has not arrived yet".to_owned(),
        (_, status) => format!("there is no file: the publication is {}", status.as_str().to_lowercase()),
    }
}

struct ManifestLine<'a> {
    row: &'a PublicationRow,
    path: Option<&'a str>,
    missing: Option<&'a str>,
    queries: &'a Queries,
}

impl Serialize for ManifestLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("missing", &self.missing)?;
        for column in PublicationRow::COLUMNS.iter().filter(|column| column.name != "score") {
            map.serialize_entry(column.name, &(column.cell)(self.row, self.queries))?;
        }
        map.end()
    }
}

impl ListedFile {
    /// The file's bytes, checked as all reads are. An error if it was removed since the list was made.
    pub async fn open(&self, queries: &Queries) -> Result<FileBytes, QueryError> {
        // Read again, because compaction may have changed how it is stored.
        let revision = queries.revision(self.revision).await?.revision;
        if let Some(at) = revision.purged_at {
            let at = format_instant(at);
            return Err(QueryError::Purged(format!("the file was removed by retention at {at}")));
        }
        queries.file(&revision, None).await
    }
}
