//! The binary: hands over to the command line.
use std::process::ExitCode;

/// The system allocator retains memory per thread, so the buffers of a large file would stay in memory several times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    acervo::cli::main()
}
