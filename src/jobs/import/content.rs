//! Reads a file's bytes into the store.
use std::io::Read;
use std::sync::Arc;

use sha2::Digest as _;

use crate::app::App;
use crate::domain::{Digest, Ends, FileInfo, extension_of, judge};
use crate::engine::store::PutResult;
use crate::jobs::archive::warning;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file's content: in the store, unless it is a dry run.
#[derive(Clone)]
pub(super) struct Content {
    pub digest: Digest,
    /// `None` in a dry run.
    pub stored: Option<Arc<PutResult>>,
    /// The first bytes, which identify a zip.
    pub head: Vec<u8>,
    /// What is unusual about it. It is imported all the same, because it is the file that the company has.
    pub warning: Option<String>,
}

const HEAD: usize = 8;

/// Reads a file into the store, or only computes its digest. Blocks.
pub(super) fn take(app: &App, name: &str, reader: &mut dyn Read, dry_run: bool) -> Result<Content, String> {
    let runtime = tokio::runtime::Handle::current();
    let mut put = app.store.put();
    let mut hasher = sha2::Sha256::new();
    let mut ends = Ends::default();
    let mut piece = vec![0; PIECE];
    let mut size = 0u64;
    loop {
        let n = reader.read(&mut piece).map_err(|e| format!("it cannot be read: {e}"))?;
        if n == 0 {
            break;
        }
        let bytes = &piece[..n];
        size += n as u64;
        if size > app.settings.fetch.max_bytes {
            return Err(format!("the file is larger than {} bytes (fetch.max_bytes)", app.settings.fetch.max_bytes));
        }
        ends.take(bytes);
        if dry_run {
            hasher.update(bytes);
        } else {
            runtime.block_on(put.write(bytes)).map_err(|e| e.to_string())?;
        }
    }
    if size == 0 {
        return Err("the file is empty".to_owned());
    }
    let (extension, media_type) = (extension_of(name), mime_guess::from_path(name).first_raw());
    let sent = FileInfo { extension: extension.as_deref(), content_type: media_type, is_usual: false };
    let warning = warning(judge(&sent, &ends));
    let head = ends.head()[..ends.head().len().min(HEAD)].to_vec();
    if dry_run {
        return Ok(Content { digest: Digest(hasher.finalize().into()), stored: None, head, warning });
    }
    app.disk.require_space(0).map_err(|e| e.to_string())?;
    let stored = runtime.block_on(put.finish()).map_err(|e| e.to_string())?;
    Ok(Content { digest: stored.file.digest, stored: Some(Arc::new(stored)), head, warning })
}
