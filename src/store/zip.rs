//! What a zip holds: its members, those of zips inside it as if these were folders.
use std::io::{self, Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::read::Seekable;
use super::{Key, Store, StoreError};

/// Zips inside zips are opened so deep.
const DEPTH_MAX: usize = 3;

/// Members listed of one file.
const MEMBERS_MAX: usize = 20_000;

/// A zip inside a zip is opened when it unpacks to at most this.
const NESTED_MAX: u64 = 1 << 30;

/// A member as the zip lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `folder/file.dat`; of a nested zip `outer.zip/inner.dat`.
    pub path: String,
    pub size: u64,
    pub compressed_size: u64,
    /// Year, month, day, hour, minute, second, as the packer's clock said.
    pub modified: Option<(u16, u8, u8, u8, u8, u8)>,
}

/// Why a member cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error("it is no zip that opens: {0}")]
    NotAZip(String),
    #[error("the zip has no member `{0}`")]
    NoMember(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The members of a zip, in its order. An error of kind [`MemberError::NotAZip`] where it does not open.
    pub async fn members(&self, key: Key) -> Result<Vec<Member>, MemberError> {
        let file = self.seekable(key).await?;
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut members = Vec::new();
            list(&store, file, "", 0, &mut members).map_err(|e| MemberError::NotAZip(e.to_string()))?;
            Ok(members)
        })
        .await
        .map_err(StoreError::from)?
    }

    /// A member's bytes, by the path that [`Store::members`] lists it under.
    pub async fn member(&self, key: Key, path: &str) -> Result<(u64, impl Read + Send + 'static), MemberError> {
        let file = self.seekable(key).await?;
        let (store, path) = (self.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || store.extract(file, &path)).await.map_err(StoreError::from)?
    }

    fn extract(&self, file: Box<dyn Seekable>, path: &str) -> Result<(u64, tempfile::SpooledTempFile), MemberError> {
        let mut zip = open(file)?;
        if let Some(index) = zip.index_for_name(path) {
            return self.unpack(&mut zip, index, u64::MAX);
        }
        // `outer.zip/inner.dat`: the longest member that the path begins with is the zip to look in.
        let outer =
            path.match_indices('/').rev().find_map(|(at, _)| Some((zip.index_for_name(&path[..at])?, &path[at + 1..])));
        let (index, inner) = outer.ok_or_else(|| MemberError::NoMember(path.to_owned()))?;
        let (_, nested) = self.unpack(&mut zip, index, NESTED_MAX)?;
        self.extract(Box::new(nested), inner)
    }

    fn unpack<R: Read + Seek>(
        &self,
        zip: &mut ZipArchive<R>,
        index: usize,
        size_max: u64,
    ) -> Result<(u64, tempfile::SpooledTempFile), MemberError> {
        let mut spool = self.spool();
        let broken = |e: io::Error| MemberError::NotAZip(e.to_string());
        let member = zip.by_index(index).map_err(|e| MemberError::NotAZip(e.to_string()))?;
        let copied = io::copy(&mut member.take(size_max.saturating_add(1)), &mut spool).map_err(broken)?;
        if copied > size_max {
            return Err(MemberError::NotAZip(format!("a zip inside it unpacks to more than {size_max} bytes")));
        }
        spool.seek(SeekFrom::Start(0)).map_err(StoreError::from)?;
        Ok((copied, spool))
    }
}

fn open<R: Read + Seek>(file: R) -> Result<ZipArchive<R>, MemberError> {
    ZipArchive::new(file).map_err(|e| MemberError::NotAZip(e.to_string()))
}

fn list(
    store: &Store,
    file: Box<dyn Seekable>,
    prefix: &str,
    depth: usize,
    members: &mut Vec<Member>,
) -> Result<(), MemberError> {
    let mut zip = open(file)?;
    for index in 0..zip.len() {
        if members.len() >= MEMBERS_MAX {
            break;
        }
        let entry = zip.by_index_raw(index).map_err(|e| MemberError::NotAZip(e.to_string()))?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map(|name| crate::domain::clean(&name)).unwrap_or_else(|_| format!("member-{index}"));
        let path = format!("{prefix}{name}");
        let modified =
            entry.last_modified().map(|at| (at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second()));
        let nested = name.to_ascii_lowercase().ends_with(".zip") && entry.size() <= NESTED_MAX && depth < DEPTH_MAX;
        members.push(Member {
            path: path.clone(),
            size: entry.size(),
            compressed_size: entry.compressed_size(),
            modified,
        });
        drop(entry);
        if nested && let Ok((_, inner)) = store.unpack(&mut zip, index, NESTED_MAX) {
            // A nested zip that does not open is a member like any other.
            let _ = list(store, Box::new(inner), &format!("{path}/"), depth + 1, members);
        }
    }
    Ok(())
}
