//! The file of notes of one process: a line for each file that is noted or struck out.
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::{Digest, StoredFile};

/// The notes of this process.
#[derive(Debug)]
pub(super) struct Notes {
    path: PathBuf,
    /// Locked, and opened for appending.
    file: File,
    /// Bytes of all lines.
    written: u64,
}

impl Notes {
    /// Creates the file of this process, in a folder that is created where it does not exist.
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let id = uuid::Uuid::now_v7();
        let path = folder.join(format!("{id}.notes"));
        // Locked before it has its final name: others treat an unlocked one as that of a process that ended.
        let unnamed = folder.join(format!("{id}.new"));
        let file = OpenOptions::new().append(true).create_new(true).open(&unnamed)?;
        file.lock()?;
        std::fs::rename(unnamed, &path)?;
        Ok(Self { path, file, written: 0 })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())?;
        self.written += lines.len() as u64;
        Ok(())
    }

    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.written = 0;
        Ok(())
    }
}

/// Whether a path is that of notes.
pub(super) fn are_notes(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "notes")
}

/// The line of a file that is noted.
pub(super) fn noted(file: &StoredFile) -> String {
    let base = file.base.map(|base| format!(" {base}")).unwrap_or_default();
    format!("+ {} {} {} {}{base}\n", file.digest, file.encoding.as_str(), file.size, file.stored_size)
}

/// The line of a file that is struck out.
pub(super) fn struck_out(digest: Digest) -> String {
    format!("- {digest}\n")
}

/// The notes of a process that ended, locked; `None` if it is running or another process has them locked.
pub(super) fn read_left(path: &Path) -> io::Result<Option<(File, String)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(e)) => return Err(e),
    }
    // The previous owner of the lock may have removed it.
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some((file, String::from_utf8_lossy(&bytes).into_owned()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The files that were noted and not struck out. A line that a crash cut short names no visible object.
pub(super) fn files_in(text: &str) -> Vec<StoredFile> {
    let mut files = HashMap::new();
    for line in text.lines() {
        match (line.strip_prefix("+ ").and_then(parse), line.strip_prefix("- ").map(str::parse::<Digest>)) {
            (Some(file), _) => _ = files.insert(file.digest, file),
            (None, Some(Ok(digest))) => _ = files.remove(&digest),
            (None, _) => tracing::debug!(line, "a note of an unrecorded file cannot be read"),
        }
    }
    files.into_values().collect()
}

fn parse(line: &str) -> Option<StoredFile> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    Some(StoredFile {
        digest: word()?.parse().ok()?,
        encoding: word()?.parse().ok()?,
        size: word()?.parse().ok()?,
        stored_size: word()?.parse().ok()?,
        base: match word() {
            Some(base) => Some(base.parse().ok()?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Encoding;

    fn file(n: u8) -> StoredFile {
        let digest = Digest([n; 32]);
        StoredFile { digest, encoding: Encoding::Zstd, base: None, size: 9, stored_size: 3 }
    }

    #[test]
    fn a_note_that_was_cut_short_is_left_out() {
        let whole = noted(&file(7));
        let text = format!("{whole}{}", &whole[..whole.len() / 2]);
        assert_eq!(files_in(&text), [file(7)]);
        let with_base = StoredFile { base: Some(file(8).digest), ..file(7) };
        assert_eq!(files_in(&noted(&with_base)), [with_base]);
        assert_eq!(files_in("+ x plain 1 1\n- y\n\nnonsense\n"), []);
    }
}
