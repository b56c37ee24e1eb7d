//! Manifests: every row has a path inside the root and a bounded body, rows are in chronological order, every refusal names an
//! existing line, and no line is used twice.
#![no_main]
use std::path::Path;

use acervo::jobs::import::{Manifest, Parsed, Root};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55);
    for root in [Root::Tar, Root::Folder(Path::new("/srv"))] {
        let mut refused = 0;
        let lines = data.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() as u64 + 1;
        let reader = std::io::Cursor::new(data.to_vec());
        let mut refuse = |line, reason: String| {
            refused += 1;
            assert!((1..=lines).contains(&line) && !reason.is_empty(), "{line} of {lines}");
            assert!(reason.len() < 2000, "{reason}");
        };
        let parsed = Manifest::parse(reader, root, &std::env::temp_dir(), now, &mut refuse).expect("bytes in memory");
        let Parsed::Rows(manifest) = parsed else { return };
        let count = manifest.len();
        let mut last = jiff::Timestamp::MIN;
        let mut seen = std::collections::HashSet::new();
        for row in manifest.rows(root) {
            let row = row.expect("a row that was read before");
            assert!(!row.path.is_empty() && !row.path.starts_with('/') && !row.path.split('/').any(|part| part == ".."));
            assert!(row.notification.notice.body.len() <= 2 * (256 << 10));
            assert!(seen.insert(row.line) && row.line <= lines);
            let at = row.received_at.unwrap_or(jiff::Timestamp::MAX);
            assert!(last <= at);
            last = at;
        }
        assert!(seen.len() == count && count as u64 + refused <= lines);
    }
});
