//! A line of an import: taken or refused with a reason, and its time is over.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55);
    match acervo::jobs::import::read_line(data, now) {
        Ok(Some(imported)) => assert!(imported.notification.received_at <= now),
        Ok(None) => {}
        Err(reason) => assert!(!reason.is_empty()),
    }
});
