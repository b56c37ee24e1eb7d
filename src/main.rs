//! The binary: hands over to the command line.
use std::process::ExitCode;

/// The system allocator retains memory per thread, so the buffers of a large file would stay in memory several times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the kernel give this process no huge pages, which it does automatically if `transparent_hugepage` is `always`: a few
/// kilobytes in use would hold 2 MiB each, and idle memory doubles.
#[cfg(target_os = "linux")]
fn disable_huge_pages() {
    // Where it is not allowed, the process takes more memory and works all the same.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn disable_huge_pages() {}

fn main() -> ExitCode {
    disable_huge_pages();
    acervo::cli::main()
}
