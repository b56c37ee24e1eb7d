//! The binary: reads the command line and hands over.
use std::process::ExitCode;

/// The system's keeps what each of many threads once needed: a large file would stay in memory several times over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    acervo::cli::main()
}
