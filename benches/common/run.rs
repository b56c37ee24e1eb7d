//! How benchmarks begin.

/// Runs a benchmark to its end; where tests are run, that it builds is enough.
pub fn run(work: impl Future<Output = ()>) {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(work);
}
