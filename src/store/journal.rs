//! Which files were stored and are not known to be recorded.
//!
//! A file is stored before it is recorded, so a failure between the two leaves bytes that no row refers to. Each process notes a
//! file here before its object becomes visible, and deletes the note once it is recorded. What remains is offered to the sweep:
//! files that this process abandoned, and all files of processes that ended. The record decides what is deleted; the journal
//! only says what to check.
//!
//! Each process has a file of its own for its notes, in `unrecorded/` of the scratch folder, and keeps it locked. The scratch
//! folder is on this machine, whatever the store is. Notes are not synced: after a power cut a few may be missing, and their
//! files stay stored without a use.
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::notes::{self, Notes, files_in, read_left};
use crate::domain::{Digest, StoredFile};

/// Notes are rewritten when they have this size, and at least this many bytes for each file that is not struck out. The second bound
/// keeps a process with many unrecorded files, as an import of a tar, from rewriting them again and again.
const REWRITE_BYTES: u64 = 1 << 20;
const REWRITE_BYTES_PER_FILE: u64 = 400;

#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    notes: Option<Notes>,
    files: HashMap<Digest, Entry>,
}

#[derive(Debug)]
struct Entry {
    file: StoredFile,
    /// How many puts of it may still become recorded.
    live: usize,
    /// When the last put of it ended without being recorded.
    abandoned_at: Option<Instant>,
}

/// Which notes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    ByAll,
    /// Not those of processes that ended.
    ByRunning,
}

/// A file that was stored and may still become recorded. Dropped before [`UnrecordedFile::recorded`], it counts as abandoned.
#[derive(Debug)]
pub struct UnrecordedFile {
    journal: Arc<Journal>,
    digest: Digest,
    is_recorded: AtomicBool,
}

/// Files that were stored and never recorded, for [`super::Archive::forget`] once they were processed.
#[derive(Debug, Default)]
pub struct AbandonedFiles {
    pub files: Vec<StoredFile>,
    /// Those of this process, with the time since when each is abandoned.
    own: Vec<(Digest, Instant)>,
    /// The notes of processes that ended, locked until they were processed.
    left: Vec<(PathBuf, File)>,
}

impl AbandonedFiles {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.left.is_empty()
    }
}

impl Journal {
    pub fn open(scratch: &Path) -> io::Result<Self> {
        let folder = scratch.join("unrecorded");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a file whose object is about to become visible.
    pub fn note(self: &Arc<Self>, file: StoredFile) -> io::Result<UnrecordedFile> {
        let mut state = self.state();
        state.write(&self.folder, &notes::noted(&file))?;
        let entry = state.files.entry(file.digest).or_insert(Entry { file, live: 0, abandoned_at: None });
        entry.live += 1;
        Ok(UnrecordedFile { journal: self.clone(), digest: file.digest, is_recorded: AtomicBool::new(false) })
    }

    /// A put is over.
    fn end(&self, digest: Digest, is_recorded: bool) {
        let mut state = self.state();
        let Some(entry) = state.files.get_mut(&digest) else { return };
        entry.live = entry.live.saturating_sub(1);
        if !is_recorded {
            entry.abandoned_at = Some(Instant::now());
        }
        if entry.live == 0 && entry.abandoned_at.is_none() {
            state.strike_out(&self.folder, digest);
        }
    }

    /// Files that this process abandoned at least `min_age` ago, and all files of processes that ended.
    pub fn abandoned(&self, min_age: Duration) -> io::Result<AbandonedFiles> {
        let mut abandoned = AbandonedFiles::default();
        let (own_path, live): (_, Vec<Digest>) = {
            let state = self.state();
            for (digest, entry) in &state.files {
                if entry.live == 0
                    && let Some(at) = entry.abandoned_at.filter(|at| at.elapsed() >= min_age)
                {
                    abandoned.own.push((*digest, at));
                    abandoned.files.push(entry.file);
                }
            }
            let live = state.files.iter().filter(|(_, entry)| entry.live > 0).map(|(digest, _)| *digest).collect();
            (state.notes.as_ref().map(|notes| notes.path().to_owned()), live)
        };
        let entries = match std::fs::read_dir(&self.folder) {
            // The scratch folder was emptied.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(abandoned),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if own_path.as_ref() == Some(&path) || !notes::are_notes(&path) {
                continue;
            }
            if let Some((file, text)) = read_left(&path)? {
                // A file that this process is storing again has a note of its own.
                abandoned.files.extend(files_in(&text).into_iter().filter(|file| !live.contains(&file.digest)));
                abandoned.left.push((path, file));
            }
        }
        Ok(abandoned)
    }

    /// All files that this process or another one has noted and not struck out, also while that process has its notes locked.
    pub fn noted(&self) -> io::Result<HashSet<Digest>> {
        self.files_of(Noted::ByAll)
    }

    /// Those of them that a running process may still record.
    pub fn live(&self) -> io::Result<HashSet<Digest>> {
        self.files_of(Noted::ByRunning)
    }

    fn files_of(&self, which: Noted) -> io::Result<HashSet<Digest>> {
        // A process that rewrites its notes deletes the old ones, which may be the only ones that were listed.
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            if let Some(noted) = self.files_of_once(which)? {
                return Ok(noted);
            }
        }
        Err(io::Error::other("the notes of unrecorded files change faster than they can be read"))
    }

    fn files_of_once(&self, which: Noted) -> io::Result<Option<HashSet<Digest>>> {
        let (mut noted, own_path): (HashSet<Digest>, _) = {
            let state = self.state();
            let is_wanted = |entry: &Entry| which == Noted::ByAll || entry.live > 0;
            let own = state.files.iter().filter(|(_, entry)| is_wanted(entry)).map(|(digest, _)| *digest).collect();
            (own, state.notes.as_ref().map(|notes| notes.path().to_owned()))
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Some(noted)),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if !notes::are_notes(&path) || own_path.as_ref() == Some(&path) {
                continue;
            }
            if which == Noted::ByRunning && read_left(&path)?.is_some() {
                continue;
            }
            match std::fs::read(&path) {
                Ok(bytes) => {
                    let files = files_in(&String::from_utf8_lossy(&bytes));
                    noted.extend(files.into_iter().map(|file| file.digest));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(Some(noted))
    }

    /// Strikes out what was processed.
    pub fn forget(&self, abandoned: AbandonedFiles) -> io::Result<()> {
        {
            let mut state = self.state();
            for (digest, at) in abandoned.own {
                // One that was stored and abandoned again in the meantime stays.
                let Some(entry) = state.files.get_mut(&digest).filter(|entry| entry.abandoned_at == Some(at)) else {
                    continue;
                };
                entry.abandoned_at = None;
                if entry.live == 0 {
                    state.strike_out(&self.folder, digest);
                }
            }
        }
        abandoned.left.into_iter().try_for_each(|(path, _lock)| match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        })
    }
}

impl State {
    fn write(&mut self, folder: &Path, text: &str) -> io::Result<()> {
        if self.notes.is_none() {
            self.notes = Some(Notes::create(folder)?);
        }
        if let Some(notes) = &mut self.notes {
            notes.append(text)?;
        }
        Ok(())
    }

    /// If that fails, the note stays, and the sweep finds that the file is in use.
    fn strike_out(&mut self, folder: &Path, digest: Digest) {
        self.files.remove(&digest);
        let rewrite_at = REWRITE_BYTES.max(self.files.len() as u64 * REWRITE_BYTES_PER_FILE);
        let struck = match &mut self.notes {
            Some(notes) if self.files.is_empty() => notes.clear(),
            Some(notes) if notes.written() < rewrite_at => self.write(folder, &notes::struck_out(digest)),
            Some(_) => self.rewrite(folder),
            None => Ok(()),
        };
        if let Err(e) = struck {
            tracing::debug!(error = %e, %digest, "a note of an unrecorded file could not be struck out");
        }
    }

    fn rewrite(&mut self, folder: &Path) -> io::Result<()> {
        let mut notes = Notes::create(folder)?;
        let text: String = self.files.values().map(|entry| notes::noted(&entry.file)).collect();
        notes.append(&text)?;
        let before = self.notes.replace(notes);
        before.map_or(Ok(()), |before| std::fs::remove_file(before.path()))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(notes) = state.notes.as_ref().filter(|_| state.files.is_empty())
            && let Err(e) = std::fs::remove_file(notes.path())
        {
            tracing::debug!(error = %e, "an empty file of notes could not be removed");
        }
    }
}

impl UnrecordedFile {
    /// The file is recorded, in a committed transaction.
    pub fn recorded(&self) {
        self.is_recorded.store(true, Ordering::Relaxed);
    }
}

impl Drop for UnrecordedFile {
    fn drop(&mut self) {
        self.journal.end(self.digest, self.is_recorded.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Encoding;

    fn file(n: u8) -> StoredFile {
        let digest = Digest([n; 32]);
        StoredFile { digest, encoding: Encoding::Zstd, base: None, size: 9, stored_size: 3 }
    }

    fn digests(abandoned: &AbandonedFiles) -> Vec<u8> {
        let mut all: Vec<u8> = abandoned.files.iter().map(|file| file.digest.0[0]).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn what_was_not_recorded_is_found_by_this_process_and_the_next() {
        let scratch = tempfile::tempdir().expect("a folder");
        let journal = Arc::new(Journal::open(scratch.path()).expect("a journal"));
        let other = Arc::new(Journal::open(scratch.path()).expect("a journal"));
        let notes: Vec<UnrecordedFile> = (1..=5).map(|n| journal.note(file(n)).expect("a note")).collect();
        let mut notes = notes.into_iter();
        notes.next().expect("a note").recorded();
        drop(notes.next());
        let again = journal.note(file(3)).expect("a note");
        notes.next().expect("a note").recorded();
        assert_eq!(digests(&journal.abandoned(Duration::ZERO).expect("a list")), [2]);
        assert!(journal.abandoned(Duration::from_secs(60)).expect("a list").files.is_empty());
        let noted: HashSet<Digest> =
            [2, 3].map(|n| file(n).digest).into_iter().chain([4, 5].map(|n| file(n).digest)).collect();
        assert_eq!(journal.noted().expect("a set"), noted);
        assert_eq!(other.noted().expect("a set"), noted, "another process sees the same");
        // The notes of a running process are not touched.
        assert!(other.abandoned(Duration::ZERO).expect("a list").files.is_empty());
        drop(again);
        let abandoned = journal.abandoned(Duration::ZERO).expect("a list");
        assert_eq!(digests(&abandoned), [2, 3]);
        let live = journal.note(file(3)).expect("a note");
        journal.forget(abandoned).expect("it to forget");
        assert!(journal.abandoned(Duration::ZERO).expect("a list").files.is_empty());
        live.recorded();
        drop(live);
        // The notes of a process that ended are not locked.
        let text = [notes::noted(&file(8)), notes::noted(&file(9)), notes::struck_out(file(9).digest)].concat();
        let left = scratch.path().join("unrecorded/ended.notes");
        std::fs::write(&left, text).expect("notes");
        let found = other.abandoned(Duration::ZERO).expect("a list");
        assert_eq!(digests(&found), [8]);
        assert!(journal.abandoned(Duration::ZERO).expect("a list").files.is_empty(), "two process the same notes");
        // Not forgotten, they are found again; what is being stored again here is not touched.
        drop(found);
        let is_noted = |files: HashSet<Digest>| files.contains(&file(8).digest);
        assert!(is_noted(journal.noted().expect("a set")) && !is_noted(journal.live().expect("a set")));
        let again = journal.note(file(8)).expect("a note");
        assert!(journal.abandoned(Duration::ZERO).expect("a list").files.is_empty());
        other.forget(other.abandoned(Duration::ZERO).expect("a list")).expect("it to forget");
        assert!(!left.exists());
        assert!(is_noted(journal.live().expect("a set")) && is_noted(other.live().expect("a set")));
        drop(again);
        assert!(!is_noted(journal.live().expect("a set")));
        assert_eq!(digests(&journal.abandoned(Duration::ZERO).expect("a list")), [8]);
    }

    #[test]
    fn notes_are_rewritten_and_cleared() {
        let scratch = tempfile::tempdir().expect("a folder");
        let journal = Arc::new(Journal::open(scratch.path()).expect("a journal"));
        let stays = journal.note(file(1)).expect("a note");
        for n in 0..20_000_u32 {
            let mut other = file(2);
            other.digest.0[..4].copy_from_slice(&n.to_le_bytes());
            journal.note(other).expect("a note").recorded();
        }
        let folder = scratch.path().join("unrecorded");
        let files = || std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let notes: Vec<PathBuf> = files().collect();
        assert_eq!(notes.len(), 1, "{notes:?}");
        let text = std::fs::read_to_string(&notes[0]).expect("notes");
        assert!(text.len() as u64 <= REWRITE_BYTES + 200, "{}", text.len());
        assert_eq!(files_in(&text), [file(1)]);
        stays.recorded();
        drop(stays);
        assert_eq!(std::fs::metadata(&notes[0]).expect("notes").len(), 0);
        drop(journal);
        assert_eq!(files().count(), 0);
    }
}
