//! `SHA256SUMS`, as `sha256sum` writes and checks it.
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::Context;

use crate::domain::Digest;

pub(super) const SUMS: &str = "SHA256SUMS";

/// A line. A path with a backslash or a line end is escaped, which a backslash at the beginning of the line says.
fn line(digest: Digest, path: &str) -> String {
    if !path.contains(['\\', '\n', '\r']) {
        return format!("{digest}  {path}\n");
    }
    let escaped = path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    format!("\\{digest}  {escaped}\n")
}

fn parse(line: &str) -> Option<(Digest, String)> {
    let (line, is_escaped) = match line.strip_prefix('\\') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (digest, path) = line.split_once("  ")?;
    let digest = digest.parse().ok()?;
    if !is_escaped {
        return Some((digest, path.to_owned()));
    }
    let mut plain = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                other => other,
            },
            c => c,
        });
    }
    Some((digest, plain))
}

/// What an earlier export wrote. Paths are kept as hashes: there may be hundreds of thousands. Where two have the same, one of them is read
/// to see what it is.
#[derive(Default)]
pub(super) struct Known {
    hasher: RandomState,
    digests: HashMap<u64, Digest>,
}

impl Known {
    /// Empty if there is no such file.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mut known = Self::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(known),
            Err(e) => return Err(e).with_context(|| format!("{} cannot be read", path.display())),
        };
        for line in BufReader::new(file).lines() {
            let line = line.with_context(|| format!("{} cannot be read", path.display()))?;
            if let Some((digest, path)) = parse(&line) {
                known.digests.insert(known.hasher.hash_one(path.as_str()), digest);
            }
        }
        Ok(known)
    }

    pub fn get(&self, path: &str) -> Option<Digest> {
        self.digests.get(&self.hasher.hash_one(path)).copied()
    }
}

pub(super) struct Writer(BufWriter<File>);

impl Writer {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self(BufWriter::new(file)))
    }

    pub fn add(&mut self, digest: Digest, path: &str) -> anyhow::Result<()> {
        self.0.write_all(line(digest, path).as_bytes()).context("SHA256SUMS cannot be written")
    }

    /// On return the file survives a power cut.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.0.flush().and_then(|()| self.0.get_ref().sync_all()).context("SHA256SUMS cannot be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256sum_accepts_paths_with_odd_characters() {
        let folder = tempfile::tempdir().expect("a folder");
        let names =
            ["a.txt", "two  spaces ", "back\\slash", "line\nend", "\\n", "carriage\rreturn", "*star", "Previsão"];
        let mut sums = Writer::create(&folder.path().join(SUMS)).expect("a file");
        for name in names {
            std::fs::write(folder.path().join(name), name).expect("a file");
            sums.add(Digest::of(name.as_bytes()), name).expect("a line");
        }
        sums.finish().expect("a file");
        let mut check = std::process::Command::new("sha256sum");
        let checked = check.args(["--strict", "-c", SUMS]).current_dir(folder.path()).output().expect("sha256sum");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let known = Known::load(&folder.path().join(SUMS)).expect("a file");
        for name in names {
            assert_eq!(known.get(name), Some(Digest::of(name.as_bytes())), "{name:?}");
        }
    }
}
