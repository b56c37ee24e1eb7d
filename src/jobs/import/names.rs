//! Normalizes paths. A manifest and a folder or tar may write the same path differently: with `./` and `//`, with accents as
//! one or two characters, in UTF-8 or Latin-1.
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use unicode_normalization::UnicodeNormalization;

use crate::domain::{clean, decode};

/// A path's bytes without empty parts, `.`, and slashes at the ends. `tar -x` removes a leading slash too.
pub(super) fn plain(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

/// A path as text, the same whatever its encoding and however its accents are written.
pub(super) fn normalized(path: &[u8]) -> String {
    let text: String = decode(path).nfc().collect();
    let text = clean(&text).replace('\\', "/");
    String::from_utf8_lossy(&plain(text.as_bytes())).into_owned()
}

/// A folder in which paths are looked up normalized.
pub(super) struct Folder {
    root: PathBuf,
    /// The names in each folder that had to be listed, normalized.
    listed: Mutex<HashMap<PathBuf, Arc<Names>>>,
}

type Names = HashMap<String, Vec<OsString>>;

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, listed: Mutex::default() }
    }

    /// The file at a path; links are followed. The error says why there is none.
    pub(super) fn find(&self, path: &str) -> Result<PathBuf, String> {
        let cannot = |e: io::Error| format!("`{path}` cannot be read: {e}");
        let found = match self.root.join(path).canonicalize() {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.search(path)?.ok_or_else(|| cannot(e))?.canonicalize().map_err(cannot)?
            }
            Err(e) => return Err(cannot(e)),
        };
        // A link may point outside of the folder.
        if !found.starts_with(&self.root) || !found.is_file() {
            return Err(format!("`{path}` is not a file under the given folder"));
        }
        Ok(found)
    }

    /// The path whose parts are the same once normalized.
    fn search(&self, path: &str) -> Result<Option<PathBuf>, String> {
        let mut found = self.root.clone();
        for part in path.split('/') {
            if found.join(part).exists() {
                found.push(part);
                continue;
            }
            let names = self.names(&found).map_err(|e| format!("`{path}` cannot be read: {e}"))?;
            match names.get(&normalized(part.as_bytes())).map(Vec::as_slice) {
                None | Some([]) => return Ok(None),
                Some([only]) => found.push(only),
                Some(several) => {
                    return Err(format!(
                        "`{path}` matches {} files whose accents are written differently",
                        several.len()
                    ));
                }
            }
        }
        Ok(Some(found))
    }

    fn names(&self, folder: &Path) -> io::Result<Arc<Names>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = listed.get(folder) {
            return Ok(names.clone());
        }
        let names = Arc::new(list(folder)?);
        listed.insert(folder.to_owned(), names.clone());
        Ok(names)
    }
}

fn list(folder: &Path) -> io::Result<Names> {
    let mut names = Names::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.entry(normalized(OsStr::as_bytes(&name))).or_default().push(name);
    }
    Ok(names)
}
