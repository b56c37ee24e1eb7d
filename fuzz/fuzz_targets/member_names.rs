//! Members' names: every member has a path of its own that no client or server resolves to another.
#![no_main]
use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A byte for the flag, a byte for the length, then so many bytes of the name.
    let (mut rest, mut paths, mut seen) = (data, acervo::store::Paths::default(), HashSet::new());
    let mut index = 0;
    while let [flag, length, after @ ..] = rest {
        let (name, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        index += 1;
        let Some(path) = acervo::store::member_path(name, flag & 1 == 1, index) else { continue };
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        assert!(!path.chars().any(|c| c.is_control() || c == '\\'), "{path:?}");
        // A path that was listed is listed as it is, were it packed under that name.
        assert_eq!(acervo::store::member_path(path.as_bytes(), true, index).as_deref(), Some(path.as_str()));
        let unique = paths.unique(path);
        assert!(seen.insert(unique.clone()), "{unique:?} twice");
    }
});
