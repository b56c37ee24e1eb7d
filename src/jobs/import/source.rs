//! Where the files of a manifest are: in a folder, or in a tar.
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::content::{Content, take};
use super::manifest::Manifest;
use super::names::{self, Folder};
use super::tar::{Entry, Kind, Tar};
use super::{Event, Listener, Report, lines};
use crate::app::App;
use crate::jobs::stop;

/// The most hard links that are remembered.
const LINKS_MAX: usize = 1 << 20;

/// The longest chain of hard links that is followed.
const LINK_DEPTH_MAX: usize = 16;

pub(super) enum Source {
    Folder(Arc<Folder>),
    /// Already in the store, because the files of a tar come in its own order.
    Tar(Box<TarFiles>),
}

impl Source {
    pub(super) async fn get(&self, app: &App, path: &str, dry_run: bool) -> Result<Content, String> {
        let folder = match self {
            Self::Tar(files) => return files.get(path),
            Self::Folder(folder) => folder.clone(),
        };
        let (app, path) = (app.clone(), path.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let file = File::open(folder.find(&path)?).map_err(|e| format!("`{path}` cannot be read: {e}"))?;
            take(&app, &path, &mut BufReader::new(file), dry_run)
        });
        read.await.map_err(|_| "reading was interrupted".to_owned())?
    }
}

/// The files of a tar that a manifest names.
#[derive(Default)]
pub(super) struct TarFiles {
    /// By the bytes of their names.
    files: HashMap<Vec<u8>, Result<Content, String>>,
    /// The names, by what they are normalized to.
    readings: HashMap<String, Vec<Vec<u8>>>,
    /// All hard links, and those in the manifest whose file was not read yet.
    links: HashMap<Vec<u8>, Vec<u8>>,
    pending: HashMap<Vec<u8>, Vec<u8>>,
    /// Why the tar could not be read to its end.
    broken: Option<String>,
    /// The process was asked to stop before the end.
    is_stopped: bool,
}

impl TarFiles {
    /// Reads all files of the manifest into the store. Blocks.
    pub(super) fn read(
        app: &App,
        path: &Path,
        manifest: &Manifest,
        dry_run: bool,
        report: &mut Report,
        listener: &mut Listener<'_>,
    ) -> anyhow::Result<Self> {
        let mut files = Self::default();
        files.scan(app, path, listener, |files, tar, entry, listener| {
            let name = names::plain(&entry.name);
            let reading = names::normalized(&name);
            if manifest.may_name(&reading) {
                files.add(app, name, reading, tar, entry, dry_run);
            } else if !entry.is_name_known {
                report.refuse(listener, path, tar.count, entry.problem.unwrap_or_default());
            } else if let Kind::HardLink(target) = entry.kind {
                files.remember(name, names::plain(&target));
            }
        })?;
        files.follow(app, path, dry_run, listener)?;
        if let Some(why) = &files.broken {
            report.refuse(listener, path, 0, format!("the tar cannot be read to its end: {why}"));
        }
        Ok(files)
    }

    /// Whether the process was asked to stop before the tar's end.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The file with this exact name, else the one whose name is the same once normalized.
    fn get(&self, path: &str) -> Result<Content, String> {
        if let Some(found) = self.files.get(&names::plain(path.as_bytes())) {
            return found.clone();
        }
        let names = self.readings.get(&names::normalized(path.as_bytes())).map(Vec::as_slice).unwrap_or_default();
        match (names, &self.broken) {
            ([only], _) => self.files.get(only).cloned().unwrap_or_else(|| Err(format!("the tar has no `{path}`"))),
            ([], None) => Err(format!("the tar has no `{path}`")),
            ([], Some(_)) => Err(format!("`{path}` was not found before the tar became unreadable")),
            (several, _) => {
                Err(format!("`{path}` matches {} files of the tar, whose names are written differently", several.len()))
            }
        }
    }

    fn scan(
        &mut self,
        app: &App,
        path: &Path,
        listener: &mut Listener<'_>,
        mut each: impl FnMut(&mut Self, &mut Tar<Box<dyn io::BufRead + Send>>, Entry, &mut Listener<'_>),
    ) -> anyhow::Result<()> {
        let opened = lines::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let (reader, progress) = opened;
        let mut tar = Tar::new(reader);
        loop {
            if stop::check(app, "stop-in-tar").is_err() {
                self.is_stopped = true;
                return Ok(());
            }
            match tar.next() {
                Ok(Some(entry)) => each(self, &mut tar, entry, listener),
                Ok(None) => return Ok(()),
                Err(e) if tar.count == 0 => {
                    return Err(e)
                        .with_context(|| format!("{} is not a tar that can be read to its end", path.display()));
                }
                // Everything read so far is valid.
                Err(e) => {
                    self.broken = Some(e.to_string());
                    return Ok(());
                }
            }
            listener(Event::Progress { done: progress.done(), total: progress.total });
        }
    }

    fn add(
        &mut self,
        app: &App,
        name: Vec<u8>,
        reading: String,
        tar: &mut Tar<Box<dyn io::BufRead + Send>>,
        entry: Entry,
        dry_run: bool,
    ) {
        // As in a folder, a later entry replaces an earlier one.
        self.pending.remove(&name);
        let content = match entry.kind {
            Kind::HardLink(target) if entry.problem.is_none() => {
                let target = names::plain(&target);
                let content = self.files.get(&target).cloned();
                if content.is_none() {
                    self.pending.insert(name.clone(), target.clone());
                }
                self.remember(name.clone(), target);
                content.unwrap_or_else(|| Err(format!("`{reading}` is a link to a file that the tar does not have")))
            }
            _ => read_entry(app, tar, entry, &reading, dry_run),
        };
        let names = self.readings.entry(reading).or_default();
        if !names.contains(&name) {
            names.push(name.clone());
        }
        self.files.insert(name, content);
    }

    fn remember(&mut self, name: Vec<u8>, target: Vec<u8>) {
        if self.links.len() < LINKS_MAX {
            self.links.insert(name, target);
        }
    }

    /// Reads the tar again for files that the manifest only has as hard links. As with `tar -x`, a link has the content of its
    /// target at that point of the tar.
    fn follow(&mut self, app: &App, path: &Path, dry_run: bool, listener: &mut Listener<'_>) -> anyhow::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() || self.is_stopped {
            return Ok(());
        }
        let mut needed: HashSet<Vec<u8>> = HashSet::new();
        for target in pending.values() {
            let mut next = Some(target);
            for target in
                std::iter::from_fn(|| next.inspect(|target| next = self.links.get(*target))).take(LINK_DEPTH_MAX)
            {
                needed.insert(target.clone());
            }
        }
        let mut contents: HashMap<Vec<u8>, Result<Content, String>> = HashMap::new();
        self.scan(app, path, listener, |files, tar, entry, _| {
            let name = names::plain(&entry.name);
            let is_pending = pending.contains_key(&name);
            if !needed.contains(&name) && !is_pending {
                return;
            }
            let content = match &entry.kind {
                Kind::HardLink(target) => contents.get(&names::plain(target)).cloned(),
                _ if needed.contains(&name) => Some(read_entry(app, tar, entry, &names::normalized(&name), dry_run)),
                _ => None,
            };
            let Some(content) = content else { return };
            if is_pending {
                files.files.insert(name.clone(), content.clone());
            }
            contents.insert(name, content);
        })
    }
}

fn read_entry(
    app: &App,
    tar: &mut Tar<Box<dyn io::BufRead + Send>>,
    entry: Entry,
    reading: &str,
    dry_run: bool,
) -> Result<Content, String> {
    if let Some(problem) = entry.problem {
        return Err(format!("`{reading}` cannot be read from the tar: {problem}"));
    }
    let max = app.settings.fetch.max_bytes;
    match entry.kind {
        Kind::File if entry.size > max => Err(format!("the file is larger than {max} bytes (fetch.max_bytes)")),
        Kind::File => take(app, reading, tar, dry_run),
        Kind::Folder => Err(format!("`{reading}` is not a file in the tar: it is a folder")),
        Kind::SymbolicLink => {
            Err(format!("`{reading}` is not a file in the tar: it is a symbolic link; name its target"))
        }
        Kind::HardLink(_) | Kind::Other => Err(format!("`{reading}` is not a file in the tar")),
    }
}
