//! The parts of a workbook that have its cells, unpacked within a bound.
use std::io::{Cursor, Read, Write};

use zip::read::Config;
use zip::unstable::read::ZipIterable;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipReadOptions, ZipWriter};

/// Parts of one workbook.
const PARTS_MAX: usize = 5_000;

/// Where a declaration of another encoding would be.
const HEAD_BYTES: usize = 512;

/// A package with the same cells, not compressed; an error if its parts have more than `bytes_max` bytes.
pub(super) fn within(bytes: &[u8], bytes_max: u64) -> Result<Vec<u8>, String> {
    let broken = |e: &dyn std::fmt::Display| format!("it is not a workbook that can be read: {e}");
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut left = bytes_max;
    let mut source = Cursor::new(bytes);
    let mut zip = ZipIterable::try_new(Cursor::new(bytes), Config::default()).map_err(|e| broken(&e))?;
    for (index, entry) in zip.files().map_err(|e| broken(&e))?.enumerate() {
        let entry = entry.map_err(|e| broken(&e))?;
        if index >= PARTS_MAX {
            return Err(format!("it has more than {PARTS_MAX} parts"));
        }
        let name = String::from_utf8_lossy(entry.name_raw()).replace('\\', "/");
        if !has_cells(&name) {
            continue;
        }
        let mut part = Vec::new();
        let unpacked = entry.with_reader(&mut source, ZipReadOptions::new()).map_err(|e| broken(&e))?;
        unpacked.take(left + 1).read_to_end(&mut part).map_err(|e| broken(&e))?;
        left = left
            .checked_sub(part.len() as u64)
            .ok_or_else(|| format!("it unpacks to more than {} MiB, so its cells are not compared", bytes_max >> 20))?;
        without_promises(&name, &mut part)?;
        packed.start_file(name, options).map_err(|e| broken(&e))?;
        packed.write_all(&part).map_err(|e| broken(&e))?;
    }
    Ok(packed.finish().map_err(|e| broken(&e))?.into_inner())
}

/// Whether cells may depend on a part: those of drawings, charts and the like they do not.
fn has_cells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let others = [
        "drawings/",
        "charts/",
        "chartsheets/",
        "media/",
        "pivottables/",
        "pivotcache/",
        "externallinks/",
        "customxml/",
        "docprops/",
    ];
    (name.ends_with(".xml") || name.ends_with(".rels")) && !others.iter().any(|other| name.contains(other))
}

/// Removes the number of strings that a table of strings announces: memory would be reserved for it. An error if the part is in an
/// encoding in which that number could not be seen.
fn without_promises(name: &str, part: &mut [u8]) -> Result<(), String> {
    let head = &part[..part.len().min(HEAD_BYTES)];
    if head.contains(&0) {
        return Err(format!("its part `{name}` is not in UTF-8"));
    }
    const PROMISE: &[u8] = b"uniqueCount";
    let found: Vec<usize> = memchr::memmem::find_iter(part, PROMISE).collect();
    for at in found {
        part[at..at + PROMISE.len()].copy_from_slice(b"announcedAs");
    }
    Ok(())
}
