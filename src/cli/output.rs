//! What is printed to standard output.
use std::io::Write;

/// Prints a text and a line's end. A reader that went away, as `head` does, is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ =
        out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
}

/// Bytes for a person: `1.2 MiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}
