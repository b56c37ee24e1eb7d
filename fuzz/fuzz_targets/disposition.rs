//! Content-Disposition in every form: the file name has no path and no terminal control characters, is valid on every system,
//! and is bounded by the length of the header.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Some(decoded) = acervo::leaves::fetch::percent_decoded(&text) {
        assert!(decoded.len() <= 3 * data.len());
    }
    let Some(name) = acervo::leaves::fetch::from_disposition(data) else { return };
    // A byte becomes at most one character of three bytes.
    assert!(name.len() <= 3 * data.len(), "{} bytes from {}", name.len(), data.len());
    let Some(shown) = acervo::domain::file_name(&name) else { return };
    assert!(!shown.contains(['/', '\\', '\0', '\n', '\r', '\u{1b}', '<', '>', ':', '"', '|', '?', '*']), "{shown:?}");
    assert!(!shown.chars().any(acervo::domain::is_deceptive), "{shown:?}");
    assert!(shown.chars().count() <= 200 && shown.len() <= 240);
    assert!(!shown.starts_with(['.', ' ']) && !shown.ends_with(['.', ' ']), "{shown:?}");
    assert_eq!(acervo::domain::file_name(&shown).as_deref(), Some(shown.as_str()));
});
