//! Stored bytes of the dense encodings, and how fast they are made and read.
//!
//! `ACERVO_TEST_CORPUS` names a folder with one folder for each series. The files of a series are its revisions, in the order of
//! their names; other files are ignored. Each revision is encoded with the best of the three before it as its base, and each is
//! decoded again and compared. `LEVEL` sets the level of zstd.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
#[path = "common/run.rs"]
mod run;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use acervo::domain::Digest;
use acervo::leaves::dense::{Base, Bases, Content, DenseError, Limits, Object, Work, decode, encode};

const BASES: usize = 3;

fn main() {
    run::run(async { work() });
}

/// Stored bytes of a series.
#[derive(Default)]
struct Sizes {
    published: u64,
    zstd_19: u64,
    zstd_3: u64,
    dense: u64,
    restic: Option<u64>,
    borg: Option<u64>,
}

/// Reading files whose chains have one length.
#[derive(Default)]
struct Reads {
    bytes: u64,
    total: Duration,
    first_bytes: Vec<Duration>,
}

struct Objects(HashMap<Digest, Vec<u8>>);

impl Bases for Objects {
    fn object(&self, digest: Digest) -> Result<Object, DenseError> {
        Ok(Object::Encoded(self.0.get(&digest).expect("an object").clone()))
    }
}

fn work() {
    let Some(root) = std::env::var_os("ACERVO_TEST_CORPUS").map(PathBuf::from) else {
        println!("ACERVO_TEST_CORPUS names no folder with series of files");
        return;
    };
    let stop = AtomicBool::new(false);
    let mut limits = Limits::default();
    if let Ok(level) = std::env::var("LEVEL") {
        limits.effort.level = level.parse().expect("a level");
    }
    let work = Work { limits, stop: &stop };
    let (mut all, mut reads, mut encoding) = (Sizes::default(), HashMap::<u8, Reads>::new(), Duration::ZERO);
    println!("stored bytes / zstd -19 of each file (level {})", limits.effort.level);
    println!(
        "{:28} {:>5} {:>12} {:>8} {:>8} {:>8} {:>8}",
        "series", "files", "zstd -19", "dense", "zstd -3", "restic", "borg"
    );
    let mut tools = (true, true);
    for series in folders(&root) {
        let files = files(&series);
        let mut sizes = Sizes::default();
        dense(&files, &work, &mut sizes, &mut reads, &mut encoding);
        sizes.restic = restic(&series);
        sizes.borg = borg(&series);
        let name = series.file_name().expect("a name").to_string_lossy();
        sizes.print(&name, files.len());
        all.published += sizes.published;
        all.zstd_19 += sizes.zstd_19;
        all.zstd_3 += sizes.zstd_3;
        all.dense += sizes.dense;
        tools = (tools.0 && sizes.restic.is_some(), tools.1 && sizes.borg.is_some());
        all.restic = tools.0.then(|| all.restic.unwrap_or(0) + sizes.restic.unwrap_or(0));
        all.borg = tools.1.then(|| all.borg.unwrap_or(0) + sizes.borg.unwrap_or(0));
    }
    all.print("all", 0);
    println!(
        "encoding, with bases expanded and results verified: {:.2} MB/s",
        megabytes(all.published) / encoding.as_secs_f64()
    );
    for depth in [0, 1, 4, 8] {
        let Some(reads) = reads.get_mut(&depth) else { continue };
        reads.first_bytes.sort();
        println!(
            "decoding at depth {depth}: first byte {:.0} ms (median of {}), {:.1} MB/s",
            reads.first_bytes[reads.first_bytes.len() / 2].as_secs_f64() * 1e3,
            reads.first_bytes.len(),
            megabytes(reads.bytes) / reads.total.as_secs_f64(),
        );
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory of the process: {peak}");
    }
}

fn dense(files: &[PathBuf], work: &Work, sizes: &mut Sizes, reads: &mut HashMap<u8, Reads>, encoding: &mut Duration) {
    let mut objects = Objects(HashMap::new());
    let mut bases: Vec<Base> = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).expect("a file");
        let compressed = |level| zstd::bulk::compress(&bytes, level).expect("a frame").len() as u64;
        sizes.published += bytes.len() as u64;
        sizes.zstd_19 += compressed(19);
        sizes.zstd_3 += compressed(3);
        let begun = Instant::now();
        let content = Arc::new(Content::of(bytes.clone()));
        let encoded = encode(&content, &bases, work).expect("an object");
        *encoding += begun.elapsed();
        sizes.dense += encoded.bytes.len() as u64;
        let depth = encoded.header.base.map_or(0, |base| base.depth);
        if std::env::var_os("VERBOSE").is_some() {
            println!("  {} {} {:?} depth {depth}", file.display(), encoded.bytes.len(), encoded.header.kind);
        }
        bases.insert(0, Base { content, depth, is_expanded: encoded.header.kind.is_expanded() });
        bases.truncate(BASES);

        let mut out = Timed { bytes: Vec::with_capacity(bytes.len()), begun: Instant::now(), first: None };
        decode(Digest::of(&bytes), &encoded.bytes, &objects, work, &mut out).expect("the file");
        let took = out.begun.elapsed();
        assert!(out.bytes == bytes, "{} does not read back", file.display());
        let reads = reads.entry(depth).or_default();
        reads.bytes += bytes.len() as u64;
        reads.total += took;
        reads.first_bytes.push(out.first.unwrap_or(took));
        objects.0.insert(Digest::of(&bytes), encoded.bytes);
    }
}

struct Timed {
    bytes: Vec<u8>,
    begun: Instant,
    first: Option<Duration>,
}

impl std::io::Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.first.get_or_insert_with(|| self.begun.elapsed());
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sizes {
    fn print(&self, name: &str, files: usize) {
        let ratio =
            |bytes: Option<u64>| bytes.map_or("-".to_owned(), |b| format!("{:.3}", b as f64 / self.zstd_19 as f64));
        println!(
            "{name:28} {files:>5} {:>12} {:>8} {:>8} {:>8} {:>8}",
            self.zstd_19,
            ratio(Some(self.dense)),
            ratio(Some(self.zstd_3)),
            ratio(self.restic),
            ratio(self.borg),
        );
    }
}

/// A repository of restic with one snapshot of the series; `None` if it is not installed.
fn restic(series: &Path) -> Option<u64> {
    let repository = tempfile::tempdir().expect("a folder");
    let restic = |arguments: &[&str]| {
        let mut command = Command::new("restic");
        command.env("RESTIC_PASSWORD", "bench").arg("-r").arg(repository.path()).args(arguments).current_dir(series);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let is_done = restic(&["init"]) && restic(&["backup", "--compression", "max", "--no-cache", "."]);
    is_done.then(|| size_of(repository.path()))
}

/// A repository of borg with one archive of the series.
fn borg(series: &Path) -> Option<u64> {
    let repository = tempfile::tempdir().expect("a folder");
    let path = repository.path().join("borg");
    let borg = |arguments: &[&str]| {
        let mut command = Command::new("borg");
        command.env("BORG_REPO", &path).env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes").args(arguments);
        command.current_dir(series).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let is_done = borg(&["init", "-e", "none"]) && borg(&["create", "-C", "zstd,19", "::series", "."]);
    is_done.then(|| size_of(&path))
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let size = |entry: std::fs::DirEntry| match entry.metadata().expect("metadata") {
        found if found.is_dir() => size_of(&entry.path()),
        found => found.len(),
    };
    entries.map(size).sum()
}

fn folders(root: &Path) -> Vec<PathBuf> {
    sorted(root, Path::is_dir)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    sorted(folder, Path::is_file)
}

fn sorted(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|p| is_wanted(p)).collect();
    paths.sort();
    paths
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
