//! A line of an import: taken or refused with a reason, and its time is over; what is taken is no longer than the line.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55);
    match acervo::jobs::import::read_line(data, now) {
        Ok(Some(imported)) => {
            let notification = &imported.notification;
            assert!(notification.received_at <= now);
            // Latin-1 may take three bytes a character, and a short date of the database is written out.
            assert!(notification.notice.body.len() <= 12 * data.len() + 64, "{}", notification.notice.body.len());
        }
        Ok(None) => assert!(data.iter().all(|b| b.is_ascii_whitespace() || matches!(b, 0xef | 0xbb | 0xbf))),
        Err(reason) => assert!(!reason.is_empty() && reason.len() < 2000),
    }
});
