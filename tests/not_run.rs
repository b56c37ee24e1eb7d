//! Prints which tests were not run and what they need. It is not a test; cargo runs it last.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "its purpose is to print")]
use std::collections::BTreeMap;
use std::path::Path;

fn main() {
    if std::env::args().skip(1).any(|argument| ["--include-ignored", "--ignored", "--list"].contains(&&*argument)) {
        return;
    }
    let mut reasons = BTreeMap::new();
    count(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut reasons);
    for (reason, tests) in &reasons {
        println!("not run: {tests} tests; each {reason}");
    }
    println!("`cargo test -- --include-ignored` runs them too.");
}

/// Counts the ignored tests of a folder by the reason that they give.
fn count(folder: &Path, reasons: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(folder).expect("a folder of tests") {
        let path = entry.expect("an entry").path();
        if path.ends_with("harness") {
            continue;
        }
        if path.is_dir() {
            count(&path, reasons);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines().map(str::trim) {
            // Each use of the macro makes one test that needs PostgreSQL.
            let reason = match line.strip_prefix("#[ignore = \"") {
                Some(rest) => rest.trim_end_matches("\"]"),
                None if line.starts_with("on_each_database!(") => "needs PostgreSQL",
                None => continue,
            };
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
}
