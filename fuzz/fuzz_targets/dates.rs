//! Dates in all forms: formatting and parsing a period gives the same period.
#![no_main]
use acervo::domain::{LocalDateTime, Period};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(at) = LocalDateTime::parse(text) {
        assert_eq!(LocalDateTime::parse(&at.to_string()).map(|again| again.to_string()), Some(at.to_string()));
    }
    if let Some(period) = Period::of_reference_date(text) {
        assert!(period.start <= period.end);
        assert_eq!(Period::of_reference_date(&period.reference_date()), Some(period));
    }
    let _ = acervo::domain::parse_local_date(text);
});
