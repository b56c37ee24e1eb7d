//! A manifest: every row has a path that stays below, and rows are in the order of time.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55);
    let Some((rows, _)) = acervo::jobs::import::parse_manifest(data, now) else { return };
    for row in &rows {
        assert!(!row.path.is_empty() && !row.path.starts_with('/') && !row.path.split('/').any(|part| part == ".."));
    }
    assert!(rows.is_sorted_by_key(|row| row.received_at.unwrap_or(jiff::Timestamp::MAX)));
});
