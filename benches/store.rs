//! Throughput of the store, in and out, compared with the `zstd` command on the same file. The store also hashes and syncs
//! what it writes, and verifies what it reads.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends if it cannot continue"
)]
#[path = "common/run.rs"]
mod run;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use acervo::domain::StoredFile;
use acervo::leaves::store::Archive;
use futures_util::StreamExt;

const ROUNDS: usize = 5;
const MADE_BYTES: usize = 256 << 20;

fn main() {
    run::run(work());
}

async fn work() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("deck.txt");
    std::fs::write(&file, made()).expect("a file");
    let has_zstd =
        Command::new("zstd").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !has_zstd {
        println!("the zstd command is not installed: only the store is measured");
    }
    let megabytes = MADE_BYTES as f64 / 1e6;
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        let store = Archive::open(&folder.path().join(format!("archive-{round}")), &folder.path().join("tmp"))
            .expect("a store");
        let (stored, put) = put(&store, &file).await;
        let get = get(&store, stored).await;
        let (packed, unpacked) = if has_zstd { command(folder.path(), &file) } else { (f64::NAN, f64::NAN) };
        rows.push([megabytes / put, megabytes / get, megabytes / packed, megabytes / unpacked]);
    }
    let median = |of: &dyn Fn(&[f64; 4]) -> f64| {
        let mut values: Vec<f64> = rows.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    println!(
        "the archive against the zstd command (level 3, one thread, synced), {megabytes:.0} MB, {ROUNDS} rounds, medians"
    );
    println!(
        "  in    {:>6.0} MB/s   zstd {:>6.0} MB/s   ratio {:.2}",
        median(&|r| r[0]),
        median(&|r| r[2]),
        median(&|r| r[0] / r[2])
    );
    println!(
        "  out   {:>6.0} MB/s   zstd {:>6.0} MB/s   ratio {:.2}",
        median(&|r| r[1]),
        median(&|r| r[3]),
        median(&|r| r[1] / r[3])
    );
}

async fn put(store: &Archive, file: &Path) -> (StoredFile, f64) {
    let began = Instant::now();
    let mut put = store.put();
    let mut pieces =
        tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::open(file).await.expect("a file"), 256 << 10);
    while let Some(piece) = pieces.next().await {
        put.write(&piece.expect("bytes")).await.expect("space");
    }
    let stored = put.finish().await.expect("a file");
    (stored.file, began.elapsed().as_secs_f64())
}

async fn get(store: &Archive, file: StoredFile) -> f64 {
    let began = Instant::now();
    let mut bytes = store.read(file, None).await.expect("the file");
    let mut length = 0;
    while let Some(piece) = bytes.next().await {
        length += piece.expect("bytes").len();
    }
    assert_eq!(length, MADE_BYTES);
    began.elapsed().as_secs_f64()
}

/// Seconds to compress and to decompress with the command.
fn command(folder: &Path, file: &Path) -> (f64, f64) {
    let packed: PathBuf = folder.join("deck.zst");
    let run = |line: String| {
        let began = Instant::now();
        assert!(Command::new("sh").args(["-c", &line]).status().expect("a shell").success());
        began.elapsed().as_secs_f64()
    };
    let pack = run(format!(
        "zstd -q -f -3 --single-thread {} -o {} && sync {}",
        file.display(),
        packed.display(),
        packed.display()
    ));
    let unpack = run(format!("zstd -q -d -c {} > /dev/null", packed.display()));
    (pack, unpack)
}

fn made() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut text = Vec::with_capacity(MADE_BYTES + 64);
    while text.len() < MADE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(
            format!("{:>4} USINA{:<12}{:>10}.{:02}\r\n", state % 999, "FURNAS", state >> 40, state % 97).as_bytes(),
        );
    }
    text.truncate(MADE_BYTES);
    text
}
