//! Content-Disposition in every form: the name that is shown has no path and nothing that moves a terminal.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(name) = acervo::fetch::from_disposition(data) else { return };
    let Some(shown) = acervo::domain::file_name(&name) else { return };
    assert!(!shown.contains(['/', '\\', '\0', '\n', '\r', '\u{1b}']), "{shown:?}");
    assert!(shown.chars().count() <= 200);
    assert_ne!(shown, "..");
});
