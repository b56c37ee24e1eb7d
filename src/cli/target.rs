//! Where a command writes a file: standard output, a new file that appears only when it is complete, or a device or pipe.
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::NamedTempFile;

use super::language::say;
use super::output;

pub(super) enum Target {
    Stdout(io::Stdout),
    /// Written to a temporary file in the same folder and renamed.
    New {
        path: PathBuf,
        temporary: NamedTempFile,
        replaces: bool,
    },
    /// Not a regular file: it is written to, never replaced.
    Special {
        path: PathBuf,
        file: File,
    },
}

fn unwritable(path: &Path) -> String {
    say!("cli-target-unwritable", path = path.display().to_string())
}

impl Target {
    /// Checks that `path` can be written before any work is done. `-` is standard output.
    pub fn open(path: &Path, force: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") || path == Path::new("/dev/stdout") {
            return Ok(Self::Stdout(io::stdout()));
        }
        let name = path.display().to_string();
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!(say!("cli-target-folder", path = name)),
            Ok(found) if found.is_file() && !force => bail!(say!("cli-target-exists", path = name)),
            // The target of a link is replaced, not the link.
            Ok(found) if found.is_file() => Self::new_file(&path.canonicalize()?, true),
            Ok(found) => Self::special(path, &found),
            Err(e) if e.kind() == ErrorKind::NotFound && is_link => bail!(say!("cli-target-broken-link", path = name)),
            Err(e) if e.kind() == ErrorKind::NotFound => Self::new_file(path, false),
            Err(e) => Err(e).with_context(|| unwritable(path)),
        }
    }

    fn new_file(path: &Path, replaces: bool) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            bail!(say!("cli-target-not-a-file", path = path.display().to_string()));
        }
        if !folder.is_dir() {
            bail!(say!("cli-target-no-folder", path = folder.display().to_string()));
        }
        let mut builder = tempfile::Builder::new();
        // The umask applies as to every new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(folder).with_context(|| unwritable(path))?;
        Ok(Self::New { path: path.to_owned(), temporary, replaces })
    }

    fn special(path: &Path, found: &fs::Metadata) -> anyhow::Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if found.file_type().is_block_device() || found.file_type().is_socket() {
                bail!(say!("cli-target-special", path = path.display().to_string()));
            }
        }
        let file = OpenOptions::new().write(true).open(path).with_context(|| unwritable(path))?;
        Ok(Self::Special { path: path.to_owned(), file })
    }

    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout(out) => out.write_all(bytes).map_err(output::write_error),
            Self::New { path, temporary, .. } => temporary.write_all(bytes).with_context(|| unwritable(path)),
            Self::Special { path, file } => file.write_all(bytes).with_context(|| unwritable(path)),
        }
    }

    /// Completes the file; returns its path if one was written.
    pub fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        match self {
            Self::Stdout(mut out) => {
                out.flush().map_err(output::write_error)?;
                Ok(None)
            }
            Self::Special { .. } => Ok(None),
            Self::New { path, temporary, replaces } => {
                temporary.as_file().sync_all().with_context(|| unwritable(&path))?;
                let placed = if replaces { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
                match placed {
                    Ok(_) => Ok(Some(path)),
                    Err(e) if e.error.kind() == ErrorKind::AlreadyExists => {
                        bail!(say!("cli-target-exists", path = path.display().to_string()))
                    }
                    Err(e) => Err(e.error).with_context(|| unwritable(&path)),
                }
            }
        }
    }
}
