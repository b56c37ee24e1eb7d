//! Where the bytes of broken files may be had: folders and other Acervos. Whatever they give is verified before it replaces anything.
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::SecretString;

use crate::app::App;
use crate::domain::{Digest, Encoding, Hasher};
use crate::engine::fetch::{Peer, PeerFile};
use crate::engine::store::{CopyPath, Put, copies_in};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// Something that may have good bytes.
#[derive(Clone, Debug)]
pub enum Source {
    /// Another archive, or any folder with the files in it.
    Folder(PathBuf),
    /// Another Acervo.
    Peer(Peer),
}

impl Source {
    /// A folder, or the address of another Acervo with the key for it.
    pub fn new(text: &str, key: Option<SecretString>) -> Result<Self, String> {
        // Whatever looks like a URL may contain a password or a key, and is not repeated in an error.
        if text.contains("://") {
            return Peer::new(text, key).map(Self::Peer).map_err(|e| e.to_string());
        }
        match std::fs::metadata(text) {
            Ok(found) if found.is_dir() => Ok(Self::Folder(text.into())),
            Ok(_) => Err(format!("`{text}` is not a folder")),
            Err(e) => Err(format!("`{text}` cannot be read: {e}")),
        }
    }

    /// For people; without secrets.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Peer(peer) => peer.address().to_owned(),
        }
    }
}

/// A file that is looked for. Its size is not known if it has no row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub digest: Digest,
    pub size: Option<u64>,
}

/// The files below some folders that have the bytes of wanted files, whatever their names.
#[derive(Default)]
pub(super) struct Found(HashMap<Digest, Vec<CopyPath>>);

impl Found {
    /// Searches folders for files that no object of theirs is named for. Only files of a wanted size are read.
    pub fn search(folders: &[PathBuf], wanted: &[Wanted]) -> anyhow::Result<Self> {
        let mut found = Self::default();
        for folder in folders {
            let missing: Vec<Wanted> =
                wanted.iter().filter(|wanted| copies_in(folder, wanted.digest).is_empty()).copied().collect();
            if missing.is_empty() {
                continue;
            }
            let digests: HashSet<Digest> = missing.iter().map(|wanted| wanted.digest).collect();
            let sizes: Option<HashSet<u64>> = missing.iter().map(|wanted| wanted.size).collect();
            found.walk(folder, &digests, sizes.as_ref())?;
        }
        Ok(found)
    }

    fn walk(&mut self, root: &Path, digests: &HashSet<Digest>, sizes: Option<&HashSet<u64>>) -> anyhow::Result<()> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) if folder != root => {
                    tracing::warn!(error = %e, folder = %folder.display(), "a folder cannot be searched");
                    continue;
                }
                Err(e) => return Err(e).with_context(|| format!("{} cannot be read", folder.display())),
            };
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                // Links to folders are not followed: they may lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                    continue;
                }
                let Ok(metadata) = std::fs::metadata(&path) else { continue };
                if metadata.is_file() && sizes.is_none_or(|sizes| sizes.contains(&metadata.len())) {
                    self.consider(path, digests);
                }
            }
        }
        Ok(())
    }

    fn consider(&mut self, path: PathBuf, digests: &HashSet<Digest>) {
        match digest_of(&path) {
            Ok(digest) if digests.contains(&digest) => {
                self.0.entry(digest).or_default().push(CopyPath { path, encoding: Encoding::Plain });
            }
            Ok(_) => {}
            Err(e) => tracing::warn!(error = %e, path = %path.display(), "a file cannot be read"),
        }
    }

    /// The copies of a file in a folder.
    pub fn copies(&self, folder: &Path, digest: Digest) -> Vec<CopyPath> {
        let mut copies = copies_in(folder, digest);
        let other = self.0.get(&digest).into_iter().flatten();
        copies.extend(other.filter(|copy| copy.path.starts_with(folder)).cloned());
        copies
    }
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&piece[..n]),
        }
    }
}

/// Copies bytes into the store, without finishing the object. What is longer than the wanted file is not read to its end.
pub(super) async fn pour_reader(app: &App, mut reader: Box<dyn Read + Send>, size_max: u64) -> anyhow::Result<Put> {
    app.disk.require_space(0)?;
    let (mut put, mut total) = (app.store.put(), 0_u64);
    loop {
        let read = move || {
            let mut piece = vec![0; PIECE];
            let n = reader.read(&mut piece)?;
            piece.truncate(n);
            Ok::<_, std::io::Error>((reader, piece))
        };
        let piece;
        (reader, piece) = tokio::task::spawn_blocking(read).await??;
        if piece.is_empty() {
            return Ok(put);
        }
        total += piece.len() as u64;
        anyhow::ensure!(total <= size_max, "it has more than {size_max} bytes");
        put.write(&piece).await?;
    }
}

/// The same for a file that another Acervo sends.
pub(super) async fn pour_peer(app: &App, mut file: PeerFile, size_max: u64) -> anyhow::Result<Put> {
    app.disk.require_space(0)?;
    let (mut put, mut total) = (app.store.put(), 0_u64);
    while let Some(piece) = file.next().await? {
        total += piece.len() as u64;
        anyhow::ensure!(total <= size_max, "it has more than {size_max} bytes");
        put.write(&piece).await?;
    }
    Ok(put)
}
