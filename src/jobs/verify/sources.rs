//! Where the bytes of broken files may be had: folders and other Acervos. Whatever they give is verified before it replaces anything.
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::{Digest, Encoding, Hasher};
use crate::engine::fetch::{Peer, PeerFile};
use crate::engine::store::{CopyPath, Put};
use crate::jobs::{Stopped, stop};

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
pub(super) struct Found {
    wanted: HashSet<Digest>,
    /// Absent if a wanted file has no known size.
    sizes: Option<HashSet<u64>>,
    copies: HashMap<Digest, Vec<CopyPath>>,
}

impl Found {
    /// Searches folders for wanted files. Only files of a wanted size are read, each once. What cannot be read is skipped with a warning.
    pub fn search(folders: &[PathBuf], wanted: &[Wanted], stop: &CancellationToken) -> Result<Self, Stopped> {
        let mut found = Self {
            wanted: wanted.iter().map(|wanted| wanted.digest).collect(),
            sizes: wanted.iter().map(|wanted| wanted.size).collect(),
            copies: HashMap::new(),
        };
        for folder in folders {
            found.walk(folder, stop)?;
        }
        Ok(found)
    }

    fn walk(&mut self, root: &Path, stop: &CancellationToken) -> Result<(), Stopped> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let skip =
                |e: io::Error| tracing::warn!(error = %e, folder = %folder.display(), "a folder cannot be searched");
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(e) => {
                    skip(e);
                    continue;
                }
            };
            for entry in entries {
                require_running(stop)?;
                let entry = match entry {
                    Ok(entry) => entry,
                    // Reading on may give the same error without end.
                    Err(e) => {
                        skip(e);
                        break;
                    }
                };
                let path = entry.path();
                // Links to folders are not followed: they may lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                    continue;
                }
                let is_candidate = |found: std::fs::Metadata| {
                    found.is_file() && self.sizes.as_ref().is_none_or(|sizes| sizes.contains(&found.len()))
                };
                if std::fs::metadata(&path).is_ok_and(is_candidate) {
                    self.consider(path, stop)?;
                }
            }
        }
        Ok(())
    }

    fn consider(&mut self, path: PathBuf, stop: &CancellationToken) -> Result<(), Stopped> {
        match digest_of(&path, stop) {
            Ok(digest) if self.wanted.contains(&digest) => {
                self.copies.entry(digest).or_default().push(CopyPath { path, encoding: Encoding::Plain });
            }
            Ok(_) => {}
            Err(_) if stop.is_cancelled() => return Err(Stopped),
            Err(e) => tracing::warn!(error = %e, path = %path.display(), "a file cannot be read"),
        }
        Ok(())
    }

    /// Whether the folders were searched for a file.
    pub fn has_looked_for(&self, digest: Digest) -> bool {
        self.wanted.contains(&digest)
    }

    /// The copies of a file that were found in a folder.
    pub fn copies(&self, folder: &Path, digest: Digest) -> Vec<CopyPath> {
        let copies = self.copies.get(&digest).into_iter().flatten();
        copies.filter(|copy| copy.path.starts_with(folder)).cloned().collect()
    }
}

fn require_running(stop: &CancellationToken) -> Result<(), Stopped> {
    if stop.is_cancelled() { Err(Stopped) } else { Ok(()) }
}

fn digest_of(path: &Path, stop: &CancellationToken) -> io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE]);
    loop {
        require_running(stop).map_err(io::Error::other)?;
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
        stop::check(app, "stop-in-pour")?;
        let read = move || {
            let mut piece = vec![0; PIECE];
            let n = reader.read(&mut piece)?;
            piece.truncate(n);
            Ok::<_, io::Error>((reader, piece))
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

/// Waits for something that a peer does, or until the process is asked to stop.
pub(super) async fn unless_stopped<T>(app: &App, work: impl Future<Output = T>) -> Result<T, Stopped> {
    stop::check(app, "stop-in-pour")?;
    tokio::select! {
        done = work => Ok(done),
        () = app.stop.cancelled() => Err(Stopped),
    }
}

/// The same for a file that another Acervo sends.
pub(super) async fn pour_peer(app: &App, mut file: PeerFile, size_max: u64) -> anyhow::Result<Put> {
    app.disk.require_space(0)?;
    let (mut put, mut total) = (app.store.put(), 0_u64);
    while let Some(piece) = unless_stopped(app, file.next()).await?? {
        total += piece.len() as u64;
        anyhow::ensure!(total <= size_max, "it has more than {size_max} bytes");
        put.write(&piece).await?;
    }
    Ok(put)
}
