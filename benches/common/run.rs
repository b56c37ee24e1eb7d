//! The entry point of the benchmarks.

/// Runs a benchmark. Under `cargo test` it only has to build.
pub fn run(work: impl Future<Output = ()>) {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(work);
}
