//! What is synthetic here stands for what is published: zips of texts, zips in zips, PDFs, PNGs.
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use acervo::domain::Digest;
use acervo::leaves::dense::{
    Base, Bases, Content, DEPTH_MAX, DenseError, Effort, Encoded, Header, Kind, Limits, Object, Work, decode, encode,
};
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use proptest::prelude::*;

use crate::harness::cases;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn work() -> Work<'static> {
    let limits = Limits { effort: Effort { level: 19, table_log_max: 20 }, ..Limits::default() };
    Work { limits, stop: &GO_ON }
}

/// Objects that were encoded, as a store has them.
#[derive(Default)]
struct Objects(Vec<(Digest, Vec<u8>)>);

impl Bases for Objects {
    fn object(&self, digest: Digest) -> Result<Object, DenseError> {
        let found = self.0.iter().find(|(name, _)| *name == digest);
        let missing = DenseError::Base { digest, reason: "missing".to_owned() };
        found.map(|(_, bytes)| Object::Encoded(bytes.clone())).ok_or(missing)
    }
}

impl Objects {
    /// Encodes a file against the last ones, and keeps it.
    fn add(&mut self, file: &[u8], bases: &mut Vec<Base>) -> Encoded {
        let content = Arc::new(Content::of(file.to_vec()));
        let encoded = encode(&content, bases, &work()).expect("an encoded file");
        self.0.push((Digest::of(file), encoded.bytes.clone()));
        assert_eq!(self.read(file), Ok(file.to_vec()), "{:?}", encoded.header);
        let depth = encoded.header.base.map_or(0, |base| base.depth);
        bases.push(Base { content, depth, is_expanded: encoded.header.kind.is_expanded() });
        encoded
    }

    fn read(&self, file: &[u8]) -> Result<Vec<u8>, String> {
        let Ok(Object::Encoded(encoded)) = self.object(Digest::of(file)) else { panic!("no such object") };
        let mut out = Vec::new();
        decode(Digest::of(file), &encoded, self, &work(), &mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }
}

fn encode_alone(file: &[u8]) -> Encoded {
    Objects::default().add(file, &mut Vec::new())
}

/// Lines as in a deck, of 42 bytes. `change` alters some of them.
fn deck(lines: usize, change: usize) -> Vec<u8> {
    let line = |n: usize| {
        let value = if n % 37 == change % 37 { n * 31 + change } else { n * 17 };
        format!("{n:5} UHE {:12} {:9.2} {:7}\n", value % 997, value as f64 / 7.0, value % 8191)
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

fn deflated(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).expect("bytes");
    encoder.finish().expect("a stream")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).expect("bytes");
    encoder.finish().expect("a stream")
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A zip member's header and compressed bytes. No directory follows; nothing needs one.
fn member(name: &str, size: u32, sum: u32, compressed: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0".to_vec();
    for number in [sum, compressed.len() as u32, size] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(name.as_bytes());
    bytes.extend(compressed);
    bytes
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let one = |(name, bytes): &(&str, &[u8])| member(name, bytes.len() as u32, crc(bytes), &deflated(bytes, 6));
    members.iter().flat_map(one).collect()
}

fn png(pixels: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = zlib(pixels);
    let chunks = std::iter::once((b"IHDR", &[0; 13][..])).chain(data.chunks(chunk).map(|some| (b"IDAT", some)));
    for (kind, data) in chunks.chain([(b"IEND", &[][..])]) {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        bytes.extend(&body);
        bytes.extend(crc(&body).to_be_bytes());
    }
    bytes
}

fn pdf(texts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    for text in texts {
        bytes.extend(b"1 0 obj <</Filter /FlateDecode>> stream\r\n");
        bytes.extend(zlib(text));
        bytes.extend(b"\r\nendstream endobj\n");
    }
    bytes
}

#[test]
fn revisions_of_all_kinds_of_files_are_small_and_read_back() {
    let text = |n| deck(500, n);
    let inner = |n| zip(&[("a.dat", &text(n)), ("b.pdf", &pdf(&[&text(n + 1)]))]);
    let gzip = |n: usize| [&b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name\0"[..], &deflated(&text(n), 9), b"12345678"].concat();
    type Revision<'a> = &'a dyn Fn(usize) -> Vec<u8>;
    let series: [(&str, Revision); 5] = [
        ("a zip", &|n| zip(&[("deck.dat", &text(n)), ("hidr.dat", &text(0))])),
        ("zips in a zip", &|n| zip(&[("one.zip", &inner(n)), ("two.zip", &inner(n + 5))])),
        ("a PDF", &|n| pdf(&[&text(n), &text(n + 1)])),
        ("a PNG", &|n| png(&text(n), 1000)),
        ("gzip", &gzip),
    ];
    for (name, revision) in series {
        let (mut objects, mut bases) = (Objects::default(), Vec::new());
        let first = objects.add(&revision(1), &mut bases);
        assert_eq!(first.header.kind, Kind::Expanded, "{name}");
        let second = objects.add(&revision(2), &mut bases);
        assert_eq!(second.header.kind, Kind::ExpandedDelta, "{name}");
        assert!(second.bytes.len() * 3 < first.bytes.len(), "{name}: {} {}", first.bytes.len(), second.bytes.len());
    }
}

#[test]
fn members_in_another_order_cost_nothing() {
    let (a, b) = (deck(500, 1), deck(500, 20));
    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    objects.add(&zip(&[("a", &a), ("b", &b)]), &mut bases);
    let other = objects.add(&zip(&[("b", &b), ("a", &a)]), &mut bases);
    assert!(other.header.base.is_some());
    assert!(other.bytes.len() < 500, "{}", other.bytes.len());
}

#[test]
fn empty_equal_and_incompressible_files() {
    assert_eq!(encode_alone(b"").header.kind, Kind::Plain);
    assert_eq!(encode_alone(b"x").header.kind, Kind::Plain);
    let noise: Vec<u8> = (0..5000u32).flat_map(|n| Digest::of(&n.to_le_bytes()).0).collect();
    assert_eq!(encode_alone(&noise).header.kind, Kind::Plain);

    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    objects.add(&noise, &mut bases);
    // A file is no base of itself.
    assert_eq!(objects.add(&noise, &mut bases).header.base, None);
    let longer = [&noise[..], b"x"].concat();
    let delta = objects.add(&longer, &mut bases);
    assert_eq!(delta.header.kind, Kind::Delta);
    assert!(delta.bytes.len() < 200, "{}", delta.bytes.len());
    objects.add(b"", &mut bases);
}

#[test]
fn a_chain_is_never_longer_than_its_limit() {
    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    let mut full = 0;
    for n in 0..=u32::from(DEPTH_MAX) + 2 {
        let file = zip(&[("a", &deck(300, n as usize))]);
        let encoded = objects.add(&file, &mut bases);
        bases.drain(..bases.len() - 1);
        full += u32::from(encoded.header.base.is_none());
        assert!(encoded.header.base.is_none_or(|base| base.depth <= DEPTH_MAX));
    }
    assert_eq!(full, 2);
}

#[test]
fn chains_that_lead_nowhere_are_errors() {
    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    let (a, b) = (zip(&[("a", &deck(300, 1))]), zip(&[("a", &deck(300, 2))]));
    objects.add(&a, &mut bases);
    let of_b = objects.add(&b, &mut bases);
    bases.remove(0);
    let of_a = encode(&Content::of(a.clone()), &bases, &work()).expect("an object");
    assert_eq!(of_a.header.base.expect("a base").digest, Digest::of(&b));
    let objects = Objects(vec![(Digest::of(&a), of_a.bytes), (Digest::of(&b), of_b.bytes)]);
    assert!(objects.read(&a).expect_err("a circle").ends_with(": its chain of bases is too long"));
    let objects = Objects(vec![objects.0.into_iter().next_back().expect("an object")]);
    assert!(objects.read(&b).expect_err("no base").contains("missing"));
}

#[test]
fn a_base_is_found_by_its_published_bytes_and_not_mistaken_for_another() {
    struct Published(Vec<u8>);
    impl Bases for Published {
        fn object(&self, _: Digest) -> Result<Object, DenseError> {
            Ok(Object::Published(self.0.clone()))
        }
    }
    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    let (a, b) = (zip(&[("a", &deck(500, 1))]), zip(&[("a", &deck(500, 2))]));
    objects.add(&a, &mut bases);
    let of_b = objects.add(&b, &mut bases);
    assert_eq!(of_b.header.kind, Kind::ExpandedDelta);
    let mut out = Vec::new();
    decode(Digest::of(&b), &of_b.bytes, &Published(a), &work(), &mut out).expect("from the base as published");
    assert_eq!(out, b);
    let wrong = decode(Digest::of(&b), &of_b.bytes, &Published(b), &work(), &mut out);
    assert!(matches!(wrong, Err(DenseError::Base { .. })), "{wrong:?}");
}

#[test]
fn other_formats_and_versions_are_named() {
    let encoded = encode_alone(&zip(&[("a", &deck(300, 1))]));
    let error = |bytes: &[u8]| {
        let result = decode(Digest([0; 32]), bytes, &(), &work(), &mut std::io::sink());
        result.expect_err("an error").to_string()
    };
    let mut other = encoded.bytes.clone();
    other[4] = 9;
    assert_eq!(error(&other), "the object has format 9; this version of Acervo reads format 1");
    let preflate = encoded.header.form.expect("a form").preflate;
    let lock = include_str!("../../Cargo.lock");
    let [major, minor, patch] = preflate;
    assert!(lock.contains(&format!("name = \"preflate-rs\"\nversion = \"{major}.{minor}.{patch}\"\n")), "{preflate:?}");
    let mut other = encoded.bytes.clone();
    let at = other.windows(3).position(|some| some == preflate).expect("the version");
    other[at] = 5;
    let expected = format!("the object needs preflate-rs 5.{minor}.{patch} to decode; this version of Acervo has");
    assert!(error(&other).starts_with(&expected), "{}", error(&other));
}

#[test]
fn work_ends_when_it_is_stopped() {
    let stop = AtomicBool::new(true);
    let stopped = Work { stop: &stop, ..work() };
    let file = zip(&[("a", &deck(300, 1))]);
    let encoded = encode_alone(&file);
    assert!(matches!(encode(&Content::of(file.clone()), &[], &stopped), Err(DenseError::Interrupted)));
    let decoded = decode(Digest::of(&file), &encoded.bytes, &(), &stopped, &mut std::io::sink());
    assert!(matches!(decoded, Err(DenseError::Interrupted)));
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let limits = Limits { file_max: 99, ..work().limits };
    let result = encode(&Content::of(vec![0; 100]), &[], &Work { limits, ..work() });
    assert!(matches!(result, Err(DenseError::TooLarge { size: 100, max: 99 })));
}

/// A deflate stream of so many MiB of zeros, made of copies of one compressed piece.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut inflater = flate2::Compress::new(Compression::new(9), false);
    let mut piece = |flush| {
        let mut out = Vec::with_capacity(64 << 10);
        let input = if flush == flate2::FlushCompress::Finish { &[][..] } else { &[0; 1 << 20][..] };
        inflater.compress_vec(input, &mut out, flush).expect("a piece");
        out
    };
    let first = piece(flate2::FlushCompress::Full);
    let end = piece(flate2::FlushCompress::Finish);
    let mut all = first.repeat(mebibytes);
    all.extend(end);
    all
}

/// A file is stored about as it is, whatever it would expand to.
fn assert_bounded(name: &str, bomb: &[u8]) {
    const FORM_MAX: u64 = (64 << 20) + 64;
    let encoded = encode_alone(bomb);
    assert!(encoded.bytes.len() <= bomb.len() + 32, "{name}");
    assert!(encoded.header.form.is_none_or(|form| form.len <= FORM_MAX), "{name}: {:?}", encoded.header);
}

/// Headers each of which is inside of a stored block of the streams before it. All streams share their end.
fn overlapping(headers: usize, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..headers {
        let mut header = member("o", 9, 9, &[]);
        let len = header.len() as u8 + 5;
        header.extend([0, len, 0, !len, 0xff]);
        bytes.extend(header);
    }
    bytes.extend(end);
    bytes
}

#[test]
fn bombs_stay_as_published() {
    assert_bounded("10 GiB of zeros", &member("zeros", u32::MAX, 0, &zeros(10 << 10)));
    let gib = member("zeros", 1 << 30, 0, &zeros(1 << 10));
    assert_bounded("nested", &(0..6).fold(gib, |inner, _| zip(&[("inner.zip", &inner)])));
    let small = member("e", 30, 0, &deflated(&deck(1, 1), 6));
    assert_bounded("a million entries", &small.repeat(1_000_000));
    assert_bounded("many entries", &small.repeat(100_000));
    assert_bounded("overlapping entries", &overlapping(2000, &zeros(33)));
    assert_bounded("lying sizes", &member("lying", 3, 0, &deflated(&deck(2000, 1), 6)));
}

/// An object that is not damaged, with data for preflate-rs that it did not make.
#[test]
fn nonsense_for_preflate_is_an_error() {
    for seed in 0..40u32 {
        let corrections = &Digest::of(&seed.to_le_bytes()).0[..(seed as usize % 33).min(32)];
        let mut form = vec![4, 2, 5, corrections.len() as u8, 0, corrections.len() as u8];
        form.extend(corrections);
        form.extend(b"plain");
        let mut bytes = b"ACVD\x01\x03\x05\x00\x07\x06".to_vec();
        bytes.push(form.len() as u8);
        bytes.extend(&Digest::of(&form).0[..8]);
        bytes.extend(zstd::bulk::compress(&form, 1).expect("a frame"));
        let result = decode(Digest::of(b"plain"), &bytes, &(), &work(), &mut std::io::sink());
        assert!(matches!(result, Err(DenseError::Damaged(_))), "{result:?}");
    }
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = (0usize..400, 0usize..40).prop_map(|(lines, change)| deck(lines, change));
    let bytes = proptest::collection::vec(any::<u8>(), 0..600);
    let plain = prop_oneof![text, bytes];
    prop_oneof![
        plain.clone(),
        (plain.clone(), 0u32..10).prop_map(|(bytes, level)| member("m", 0, 0, &deflated(&bytes, level))),
        plain.clone().prop_map(|bytes| pdf(&[&bytes])),
        (plain.clone(), 1usize..3000).prop_map(|(bytes, chunk)| png(&bytes, chunk)),
        plain.prop_map(|bytes| zip(&[("inner", &zip(&[("text", &bytes)]))])),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(part(), 0..5).prop_map(|parts| parts.concat())
}

/// Takes at most so many bytes.
struct Bounded(u64);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).expect("no more than the file's size");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// Some files share parts, so that they are bases of each other.
    #[test]
    fn what_is_encoded_reads_back_or_is_an_error(
        files in proptest::collection::vec(file(), 1..4),
        shared in part(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..9), 12),
    ) {
        let (mut objects, mut bases) = (Objects::default(), Vec::new());
        for file in &files {
            objects.add(&[&file[..], &shared].concat(), &mut bases);
        }
        let file = [&files[files.len() - 1][..], &shared].concat();
        let (digest, good) = objects.0.last().cloned().expect("an object");
        prop_assert_eq!(digest, Digest::of(&file));
        let size = Header::read(&good).expect("a header").0.size;
        for (at, bit) in damage {
            let mut bad = good.clone();
            let at = at.index(bad.len());
            match bit {
                8 => bad.truncate(at),
                bit => bad[at] ^= 1 << bit,
            }
            let mut out = Vec::new();
            if decode(digest, &bad, &objects, &work(), &mut out).is_ok() {
                prop_assert_eq!(&out, &file);
            }
            // The size itself may be what was damaged.
            if Header::read(&bad).is_ok_and(|(header, _)| header.size == size) {
                let _ = decode(digest, &bad, &objects, &work(), &mut Bounded(size));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_object_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..6) {
        let with_header = [&b"ACVD\x01"[..], &[kind], &bytes].concat();
        for bytes in [bytes, with_header] {
            let _ = decode(Digest::of(b"?"), &bytes, &(), &work(), &mut std::io::sink()).expect_err("an error");
        }
    }
}

/// The script of `docs/archive-format.md`.
fn script() -> String {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/archive-format.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let script = page.split("```python\n").nth(1).expect("the script");
    script.split("```").next().expect("its end").to_owned()
}

#[test]
fn the_documented_script_reads_what_needs_no_preflate() {
    let has = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !has("python3") || !has("zstd") {
        eprintln!("python3 and zstd are not installed: the script of docs/archive-format.md was not run");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("dense.py"), script()).expect("the script");
    let (mut objects, mut bases) = (Objects::default(), Vec::new());
    let noise: Vec<u8> = (0..99u32).flat_map(|n| Digest::of(&n.to_le_bytes()).0).collect();
    let files =
        [(Kind::Plain, noise), (Kind::Zstd, deck(9000, 1)), (Kind::Delta, deck(9000, 2)), (Kind::Delta, deck(9000, 3))];
    for (index, (kind, file)) in files.into_iter().enumerate() {
        let encoded = objects.add(&file, &mut bases);
        assert_eq!(encoded.header.kind, kind);
        bases.drain(..bases.len() - 1);
        std::fs::write(path("object"), &encoded.bytes).expect("an object");
        let mut python = std::process::Command::new("python3");
        python.arg(path("dense.py")).arg(path("object"));
        if kind.needs_base() {
            python.arg(path(&format!("file-{}", index - 1)));
        }
        let output = python.output().expect("python");
        assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, file, "{kind:?}");
        std::fs::write(path(&format!("file-{index}")), file).expect("a file");
    }
}

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dense/1-preflate-0.7.6");

/// Of all kinds, the first being the base of the second and so on.
fn fixture_files() -> Vec<(Kind, Vec<u8>)> {
    let archive = |n| {
        let (text, picture) = (deck(400, n), png(&deck(60, n), 500));
        let inner = zip(&[("c.dat", &deck(200, n)), ("d.pdf", &pdf(&[&deck(90, n)]))]);
        zip(&[("a.dat", &text), ("b.png", &picture), ("c.zip", &inner)])
    };
    vec![
        (Kind::Plain, b"plain".to_vec()),
        (Kind::Zstd, deck(300, 1)),
        (Kind::Delta, deck(300, 2)),
        (Kind::Expanded, archive(1)),
        (Kind::ExpandedDelta, archive(2)),
        (Kind::ExpandedDelta, archive(3)),
    ]
}

#[test]
fn objects_of_each_version_decode() {
    let entries = std::fs::read_dir(FIXTURES).expect("the fixture").map(|entry| entry.expect("an entry").path());
    let mut objects = Vec::new();
    for path in entries {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let digest: Digest = name[2..].parse().expect("a digest");
        objects.push((name, digest, std::fs::read(&path).expect("an object")));
    }
    objects.sort();
    let store = Objects(objects.iter().map(|(_, digest, bytes)| (*digest, bytes.clone())).collect());
    let kinds: Vec<Kind> = objects.iter().map(|o| Header::read(&o.2).expect("a header").0.kind).collect();
    assert_eq!(kinds, fixture_files().iter().map(|(kind, _)| *kind).collect::<Vec<_>>());
    for (name, digest, encoded) in &objects {
        // Checked against the digest in the name, not against what this version would write.
        let mut out = Vec::new();
        decode(*digest, encoded, &store, &work(), &mut out).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Digest::of(&out), *digest, "{name}");
    }
}

/// Not part of the suite.
mod load {
    use super::*;

    #[test]
    #[ignore = "takes minutes without optimization"]
    fn large_bombs_stay_as_published() {
        assert_bounded("many large members", &member("zeros", 8 << 20, 0, &zeros(8)).repeat(12));
        assert_bounded("one large member", &member("zeros", 31 << 20, 0, &zeros(31)));
        assert_bounded("overlapping entries", &overlapping(2000, &zeros(31)));
        // Long chains of matches that are nearly the longest.
        let period: Vec<u8> = (0..24 << 20).map(|n: u32| if n % 259 == n / 259 % 7 { b'x' } else { b'a' }).collect();
        assert_bounded("long chains", &member("chains", 9, 0, &deflated(&period, 9)));
    }

    #[test]
    #[ignore = "writes the fixture, once for each version of the format and of preflate-rs"]
    fn write_the_fixture() {
        let (mut objects, mut bases) = (Objects::default(), Vec::new());
        std::fs::create_dir_all(FIXTURES).expect("a folder");
        for (index, (kind, file)) in fixture_files().into_iter().enumerate() {
            let encoded = objects.add(&file, &mut bases);
            assert_eq!(encoded.header.kind, kind);
            bases.drain(..bases.len() - 1);
            std::fs::write(format!("{FIXTURES}/{index}-{}.dense", Digest::of(&file)), encoded.bytes)
                .expect("an object");
        }
    }
}
