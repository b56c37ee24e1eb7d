//! Member names: every member has a unique path that clients and servers do not resolve to another one.
#![no_main]
use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Input format: a flag byte, a length byte, then the bytes of the name.
    let (mut rest, mut paths, mut seen) = (data, acervo::leaves::store::Paths::default(), HashSet::new());
    let mut index = 0;
    while let [flag, length, after @ ..] = rest {
        let (name, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        index += 1;
        let Some(path) = acervo::leaves::store::member_path(name, flag & 1 == 1, index) else { continue };
        assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        assert!(!path.chars().any(|c| c.is_control() || c == '\\'), "{path:?}");
        // A member of that name has the same path. After an address was redacted, what is left may read as another address.
        if acervo::domain::redacted(&path) == path {
            assert_eq!(acervo::leaves::store::member_path(path.as_bytes(), true, index).as_deref(), Some(path.as_str()));
        }
        let unique = paths.unique(path);
        assert!(seen.insert(unique.clone()), "{unique:?} twice");
    }
});
