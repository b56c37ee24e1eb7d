//! Plain text, in any of the encodings of published files.
use super::Lines;
use crate::engine::compare;

/// Adds the lines with their numbers.
pub(super) fn read(bytes: &[u8], lines: &mut Lines) {
    let Some((text, _)) = compare::read_pair(bytes, b"") else { return };
    for (index, line) in text.lines().enumerate() {
        if !lines.push(index + 1, line.text) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Lines, read};

    fn lines(bytes: &[u8]) -> Lines {
        read(Kind::Text, bytes, 1 << 20).expect("lines")
    }

    #[test]
    fn encodings_are_recognized_and_columns_kept() {
        assert_eq!(lines(b"data;vaz\xe3o\n1;2\n").as_str(), "1\tdata;vazão\n");
        assert_eq!(lines(b"\xef\xbb\xbfdata;vaz\xc3\xa3o\r\n").as_str(), "1\tdata;vazão\n");
        assert_eq!(lines(b"gera\x87\xc6o\n").as_str(), "1\tgeração\n");
        assert_eq!(lines(b"1\n2\n  UH   1    A\n").as_str(), "3\t  UH   1    A\n");
    }

    #[test]
    fn kinds_are_known_by_their_first_bytes() {
        assert_eq!(Kind::of("dadger.rv0", b"UH  1"), Some(Kind::Text));
        assert_eq!(Kind::of("nota.dat", b"%PDF-1.7\n"), Some(Kind::Pdf));
        assert_eq!(Kind::of("a.XLSX", b"PK\x03\x04..."), Some(Kind::Workbook));
        assert_eq!(Kind::of("a.docx", b"PK\x03\x04\0\0"), None);
        assert_eq!(Kind::of("hidr.dat", b"\x01\0\0\0\0\0"), None);
        assert_eq!(Kind::of("empty.txt", b""), None);
    }
}
