//! Text files in the encodings that spreadsheets and shells write: UTF-16 becomes UTF-8, and a byte order mark is removed.
use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

const PIECE: usize = 64 << 10;

/// The file's text. Anything but UTF-16 is not changed, because each line or cell may have its own encoding.
pub(super) fn text(mut reader: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let encoding = match head.as_slice() {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        // Without a mark: manifests and bodies begin with two ASCII characters.
        [1..=127, 0, 1..=127, 0] => Some(UTF_16LE),
        [0, 1..=127, 0, 1..=127] => Some(UTF_16BE),
        _ => None,
    };
    let skipped = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let whole = io::Cursor::new(head.split_off(skipped)).chain(reader);
    Ok(match encoding {
        Some(encoding) => Box::new(BufReader::with_capacity(PIECE, Utf16::new(whole, encoding))),
        None => Box::new(whole),
    })
}

/// UTF-16, read as UTF-8.
struct Utf16<R> {
    reader: R,
    decoder: Decoder,
    decoded: String,
    returned: usize,
    is_over: bool,
}

impl<R: Read> Utf16<R> {
    fn new(reader: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { reader, decoder, decoded: String::with_capacity(4 * PIECE), returned: 0, is_over: false }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.returned == self.decoded.len() && !self.is_over {
            let mut piece = [0; 8 << 10];
            let read = self.reader.read(&mut piece)?;
            self.is_over = read == 0;
            self.decoded.clear();
            self.returned = 0;
            // The buffer is several times as large as a decoded piece.
            let _ = self.decoder.decode_to_string(&piece[..read], &mut self.decoded, self.is_over);
        }
        let some = &self.decoded.as_bytes()[self.returned..];
        let length = some.len().min(buffer.len());
        buffer[..length].copy_from_slice(&some[..length]);
        self.returned += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    #[test]
    fn utf_16_is_read_as_utf_8() {
        let text = "path;nome\r\nPrevisão 𝕏.zip;Previsão\r\n".repeat(3000);
        let wide = |with_mark: bool, swap: fn(u16) -> [u8; 2]| -> Vec<u8> {
            with_mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(swap).collect()
        };
        let cases = [
            wide(true, u16::to_le_bytes),
            wide(true, u16::to_be_bytes),
            wide(false, u16::to_le_bytes),
            wide(false, u16::to_be_bytes),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            text.clone().into_bytes(),
        ];
        for bytes in cases {
            let mut read = String::new();
            let reader =
                super::text(std::io::Cursor::new(bytes)).and_then(|mut reader| reader.read_to_string(&mut read));
            assert!(reader.is_ok() && read == text);
        }
        let mut short = Vec::new();
        assert!(super::text(&b"a"[..]).and_then(|mut reader| reader.read_to_end(&mut short)).is_ok());
        assert_eq!(short, b"a");
    }
}
