//! Decodes the header of an entry.
use std::io;

use ::tar::{EntryType, Header};

use super::Kind;

pub(super) fn kind_of(header: &Header, name: &[u8], link: Option<Vec<u8>>) -> Kind {
    match header.entry_type() {
        // Before POSIX a folder was a file whose name ends in a slash.
        EntryType::Regular if name.ends_with(b"/") => Kind::Folder,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Link => Kind::HardLink(link.unwrap_or_default()),
        EntryType::Symlink => Kind::SymbolicLink,
        _ => Kind::Other,
    }
}

/// Whether the header's checksum is valid. Some old programs summed signed bytes.
pub(super) fn is_sound(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let counted = bytes[..148].iter().chain(&bytes[156..]);
    let unsigned = counted.clone().map(|byte| i64::from(*byte)).sum::<i64>() + 8 * 32;
    let signed = counted.map(|byte| i64::from(byte.cast_signed())).sum::<i64>() + 8 * 32;
    header.cksum().is_ok_and(|said| [unsigned, signed].contains(&i64::from(said)))
}

/// The size in a header. A field of NULs is 0, as in GNU tar, which writes it for a volume label.
pub(super) fn size_of(header: &Header) -> io::Result<u64> {
    if header.as_old().size.iter().all(|byte| *byte == 0) { Ok(0) } else { header.entry_size() }
}
