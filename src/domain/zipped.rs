//! Which files are zips with members.

/// The first bytes of a zip, and of an empty one.
const SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Whether bytes begin as a zip does.
pub fn is_zip(head: &[u8]) -> bool {
    SIGNATURES.iter().any(|signature| head.starts_with(signature))
}

/// Whether the members of a file are listed, by its extension and its first bytes. Workbooks and documents are zips as well, but their
/// parts are not useful as members.
pub fn has_members(extension: Option<&str>, head: &[u8]) -> bool {
    const OFFICE: [&str; 9] = ["xlsx", "xlsm", "xlsb", "docx", "docm", "pptx", "odt", "ods", "jar"];
    let is_office = extension.is_some_and(|extension| OFFICE.contains(&extension));
    !is_office && (extension == Some("zip") || is_zip(head))
}
