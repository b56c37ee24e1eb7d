//! Tars, manifests and lines as other programs write them.
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use acervo::domain::Digest;
use acervo::jobs::import::{Manifest, Parsed, Root, read_line};
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::process::{acervo, imported};

fn tar(args: &[&str]) {
    let output = Command::new("tar").args(args).output().expect("GNU tar");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// SHA-256 of each revision's file, by the product's name.
async fn archived(app: &TestApp) -> BTreeMap<String, String> {
    app.until("{ status { indexLag } }", |data| data["status"]["indexLag"] == 0).await;
    let data = app.query("{ revisions(first: 1000) { nodes { sha256 publication { name } } } }").await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let nodes = data["revisions"]["nodes"].as_array().expect("a list");
    nodes.iter().map(|node| (text(&node["publication"]["name"]), text(&node["sha256"]))).collect()
}

/// A folder with files of every kind: sparse ones, names that are long, in Latin-1, and with accents as separate
/// characters, and two names of one file.
fn odd_files(folder: &Path) -> Vec<&'static str> {
    std::fs::create_dir_all(folder.join("dia")).expect("a folder");
    let sparse = |name: &str, parts: &[(u64, &[u8])], size: u64| {
        let file = std::fs::File::create(folder.join(name)).expect("a file");
        file.set_len(size).expect("a length");
        parts.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).expect("a part"));
    };
    sparse("esparso.dat", &[(0, b"inicio"), (2_000_000, b"meio"), (4_000_000, b"fim")], 4_000_003);
    sparse("so-buraco.dat", &[], 3_000_000);
    sparse("buraco-no-fim.dat", &[(1 << 20, b"meio")], 3 << 20);
    let bytes: Vec<(u64, Vec<u8>)> = (1..70).map(|i| (i * 100_000, vec![i as u8; 700])).collect();
    let parts: Vec<(u64, &[u8])> = bytes.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
    sparse("muitos-buracos.dat", &parts, 7_000_000);
    std::fs::write(folder.join("a.txt"), "igual").expect("a file");
    std::fs::hard_link(folder.join("a.txt"), folder.join("copia.txt")).expect("a link");
    std::fs::write(folder.join("dia").join(OsStr::from_bytes(b"Previs\xe3o.zip")), "latin-1").expect("a file");
    std::fs::write(folder.join("Me\u{301}dio prazo.txt"), "nfd").expect("a file");
    let long = "um-nome-muito-comprido-".repeat(9);
    std::fs::write(folder.join(format!("dia/{long}.txt")), "longo").expect("a file");
    vec!["esparso.dat", "so-buraco.dat", "buraco-no-fim.dat", "muitos-buracos.dat", "a.txt", "copia.txt"]
}

fn manifest(path: &Path, rows: &[(String, String)]) -> String {
    let mut text = String::from("path;nome;dataProduto\n");
    rows.iter().for_each(|(file, name)| text.push_str(&format!("{file};{name};20/02/2025\n")));
    std::fs::write(path, text).expect("a manifest");
    path.display().to_string()
}

/// Options of GNU tar, each for another form of tar.
const TAR_FORMS: [&[&str]; 8] = [
    &["-S", "--format=gnu"],
    &["-S", "--format=posix", "--sparse-version=0.0"],
    &["-S", "--format=posix", "--sparse-version=0.1"],
    &["-S", "--format=posix", "--sparse-version=1.0"],
    &["--format=posix"],
    &["-P", "--format=gnu"],
    &["-S", "--format=gnu", "--zstd"],
    // The size field of a volume label is all NULs.
    &["--format=gnu", "-V", "rotulo"],
];

/// Packs a folder and unpacks it elsewhere, as GNU tar does; gives the folder of the unpacked files, and that of the paths in
/// the tar.
fn packed(files: &Path, options: &[&str], out: &Path, given: &Path) -> (PathBuf, String) {
    let is_absolute = options.contains(&"-P");
    let folder = files.display().to_string();
    let source = if is_absolute { format!("{folder}//") } else { ".//".to_owned() };
    let mut args = vec!["-cf", out.to_str().expect("text"), "-C", &folder];
    args.extend(options);
    args.push(&source);
    tar(&args);
    std::fs::create_dir(given).expect("a folder");
    tar(&["-xf", &out.display().to_string(), "-C", &given.display().to_string()]);
    match is_absolute {
        true => (given.join(files.strip_prefix("/").expect("a path")), format!("{folder}/.")),
        false => (given.to_owned(), ".".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_tar_is_read() {
    let app = TestApp::start().await;
    let here = app.folder.path();
    let files = here.join("f");
    let mut names: Vec<String> = odd_files(&files).into_iter().map(str::to_owned).collect();
    let long = "um-nome-muito-comprido-".repeat(9);
    names.extend(["dia/Previsão.zip".to_owned(), "Médio prazo.txt".to_owned(), format!("dia/{long}.txt")]);
    let mut expected = BTreeMap::new();
    for (i, options) in TAR_FORMS.into_iter().enumerate() {
        let out = here.join(format!("t{i}.tar"));
        let (inside, parent) = packed(&files, options, &out, &here.join(format!("x{i}")));
        let rows: Vec<_> = names.iter().map(|name| (format!("{parent}/{name}"), format!("{i} {name}"))).collect();
        for (name, (_, product)) in names.iter().zip(&rows) {
            let on_disk = match name.as_str() {
                "dia/Previsão.zip" => inside.join("dia").join(OsStr::from_bytes(b"Previs\xe3o.zip")),
                "Médio prazo.txt" => inside.join("Me\u{301}dio prazo.txt"),
                name => inside.join(name),
            };
            expected.insert(product.clone(), Digest::of(&std::fs::read(on_disk).expect("a file")).to_string());
        }
        let manifest = manifest(&here.join("m.csv"), &rows);
        let (code, printed, err) = imported(&app, &[&out.display().to_string(), "--manifest", &manifest]);
        assert_eq!(code, Some(0), "{options:?}: {printed}{err}");
    }
    // The folder itself, by the same names and by where they are.
    let rows: Vec<_> = names.iter().map(|name| (format!(".//{name}"), format!("pasta {name}"))).collect();
    let absolute = (files.join("a.txt").display().to_string(), "pasta absoluta".to_owned());
    let manifest = manifest(&here.join("m.csv"), &[rows.clone(), vec![absolute.clone()]].concat());
    let (code, printed, err) = imported(&app, &[&files.display().to_string(), "--manifest", &manifest]);
    assert_eq!(code, Some(0), "{printed}{err}");
    for (name, (_, product)) in names.iter().zip(&rows) {
        expected.insert(product.clone(), expected[&format!("0 {name}")].clone());
    }
    expected.insert(absolute.1, expected["0 a.txt"].clone());
    assert_eq!(archived(&app).await, expected);
}

/// Extended records of a tar.
type Records<'a> = &'a [(&'a str, &'a [u8])];

/// A tar entry with extended records before it.
fn entry(tar: &mut tar::Builder<Vec<u8>>, name: &str, records: Records<'_>, bytes: &[u8]) {
    if !records.is_empty() {
        tar.append_pax_extensions(records.iter().copied()).expect("records");
    }
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, bytes).expect("an entry");
}

/// Sparse files of five bytes whose records contradict one another.
const BROKEN_SPARSE: [(&str, Records<'static>); 10] = [
    ("versao.dat", &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]),
    ("sem-tamanho.dat", &[("GNU.sparse.map", b"0,5")]),
    ("curto.dat", &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,4")]),
    ("longo.dat", &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,6")]),
    ("alem.dat", &[("GNU.sparse.size", b"4"), ("GNU.sparse.map", b"0,5")]),
    ("ordem.dat", &[("GNU.sparse.size", b"99"), ("GNU.sparse.map", b"20,2,10,3")]),
    ("impar.dat", &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,5,9")]),
    ("star.dat", &[("SCHILY.realsize", b"99")]),
    ("contagem.dat", &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,5"), ("GNU.sparse.numblocks", b"3")]),
    ("enorme.dat", &[("GNU.sparse.size", b"9000000000000000000"), ("GNU.sparse.map", b"0,5")]),
];

/// A tar with broken entries between valid ones, and links to entries before and after them, or to none.
fn tar_with_broken_entries() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    entry(&mut builder, "antes.txt", &[("comment", b"nada\nde mais")], b"antes");
    for (name, records) in BROKEN_SPARSE {
        entry(&mut builder, name, records, b"12345");
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "atalho.txt", "antes.txt").expect("a link");
    header.set_entry_type(tar::EntryType::Link);
    builder.append_link(&mut header, "perdido.txt", "nada.txt").expect("a link");
    builder.append_link(&mut header, "futuro.txt", "elo-anterior.txt").expect("a link");
    entry(&mut builder, "mudado.txt", &[], b"velho");
    builder.append_link(&mut header, "elo-velho.txt", "mudado.txt").expect("a link");
    builder.append_link(&mut header, "sem-linha.txt", "antes.txt").expect("a link");
    builder.append_link(&mut header, "elo-anterior.txt", "fora-da-lista.txt").expect("a link");
    entry(&mut builder, "fora-da-lista.txt", &[], b"fora");
    builder.append_link(&mut header, "elo-anterior.txt", "fora-da-lista.txt").expect("a link");
    builder.append_link(&mut header, "elo.txt", "elo-anterior.txt").expect("a link");
    entry(&mut builder, "fora-da-lista.txt", &[], b"fora, depois");
    entry(&mut builder, "mudado.txt", &[], b"novo");
    entry(&mut builder, "depois.txt", &[("path", "acentuação/depois.txt".as_bytes())], b"depois");
    builder.into_inner().expect("a tar")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_entries_of_a_tar_are_refused_and_the_rest_is_taken() {
    let app = TestApp::start().await;
    let here = app.folder.path();
    let whole = tar_with_broken_entries();
    let path = here.join("t.tar");
    std::fs::write(&path, &whole).expect("a tar");
    let good = ["antes.txt", "elo.txt", "elo-velho.txt", "mudado.txt", "acentuação/depois.txt"];
    let bad: Vec<&str> =
        BROKEN_SPARSE.iter().map(|(name, _)| *name).chain(["atalho.txt", "perdido.txt", "futuro.txt"]).collect();
    let rows: Vec<_> = good.iter().chain(&bad).map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    let listed = manifest(&here.join("m.csv"), &rows);
    let (code, out, err) = imported(&app, &[&path.display().to_string(), "--manifest", &listed]);
    assert_eq!(code, Some(1), "{out}{err}");
    for (line, name) in (2 + good.len()..).zip(&bad) {
        assert!(err.lines().any(|reported| reported.contains(&format!("m.csv:{line}: "))), "{name}: {err}");
    }
    let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
    let expected = [
        ("antes.txt", "antes"),
        ("elo.txt", "fora"),
        ("elo-velho.txt", "velho"),
        ("mudado.txt", "novo"),
        (good[4], "depois"),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(name, bytes)| (name.to_owned(), digest(bytes.as_bytes()))).collect();
    assert_eq!(archived(&app).await, expected);
    // Truncated inside its last file: earlier files are imported, and never a part of a file.
    std::fs::write(&path, &whole[..whole.len() - 1024 - 510]).expect("a tar");
    let rows: Vec<_> = good.iter().map(|name| ((*name).to_owned(), format!("cortado {name}"))).collect();
    let listed = manifest(&here.join("m.csv"), &rows);
    let (code, out, err) = imported(&app, &[&path.display().to_string(), "--manifest", &listed]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("the tar cannot be read to its end") && out.contains("4 archived"), "{out}{err}");
    assert!(!archived(&app).await.contains_key("cortado acentuação/depois.txt"));
}

/// Runs an import and gives its end and the most memory that it was seen with, in bytes.
fn watched(app: &TestApp, args: &[&str]) -> (Option<i32>, String, String, u64) {
    let mut command = acervo(app.folder.path());
    let mut child =
        command.arg("import").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a binary");
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() << 10);
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr), peak)
}

/// A packed file that begins and ends with these bytes, and has very many of one between them.
fn bomb(path: &Path, begin: &[u8], byte: u8, end: &[u8]) -> String {
    let mut packed = zstd::Encoder::new(std::fs::File::create(path).expect("a file"), 1).expect("a frame");
    packed.write_all(begin).expect("bytes");
    let piece = vec![byte; 1 << 20];
    (0..BOMB >> 20).for_each(|_| packed.write_all(&piece).expect("bytes"));
    packed.write_all(end).expect("bytes");
    packed.finish().expect("a frame");
    path.display().to_string()
}

const BOMB: usize = 384 << 20;

/// Well under the decompressed size of the bombs.
const PEAK: u64 = 256 << 20;

/// The header of an entry of a tar.
fn header(kind: u8, size: u64, name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_path(name).expect("a name");
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_of_an_import_is_bounded() {
    let app = TestApp::start().await;
    let here = app.folder.path();
    let files = here.join("f");
    std::fs::create_dir(&files).expect("a folder");
    std::fs::write(files.join("a.txt"), "a").expect("a file");
    let files = files.display().to_string();
    let file = |name: &str| [header(b'0', 1, name), b"a".to_vec(), vec![0; 511]].concat();
    let mut cases = Vec::new();
    for (kind, name) in [(b'L', "nome"), (b'K', "elo"), (b'x', "pax"), (b'g', "global")] {
        let begin = [file("antes.txt"), header(kind, BOMB as u64, "././@LongLink")].concat();
        let end = [file("coberto.txt"), file("a.txt"), vec![0; 1024]].concat();
        let tar = bomb(&here.join(format!("{name}.tar.zst")), &begin, b'x', &end);
        let rows = ["antes.txt", "coberto.txt"].map(|file| (file.to_owned(), format!("{name} {file}")));
        let manifest = manifest(&here.join(format!("{name}.csv")), &rows);
        cases.push((name.to_owned(), vec![tar, "--manifest".to_owned(), manifest], ".csv:3: ".to_owned()));
    }
    let csv = "path,nome,dataProduto\na.txt,";
    let end = ",20/02/2025\na.txt,celula,20/02/2025\n";
    let cell = bomb(&here.join("celula.csv"), format!("{csv}\"").as_bytes(), b'x', format!("\"{end}").as_bytes());
    let begin = "{\"path\":\"a.txt\",\"nome\":\"";
    let end =
        "\",\"dataProduto\":\"20/02/2025\"}\n{\"path\":\"a.txt\",\"nome\":\"linha\",\"dataProduto\":\"20/02/2025\"}\n";
    let line = bomb(&here.join("linha.ndjson"), begin.as_bytes(), b'x', end.as_bytes());
    let fields = bomb(&here.join("campos.csv"), b"path,nome,dataProduto\n", b',', b"\na.txt,campos,20/02/2025\n");
    for (name, manifest) in [("celula", cell), ("linha", line), ("campos", fields)] {
        let reported = if name == "linha" { ":1: " } else { ":2: " };
        cases.push((name.to_owned(), vec![files.clone(), "--manifest".to_owned(), manifest], reported.to_owned()));
    }
    let body = json!({ "nome": "corpo", "dataProduto": "20/02/2025", "url": "https://x.ons.org.br/a" });
    let bodies = bomb(&here.join("corpos.ndjson"), b"{\"nome\":\"", b'x', format!("\"}}\n{body}\n").as_bytes());
    cases.push(("corpo".to_owned(), vec![bodies], ":1: ".to_owned()));
    for (name, args, reported) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, out, err, peak) = watched(&app, &args);
        assert_eq!(code, Some(1), "{name}: {out}{err}");
        assert!(err.contains(&reported) && err.len() < 2000, "{name}: {err}");
        let taken = if name == "corpo" { "1 queued" } else { "1 archived" };
        assert!(out.contains(taken), "{name}: {out}{err}");
        assert!(peak > 0 && peak < PEAK, "{name}: {peak} bytes");
    }
    app.settled(1).await;
}

/// A row's path and name.
type ParsedRow = (String, String);

/// Lines that were not taken, each with its reason.
type RefusedRows = Vec<(u64, String)>;

/// The rows of a manifest, and the lines that are refused.
fn rows(bytes: &[u8], root: Root<'_>) -> Option<(Vec<ParsedRow>, RefusedRows)> {
    let mut refused = Vec::new();
    let reader = std::io::Cursor::new(bytes.to_vec());
    let now = jiff::Timestamp::now();
    let parsed = Manifest::parse(reader, root, &std::env::temp_dir(), now, &mut |line, why| refused.push((line, why)));
    let Parsed::Rows(manifest) = parsed.expect("bytes") else { return None };
    let taken = manifest.rows(root).map(|row| {
        let row = row.expect("a row");
        (row.path, row.notification.notice.name.unwrap_or_default())
    });
    Some((taken.collect(), refused))
}

/// One manifest in the forms that spreadsheets and programs write.
fn manifest_forms() -> Vec<(&'static str, Vec<u8>)> {
    let plain = "path,nome,dataProduto\nPrevisão.zip,Previsão,20/02/2025\n";
    let wide = |text: &str, swap: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(swap).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{plain}");
    let latin: Vec<u8> = plain.chars().map(|c| c as u8).collect();
    vec![
        ("plain", plain.into()),
        ("semicolons", plain.replace(',', ";").into()),
        ("tabs", plain.replace(',', "\t").into()),
        ("bars", plain.replace(',', "|").into()),
        ("CRLF", plain.replace('\n', "\r\n").into()),
        ("CR", plain.replace('\n', "\r").into()),
        ("a byte order mark", marked.clone().into()),
        ("UTF-16LE", wide(&marked, u16::to_le_bytes)),
        ("UTF-16BE", wide(&marked, u16::to_be_bytes)),
        ("UTF-16LE with tabs", wide(&marked.replace(',', "\t"), u16::to_le_bytes)),
        ("UTF-16LE without a mark", wide(plain, u16::to_le_bytes)),
        ("Latin-1", latin),
        ("sep=;", format!("sep=;\r\n{}", plain.replace(',', ";")).into()),
        ("sep= with a mark", format!("\u{feff}\"sep=;\"\r\n{}", plain.replace(',', ";")).into()),
        ("SEP=tab", format!("SEP=\t\n{}", plain.replace(',', "\t")).into()),
        (
            "a quoted delimiter",
            plain.replace("dataProduto", "dataProduto,\"obs, ou nota\"").replace("/2025\n", "/2025,x\n").into(),
        ),
        (
            "a quoted semicolon",
            plain.replace("dataProduto", "dataProduto,\"obs; nota\"").replace("/2025\n", "/2025,x\n").into(),
        ),
        ("a quoted comma", format!("\"path, no disco\";{}", plain.replace(',', ";").replace("\nP", "\nx;P")).into()),
        ("a line in the header", format!("\"obs\n1\",{}", plain.replace("\nP", "\nx,P")).into()),
        (
            "quotes everywhere",
            "\"Path\",\"NOME\",\"DataProduto\"\n\"Previsão.zip\",\"Previsão\",\"20/02/2025\"\n".into(),
        ),
        ("empty rows", format!("{plain}\n,,\n , ,\r\n\r\n").into()),
        ("empty columns", "path;nome;dataProduto;;\nPrevisão.zip;Previsão;20/02/2025;;;\n;;;;\n".into()),
        ("blank lines first", format!("\n\r\n{plain}").into()),
        ("no end", plain.trim_end().into()),
        ("NDJSON", "{\"path\":\"Previsão.zip\",\"nome\":\"Previsão\",\"dataProduto\":\"20/02/2025\"}\n\n".into()),
        (
            "NDJSON in UTF-16",
            wide(
                "\u{feff}{\"path\":\"Previsão.zip\",\"nome\":\"Previsão\",\"dataProduto\":\"20/02/2025\"}\r\n",
                u16::to_le_bytes,
            ),
        ),
    ]
}

#[test]
fn manifests_of_every_spreadsheet_are_read() {
    let expected = vec![("Previsão.zip".to_owned(), "Previsão".to_owned())];
    for (form, bytes) in manifest_forms() {
        assert_eq!(rows(&bytes, Root::Tar), Some((expected.clone(), Vec::new())), "{form}");
    }
    for headless in ["", "arquivo,nome\n", "nome;path_\n", "sep=;\npath,nome\n", "[{\"path\":1}]", "\u{0}\u{1}"] {
        assert_eq!(rows(headless.as_bytes(), Root::Tar), None, "{headless:?}");
    }
}

#[test]
fn rows_that_cannot_be_taken_name_their_line() {
    let text = "path,nome,dataProduto,path\nx,y,20/02/2025,\n";
    let (_, refused) = rows(text.as_bytes(), Root::Tar).expect("a manifest");
    assert_eq!(refused, [(2, "the header names `path` twice".to_owned())]);
    let row =
        |at: Value| json!({ "path": "x", "nome": "X", "dataProduto": "20/02/2025", "receivedAt": at }).to_string();
    let at = [
        json!({ "$date": { "$numberLong": "1740052800000" } }),
        json!(1),
        json!({ "a": 1 }),
        json!("ontem"),
        json!(null),
    ];
    let text = at.map(row).join("\n") + "\n[]\n";
    let (taken, refused) = rows(text.as_bytes(), Root::Tar).expect("a manifest");
    assert_eq!((taken.len(), refused.iter().map(|(line, _)| *line).collect::<Vec<_>>()), (2, vec![2, 3, 4, 6]));
    assert!(refused[..3].iter().all(|(_, why)| why.contains("not a valid instant")), "{refused:?}");
    let text = [
        "path,nome,dataProduto,",
        "\"a",
        "b\",X,20/02/2025,",
        "",
        "c,X,20/02/2025,algo",
        "d,X",
        ",X,20/02/2025,",
        "../e,X,20/02/2025,",
        "/f,X,20/02/2025,",
        "/g/h,X,20/02/2025,",
        "\"i,X",
    ]
    .join("\r\n");
    let (taken, refused) = rows(text.as_bytes(), Root::Folder(Path::new("/g"))).expect("a manifest");
    assert_eq!(taken.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["a  b", "h"]);
    let lines: Vec<u64> = refused.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9, 11], "{refused:?}");
    assert!(refused[3].1.contains("`../e`; it must be inside") && refused[4].1.contains("`/f`"), "{refused:?}");
}

#[test]
fn lines_of_mongoexport_are_taken() {
    let now: jiff::Timestamp = "2025-11-25T00:00:00Z".parse().expect("an instant");
    let body = json!({ "nome": "B", "dataProduto": "20/02/2025", "url": "https://x.ons.org.br/a" });
    let at = "2025-02-20T12:00:00Z";
    let dates = [
        json!({ "$date": "2025-02-20T12:00:00Z" }),
        json!({ "$date": "2025-02-20T12:00:00.000Z" }),
        json!({ "$date": "2025-02-20T09:00:00.000-0300" }),
        json!({ "$date": 1_740_052_800_000_i64 }),
        json!({ "$date": { "$numberLong": "1740052800000" } }),
        json!("2025-02-20T12:00:00Z"),
        json!("2025-02-20T09:00:00-03:00"),
    ];
    for date in dates {
        let line = json!({ "_id": { "$oid": "0".repeat(24) }, "receivedAt": date, "body": body, "__v": 0 }).to_string();
        let taken = read_line(line.as_bytes(), now).expect("a line").expect("a body");
        assert_eq!(taken.notification.received_at.to_string(), at, "{line}");
        assert!(taken.is_dated && taken.notification.notice.outcome.is_ok(), "{line}");
        // The same body as without the wrapping.
        assert_eq!(taken.notification.body_digest, Digest::of(body.to_string().as_bytes()));
    }
    // A document that is the body itself, with dates of the database in it.
    let line = json!({ "_id": { "$oid": "67b718c00000000000000000" }, "nome": "B", "url": "https://x.ons.org.br/a",
        "periodicidade": { "$date": "2025-02-20T03:00:00Z" }, "periodicidadeFinal": { "$date": { "$numberLong": "1740106799000" } } });
    let taken = read_line(line.to_string().as_bytes(), now).expect("a line").expect("a body").notification;
    let period = taken.notice.outcome.expect("an announcement").period;
    assert_eq!(
        (period.start.to_string(), period.end.to_string()),
        ("2025-02-20T00:00:00".into(), "2025-02-20T23:59:59".into())
    );
    assert_eq!(taken.received_at.to_string(), "2025-02-20T11:57:52Z");
    // A body that was stored as a text, and one in Latin-1.
    let line = json!({ "receivedAt": at, "body": body.to_string() }).to_string();
    assert_eq!(
        read_line(line.as_bytes(), now).expect("a line").expect("a body").notification.received_at.to_string(),
        at
    );
    let latin: Vec<u8> = json!({ "receivedAt": at, "body": { "nome": "Previsão", "dataProduto": "20/02/2025", "url": "https://x.ons.org.br/a" } })
        .to_string()
        .chars()
        .map(|c| c as u8)
        .collect();
    let taken = read_line(&latin, now).expect("a line").expect("a body").notification;
    assert_eq!((taken.notice.name.as_deref(), taken.received_at.to_string().as_str()), (Some("Previsão"), at));
}

#[test]
fn lines_that_are_no_notification_are_refused() {
    let now: jiff::Timestamp = "2025-11-25T00:00:00Z".parse().expect("an instant");
    let body = json!({ "nome": "B", "dataProduto": "20/02/2025", "url": "https://x.ons.org.br/a" });
    let at = "2025-02-20T12:00:00Z";
    let refused = [
        json!({ "receivedAt": { "$date": "ontem" }, "body": body }).to_string(),
        json!({ "receivedAt": { "$date": { "$numberLong": "x" } }, "body": body }).to_string(),
        json!({ "receivedAt": { "$date": "2125-02-20T12:00:00Z" }, "body": body }).to_string(),
        json!({ "receivedAt": { "at": 1 }, "body": body }).to_string(),
        json!({ "receivedAt": 1_740_052_800_000_i64, "body": body }).to_string(),
        json!({ "receivedAt": at, "body": null }).to_string(),
        json!({ "receivedAt": at, "body": "texto" }).to_string(),
        json!({ "receivedAt": at, "body": [body] }).to_string(),
        json!({ "receivedAt": at, "body": {} }).to_string(),
        json!({ "receivedAt": at, "corpo": body }).to_string(),
        json!({ "_id": { "$oid": "0".repeat(24) }, "usuario": "x" }).to_string(),
        json!([body]).to_string(),
        "null".to_owned(),
        "{\"a\":".to_owned(),
    ];
    for line in refused {
        assert!(read_line(line.as_bytes(), now).is_err(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_lines_leave_nothing_behind() {
    let app = TestApp::start().await;
    let here = app.folder.path();
    let body = json!({ "nome": "B", "dataProduto": "20/02/2025", "url": "https://x.ons.org.br/a" });
    let lines = [
        json!({ "receivedAt": { "$date": { "$numberLong": "1740052800000" } }, "body": body }),
        json!({ "receivedAt": { "quando": 1 }, "body": body }),
        json!({ "usuario": "x" }),
        json!([body]),
    ];
    let text = format!("\u{feff}{}", lines.map(|line| line.to_string()).join("\r\n"));
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path: PathBuf = here.join("x.ndjson");
    std::fs::write(&path, wide).expect("a file");
    let (code, out, err) = imported(&app, &[&path.display().to_string()]);
    assert_eq!(code, Some(1), "{out}{err}");
    for reported in
        [":2: `receivedAt` is `{\"quando\":1}`", ":3: it has none of a notification's keys", ":4: it is a JSON array"]
    {
        assert!(err.contains(reported), "{reported}: {err}");
    }
    assert_eq!(err.as_bytes().lines().count(), 3, "{err}");
    app.settled(1).await;
    let data = app.query("{ notifications { nodes { name receivedAt } } }").await;
    assert_eq!(data["notifications"]["nodes"], json!([{ "name": "B", "receivedAt": "2025-02-20T12:00:00.000Z" }]));
}
