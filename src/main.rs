//! The binary: runs the command line.
use std::process::ExitCode;

/// The system allocator retains memory per thread, so the buffers of a large file would stay in memory several times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Disables transparent huge pages for this process. If the system's `transparent_hugepage` is `always`, a few kilobytes in use
/// would take 2 MiB each, which doubles the idle memory.
#[cfg(target_os = "linux")]
fn disable_huge_pages() {
    // If the system refuses, the process works as well, and takes more memory.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn disable_huge_pages() {}

/// `mi_option_purge_delay` of mimalloc's `mi_option_e` (mimalloc.h, versions 2 and 3), which libmimalloc-sys has no name for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long freed memory is retained, in milliseconds. With the default of a second, each of many queries and exports takes new
/// memory while that of the others waits to be returned: under load the process takes twice as much. With none, each file pays for
/// new pages: it is found by a search a third later.
const PURGE_DELAY_MS: std::ffi::c_long = 10;

#[expect(unsafe_code, reason = "mimalloc has no other interface for its options but environment variables")]
fn return_freed_memory() {
    // SAFETY: the function is not thread-safe, and no other thread has been started.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) }
}

fn main() -> ExitCode {
    return_freed_memory();
    disable_huge_pages();
    acervo::cli::main()
}
