//! A line of an import is accepted or refused with a reason. Its time is not in the future, and its size is bounded by the
//! length of the line.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 55);
    match acervo::jobs::import::read_line(data, now) {
        Ok(Some(imported)) => {
            let notification = &imported.notification;
            assert!(notification.received_at <= now);
            // A Latin-1 character may take three bytes, and short dates of mongoexport are expanded.
            assert!(notification.notice.body.len() <= 12 * data.len() + 64, "{}", notification.notice.body.len());
        }
        Ok(None) => assert!(data.iter().all(|b| b.is_ascii_whitespace() || matches!(b, 0xef | 0xbb | 0xbf))),
        Err(reason) => assert!(!reason.is_empty() && reason.len() < 2000),
    }
});
