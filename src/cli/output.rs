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

/// Flat objects as CSV (RFC 4180), with the first one's keys for columns.
pub(super) fn csv(rows: impl Iterator<Item = serde_json::Value>) -> String {
    let mut text = String::new();
    for (i, row) in rows.enumerate() {
        let Some(row) = row.as_object() else { continue };
        if i == 0 {
            text.push_str(&row.keys().cloned().collect::<Vec<_>>().join(","));
            text.push_str("\r\n");
        }
        text.push_str(&row.values().map(cell).collect::<Vec<_>>().join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) if text.contains([',', '"', '\r', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
