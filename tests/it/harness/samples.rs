//! Products and files for the simulated portal.
use acervo::domain::Clock;
use acervo::portal::{Content, Periodicity, Product, Version};

/// The subscriber in every token, which must not appear anywhere.
pub const EMAIL: &str = "canario@example.com.br";

/// A product with one file.
pub fn product(number: u32, name: &str, file_name: &str, bytes: impl Into<bytes::Bytes>) -> Product {
    let day = jiff::civil::date(2025, 2, 20);
    let content = Content::Bytes(bytes.into());
    let version = Version {
        period: Periodicity::Daily.period_of(day),
        file_name: file_name.to_owned(),
        published_at: Clock::default().now(),
        content,
    };
    Product {
        number,
        name: name.to_owned(),
        process: "Operação em Tempo Real".to_owned(),
        macro_process: "Operação do Sistema".to_owned(),
        list_path: format!("/sites/7/39/Produtos/{number}"),
        periodicity: Periodicity::Daily,
        is_file: true,
        versions: vec![version],
        to_come: Vec::new(),
        delivery: None,
    }
}

/// Replaces the content of a product's last version.
pub fn replace(product: &mut Product, bytes: impl Into<bytes::Bytes>) {
    if let Some(version) = product.versions.last_mut() {
        version.content = Content::Bytes(bytes.into());
    }
}

/// Text that shrinks when it is compressed, without a period that would make every block alike.
pub fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| b"0123456789 VAZ.MED\r\n"[i % 20].wrapping_add((i / 977 % 11) as u8)).collect()
}

/// Bytes that do not shrink, always the same.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A zip with some members.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
        zip.write_all(bytes).expect("a member's bytes");
    }
    zip.finish().expect("a zip").into_inner()
}

/// A member as [`raw_zip`] writes it, unchanged.
pub struct RawMember<'a> {
    pub name: &'a [u8],
    /// 1: encrypted; 0x800: the name is UTF-8.
    pub flags: u16,
    pub method: u16,
    /// As compressed.
    pub data: &'a [u8],
    pub size: u32,
    pub crc: u32,
}

impl<'a> RawMember<'a> {
    /// Not compressed.
    pub fn stored(name: &'a [u8], data: &'a [u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        Self { name, flags: 0, method: 0, data, size: data.len() as u32, crc: crc.sum() }
    }
}

/// A zip whose names, flags and methods no library would write.
pub fn raw_zip(members: &[RawMember<'_>]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = zip.len() as u32;
        let mut common = Vec::new();
        common.extend(20u16.to_le_bytes());
        common.extend(member.flags.to_le_bytes());
        common.extend(member.method.to_le_bytes());
        common.extend([0, 0, 0x54, 0x5a]);
        common.extend(member.crc.to_le_bytes());
        common.extend((member.data.len() as u32).to_le_bytes());
        common.extend(member.size.to_le_bytes());
        common.extend((member.name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        zip.extend(b"PK\x03\x04");
        zip.extend(&common);
        zip.extend(member.name);
        zip.extend(member.data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(member.name);
    }
    let (at, count) = (zip.len() as u32, members.len() as u16);
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    zip.extend((directory.len() as u32).to_le_bytes());
    zip.extend(at.to_le_bytes());
    zip.extend([0, 0]);
    zip
}

/// A workbook of Excel before 2007 with one sheet: its texts, and the records of its cells.
pub fn old_workbook(texts: &[&str], cells: &[Vec<u8>]) -> Vec<u8> {
    use std::io::Write;
    let start = |kind: u16| old_record(0x0809, &[&[0, 6][..], &kind.to_le_bytes(), &[0; 12]].concat());
    let count = (texts.len() as u32).to_le_bytes();
    let text = |text: &&str| [&(text.len() as u16).to_le_bytes()[..], &[0], text.as_bytes()].concat();
    let table = [&count[..], &count, &texts.iter().flat_map(text).collect::<Vec<u8>>()].concat();
    let end = old_record(0x000a, &[]);
    let sheet = |at: usize| old_record(0x0085, &[&(at as u32).to_le_bytes()[..], &[0, 0, 3, 0], b"Dia"].concat());
    let mut globals = [start(5), sheet(0), old_record(0x00fc, &table), end.clone()].concat();
    let at = globals.len();
    globals.splice(start(5).len()..start(5).len() + sheet(0).len(), sheet(at));
    let stream = [globals, start(0x10), cells.concat(), end].concat();
    let mut file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())).expect("a compound file");
    file.create_stream("/Workbook").expect("a stream").write_all(&stream).expect("memory");
    file.flush().expect("memory");
    file.into_inner().into_inner()
}

fn old_record(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
}

/// A cell of such a workbook: a number (0x0203), or a text by its index (0x00fd).
pub fn old_cell(kind: u16, row: u16, column: u16, value: &[u8]) -> Vec<u8> {
    old_record(kind, &[&row.to_le_bytes()[..], &column.to_le_bytes(), &[0, 0], value].concat())
}
