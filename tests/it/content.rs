use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::process::{Served, acervo, free_port, printed, run};
use crate::harness::samples::{old_cell, old_workbook, product, replace, zip};
use crate::harness::{Api, Db, Options, PATIENCE, TestApp, files_in, on_each_database, postgres, until};

/// What a search inside files finds, with the lines.
const FOUND: &str = "query($search: String!, $filter: PublicationFilter, $asOf: DateTime) {
    publications(search: $search, in: CONTENT, filter: $filter, asOf: $asOf, orderBy: NAME_ASC) { totalCount nodes {
        name status contentMatches(first: 20) { path place line url fragments { text isMatch } } } } }";

/// Waits until the files of all changes were read.
pub async fn all_read(api: &Api) {
    let status = "{ status { indexLag content { lag read partly unreadable } } }";
    api.until(status, |data| data["status"]["indexLag"] == 0 && data["status"]["content"]["lag"] == 0).await;
}

async fn found_with(api: &Api, variables: Value) -> Value {
    api.query_with(FOUND, variables).await["publications"].clone()
}

/// Each publication that has the words in its file, with the places and the marked lines.
pub async fn found(api: &Api, search: &str) -> Vec<String> {
    let found = found_with(api, json!({ "search": search })).await;
    let nodes = found["nodes"].as_array().expect("a list");
    assert_eq!(found["totalCount"], nodes.len());
    let all = nodes.iter().flat_map(|node| {
        let matches = node["contentMatches"].as_array().expect("a list");
        assert!(!matches.is_empty(), "{node}");
        matches.iter().map(|one| {
            let path = one["path"].as_str().map(|path| format!(" {path}")).unwrap_or_default();
            let name = node["name"].as_str().expect("a name");
            format!("{name}{path} [{}] {}", one["place"].as_str().expect("a place"), marked(one))
        })
    });
    all.collect()
}

/// The line, with the words in brackets.
fn marked(one: &Value) -> String {
    let fragments = one["fragments"].as_array().expect("a list");
    let text = |fragment: &Value| fragment["text"].as_str().expect("text").to_owned();
    let line: String = fragments.iter().map(text).collect();
    assert_eq!(one["line"], line);
    let mark = |fragment: &Value| match fragment["isMatch"].as_bool() {
        Some(true) => format!("[{}]", text(fragment)),
        _ => text(fragment),
    };
    fragments.iter().map(mark).collect()
}

/// A PDF with a page for each list of lines, in Windows-1252.
fn pdf(pages: &[&[&str]]) -> Vec<u8> {
    let mut objects: Vec<Vec<u8>> = vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()];
    let kids: Vec<String> = (0..pages.len()).map(|i| format!("{} 0 R", 4 + 2 * i)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()).into_bytes());
    objects.push(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec());
    for (i, lines) in pages.iter().enumerate() {
        let content = 5 + 2 * i;
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>"
            )
            .into_bytes(),
        );
        let mut stream = b"BT /F1 12 Tf 50 800 Td 14 TL\n".to_vec();
        for line in *lines {
            stream.push(b'(');
            stream.extend_from_slice(&encoding_rs::WINDOWS_1252.encode(line).0);
            stream.extend_from_slice(b") Tj T*\n");
        }
        stream.extend_from_slice(b"ET");
        let mut object = format!("<< /Length {} >>\nstream\n", stream.len()).into_bytes();
        object.extend_from_slice(&stream);
        object.extend_from_slice(b"\nendstream");
        objects.push(object);
    }
    of_objects(&objects)
}

/// A PDF with these objects; the first is its catalogue.
fn of_objects(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut starts = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        starts.push(file.len());
        file.extend_from_slice(format!("{} 0 obj\n", i + 1).as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let table = file.len();
    file.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for start in starts {
        file.extend_from_slice(format!("{start:010} 00000 n \n").as_bytes());
    }
    let trailer = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
    file.extend_from_slice(trailer.as_bytes());
    file
}

fn workbook(sheet: &str, rows: &[&[&str]]) -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let page = workbook.add_worksheet().set_name(sheet).expect("a name");
    for (row, cells) in (0u32..).zip(rows) {
        for (column, cell) in (0u16..).zip(*cells) {
            match cell.parse::<f64>() {
                Ok(number) => page.write_number(row, column, number),
                Err(_) => page.write_string(row, column, *cell),
            }
            .expect("a cell");
        }
    }
    workbook.save_to_buffer().expect("a workbook")
}

on_each_database!(words_inside_files_are_found);
async fn words_inside_files_are_found(db: Db) {
    let app = TestApp::on(db).await;
    let inner = zip(&[("vazoes.dat", b"POSTO   NOME\n  1   CAMARGOS      132.0\n  2   12.0   13.0\n")]);
    let deck = zip(&[("dadger.rv0", b"&  FURNAS\nUH   6   1    FURNAS <b>&amp;\n"), ("outer/Nested.ZIP", &inner)]);
    let files: Vec<(&str, &str, Vec<u8>)> = vec![
        ("Nota", "nota.pdf", pdf(&[&["Deck do PMO"], &["A modulação do valor de FCMAX", "no primeiro mês"]])),
        ("Planilha", "gtmin.xlsx", workbook("Usinas", &[&["Usina", "GTMIN"], &["1", "2"], &["Candiota III", "350.5"]])),
        ("Tabela", "vazoes.csv", b"data;vaz\xe3o m\xe9dia\n2025-01-01;13\n2025-01-02;previs\xf5es FCMAX\n".to_vec()),
        ("Deck", "deck.zip", deck),
    ];
    for (number, (name, file, bytes)) in (1..).zip(files) {
        app.archive(app.portal.add(product(number, name, file, bytes))).await;
    }
    all_read(&app).await;
    for (search, expected) in [
        ("FCMAX", &["Nota [p. 2] A modulação do valor de [FCMAX]", "Tabela [3] 2025-01-02;previsões [FCMAX]"][..]),
        ("MODULACAO fcmax", &["Nota [p. 2] A [modulação] do valor de [FCMAX]"]),
        ("previsão", &["Tabela [3] 2025-01-02;[previsões] FCMAX"]),
        ("vazao media", &["Tabela [1] data;[vazão] [média]"]),
        ("candio", &["Planilha [Usinas!3] [Candiota] III\t350.5"]),
        ("gtmin", &["Planilha [Usinas!1] Usina\t[GTMIN]"]),
        ("camargos", &["Deck outer/Nested.ZIP/vazoes.dat [2]   1   [CAMARGOS]      132.0"]),
        // Columns stay columns, and what looks like markup stays text.
        ("furnas amp", &["Deck dadger.rv0 [2] UH   6   1    [FURNAS] <b>&[amp];"]),
        // All words must be in one text.
        ("furnas camargos", &[]),
        // No typing errors, no lines of numbers, no names.
        ("FCMIN", &[]),
        ("13", &[]),
        ("dadger", &[]),
        ("...", &[]),
    ] {
        assert_eq!(found(&app, search).await, expected, "{search}");
    }
    // Addresses lead to the file, or to the member.
    let member = &found_with(&app, json!({ "search": "camargos" })).await["nodes"][0]["contentMatches"][0];
    let bytes = app.get(member["url"].as_str().expect("an address")).await.text().await.expect("text");
    assert!(bytes.contains("CAMARGOS"), "{bytes}");
    // Searches of names do not look inside, and have no lines.
    let names = app.query("{ publications(search: \"camargos\") { totalCount } }").await;
    assert_eq!(names["publications"]["totalCount"], 0);
    let named = app.query("{ publications(search: \"nota\") { nodes { contentMatches { line } } } }").await;
    assert_eq!(named["publications"]["nodes"], json!([{ "contentMatches": [] }]));
    // The same in the exports, and ordered by relevance.
    let csv = app.get("/export/publications.csv?search=fcmax&in=content&columns=name&orderBy=NAME_ASC").await;
    assert_eq!(csv.text().await.expect("text"), "name\r\nNota\r\nTabela\r\n");
    let csv = app.get("/export/revisions.csv?search=fcmax&in=content&columns=name&orderBy=RELEVANCE").await;
    assert_eq!(csv.text().await.expect("text").lines().count(), 3);
    assert_eq!(app.get("/export/publications.csv?search=fcmax&in=files").await.status(), 400);
    let scored = "{ publications(search: \"fcmax\", in: CONTENT, orderBy: RELEVANCE) { nodes { name score } } }";
    let scored = app.query(scored).await;
    for node in scored["publications"]["nodes"].as_array().expect("a list") {
        assert!(node["score"].as_f64().expect("a score") > 0.0, "{scored}");
    }
    let stats = "query($text: String) { publicationStats(search: $text, in: CONTENT, groupBy: [PRODUCT]) { product publications } }";
    let stats = app.query_with(stats, json!({ "text": "fcmax" })).await;
    let counted = |product: &str| json!({ "product": product, "publications": 1 });
    assert_eq!(stats["publicationStats"], json!([counted("Nota"), counted("Tabela")]));
    let wrong = app
        .ask(
            "{ publications(search: \"zzzz\", in: CONTENT) { nodes { contentMatches(first: 21) { line } } } }",
            Value::Null,
        )
        .await;
    assert_eq!(wrong["errors"], Value::Null, "nothing is found, so nothing is asked for: {wrong}");
    let wrong = app
        .ask(
            "{ publications(search: \"fcmax\", in: CONTENT) { nodes { contentMatches(first: 21) { line } } } }",
            Value::Null,
        )
        .await;
    assert!(wrong["errors"][0]["message"].as_str().expect("a message").contains("`first` is 21"), "{wrong}");
}

/// Workbooks of Excel before 2007, as files and in zips.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_workbooks_are_searched() {
    let app = TestApp::start().await;
    let text = |row: u16, column: u16, at: u32| old_cell(0x00fd, row, column, &at.to_le_bytes());
    let number = |row: u16, column: u16, value: f64| old_cell(0x0203, row, column, &value.to_le_bytes());
    let cells = [text(0, 0, 0), text(0, 1, 1), text(6, 0, 2), number(6, 1, 350.5)];
    let book = old_workbook(&["Usina", "Vazao natural", "Tucurui"], &cells);
    app.archive(app.portal.add(product(1, "Acomph", "ACOMPH.xls", book.clone()))).await;
    let packed = zip(&[("planilhas/ACOMPH.XLS", &book)]);
    app.archive(app.portal.add(product(2, "Pacote", "pacote.zip", packed))).await;
    all_read(&app).await;
    let expected = ["Acomph [Dia!7] [Tucurui]\t350.5", "Pacote planilhas/ACOMPH.XLS [Dia!7] [Tucurui]\t350.5"];
    assert_eq!(found(&app, "tucuruí").await, expected);
    let expected =
        ["Acomph [Dia!1] Usina\t[Vazao] [natural]", "Pacote planilhas/ACOMPH.XLS [Dia!1] Usina\t[Vazao] [natural]"];
    assert_eq!(found(&app, "vazão natural").await, expected);
}

/// The names of the revisions with a word in their files, by number.
async fn revisions(api: &Api, search: &str) -> Vec<i64> {
    let query = "query($search: String!) { revisions(search: $search, in: CONTENT, orderBy: ARCHIVED_ASC) {
        nodes { number contentMatches { line } } } }";
    let data = api.query_with(query, json!({ "search": search })).await;
    let nodes = data["revisions"]["nodes"].as_array().expect("a list").clone();
    nodes.iter().map(|node| node["number"].as_i64().expect("a number")).collect()
}

on_each_database!(time_filters_and_removal_apply_to_what_is_inside);
async fn time_filters_and_removal_apply_to_what_is_inside(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("acervo.toml");
    let policy = "[retention]\ngrace = \"1d\"\n[[retention.policy]]\nname = \"last\"\nmatch = { name = [\"Nota\"] }\nkeep_last = 1\n";
    std::fs::write(&config, policy).expect("a file");
    let database_url = postgres::database(db);
    let app = TestApp::with(Options { config: Some(config), database_url, ..Options::default() }).await;
    let number = app.portal.add(product(1, "Nota", "nota.txt", "a palavra segredoum\n"));
    app.archive(number).await;
    let before = Timestamp::now().to_string();
    app.portal.change(number, |product| replace(product, "a palavra segredodois\n"));
    app.archive(number).await;
    // The same bytes under another product stay when one of them is removed.
    app.archive(app.portal.add(product(2, "Outra", "outra.txt", "a palavra compartilhada\n"))).await;
    all_read(&app).await;
    assert_eq!(found(&app, "segredoum").await, [""; 0]);
    assert_eq!(found(&app, "segredodois").await.len(), 1);
    let then = found_with(&app, json!({ "search": "segredoum", "asOf": before })).await;
    assert_eq!(then["nodes"][0]["contentMatches"][0]["line"], "a palavra segredoum");
    assert_eq!(found_with(&app, json!({ "search": "segredodois", "asOf": before })).await["totalCount"], 0);
    assert_eq!(revisions(&app, "palavra segredo").await, [1, 2]);
    for (filter, count) in [
        (json!({ "extension": ["txt"] }), 2),
        (json!({ "extension": ["pdf"] }), 0),
        (json!({ "name": { "eq": "outra" } }), 1),
        (json!({ "period": { "from": "2025-02-21" } }), 0),
    ] {
        let found = found_with(&app, json!({ "search": "palavra", "filter": filter })).await;
        assert_eq!(found["totalCount"], count, "{filter}");
    }
    // What retention removes is not found from then on, and leaves the index of contents.
    let run = app.query("mutation { runRetention(dryRun: false) { id removed } }").await["runRetention"].clone();
    assert_eq!(run["removed"], 1, "{run}");
    all_read(&app).await;
    assert_eq!(revisions(&app, "segredoum").await, [0; 0]);
    assert_eq!(found_with(&app, json!({ "search": "segredoum", "asOf": before })).await["totalCount"], 0);
    assert_eq!(contents(&app).await, ["a palavra compartilhada", "a palavra segredodois"]);
    let undo = "mutation($id: ID!) { undoRetention(runId: $id) { id } }";
    app.query_with(undo, json!({ "id": run["id"] })).await;
    all_read(&app).await;
    assert_eq!(revisions(&app, "segredoum").await, [1]);
}

/// The lines that the index of contents has of files whose text has the word `palavra`.
async fn contents(app: &TestApp) -> Vec<String> {
    let index = acervo::leaves::index(&app.app).contents().expect("contents").clone();
    let deadline = acervo::leaves::index::Deadline::at(std::time::Instant::now() + PATIENCE);
    let bytes = ["a palavra segredoum\n", "a palavra segredodois\n", "a palavra compartilhada\n"];
    let digests = bytes.iter().map(|bytes| acervo::domain::Digest::of(bytes.as_bytes()));
    let lines = digests.flat_map(|digest| index.matches_in(digest, "palavra", 5, &deadline).expect("matches"));
    let text = |found: acervo::leaves::index::ContentMatch| {
        found.line.fragments.into_iter().map(|fragment| fragment.text).collect::<String>()
    };
    let mut lines: Vec<String> = lines.map(text).collect();
    lines.sort();
    lines
}

async fn outcomes(api: &Api) -> [i64; 3] {
    let data = api.query("{ status { content { read partly unreadable } } }").await;
    ["read", "partly", "unreadable"].map(|name| data["status"]["content"][name].as_i64().expect("a number"))
}

/// Files that cannot be read, or not whole, are counted as such and do not keep others from being read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_and_huge_files_are_bounded() {
    let app =
        TestApp::with(Options { values: vec![("content.text_max", "2 MiB".to_owned())], ..Options::default() }).await;
    let mut cut = pdf(&[&["palavra"]]);
    cut.truncate(cut.len() / 2);
    let line = "uma linha com palavra e numeros 123456789\n";
    let table = line.repeat((100 << 20) / line.len());
    let bomb =
        zip(&[("bomba.txt", "zzz zzz zzz zzz\n".repeat(20 << 20).as_bytes()), ("pequeno.txt", b"palavra curta\n")]);
    let good = pdf(&[&["palavra boa"]]);
    let broken_member = zip(&[("quebrado.pdf", b"%PDF-1.7\nnada"), ("bom.pdf", &good)]);
    for (number, name, file, bytes) in [
        (1, "Cortado", "cortado.pdf", cut),
        (2, "Nada", "nada.pdf", b"%PDF-1.7\n%%EOF".to_vec()),
        (3, "Tabela", "tabela.csv", table.into_bytes()),
        (4, "Bomba", "bomba.zip", bomb),
        (5, "Membro", "membro.zip", broken_member),
        (6, "Imagem", "imagem.png", b"\x89PNG\r\n\x1a\n\0\0\0\0".to_vec()),
        (7, "Planilha", "planilha.xlsx", b"PK\x03\x04 nada".to_vec()),
        (8, "Bom", "bom.pdf", good.clone()),
    ] {
        app.archive(app.portal.add(product(number, name, file, bytes))).await;
    }
    all_read(&app).await;
    let lines = found(&app, "palavra").await;
    let names: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["Bom", "Bomba", "Membro", "Tabela"], "{lines:?}");
    assert_eq!(outcomes(&app).await, [1, 3, 3]);
    // Each file says what became of it, and why.
    let data = app.query("{ revisions(first: 20) { nodes { name text { state note } } } }").await;
    let text_of = |name: &str| {
        let nodes = data["revisions"]["nodes"].as_array().expect("a list");
        let node = nodes.iter().find(|node| node["name"] == name).expect("a revision");
        (node["text"]["state"].as_str().expect("a state"), node["text"]["note"].as_str().unwrap_or_default())
    };
    for (name, state, note) in [
        ("Cortado", "UNREADABLE", "`cortado.pdf`: "),
        ("Membro", "PARTLY", "`quebrado.pdf`: "),
        ("Tabela", "PARTLY", "of `tabela.csv` the first 8 MiB"),
        ("Bomba", "PARTLY", "of `bomba.txt` the first 8 MiB"),
        ("Imagem", "NO_TEXT", ""),
        ("Bom", "READ", ""),
    ] {
        let found = text_of(name);
        assert!(found.0 == state && found.1.starts_with(note), "{name}: {found:?}");
    }
    let bytes: u64 = files_in(&app.folder.path().join("data/content"))
        .iter()
        .map(|path| path.metadata().expect("a file").len())
        .sum();
    assert!(bytes < 4 << 20, "{bytes} bytes");
    let metrics = app.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("acervo_content_files{outcome=\"unreadable\"} 3"), "{metrics}");
}

/// What a parser does ends with its process: here it is a script that misbehaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parser_that_hangs_prints_or_crashes_is_ended() {
    use std::os::unix::fs::PermissionsExt;
    for (misbehaviour, words) in [
        ("exec sleep 1000", "longer than 1 s"),
        ("exec yes", "its parser failed"),
        ("kill -SEGV $$", "its parser failed"),
        ("cat > /dev/null; printf 'noise\\0+p. 1\\tpalavra\\n'; exit 3", "its parser failed"),
        ("true", "its parser failed"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("parser");
        std::fs::write(&program, format!("#!/bin/sh\n{misbehaviour}\n")).expect("a script");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a script");
        let limits =
            acervo::leaves::extract::Limits { memory_max: 1 << 30, time_max: std::time::Duration::from_secs(1) };
        let extractor = acervo::leaves::extract::Extractor::new(Some(program), limits);
        let bytes = vec![b' '; 1 << 20];
        let read = extractor.read(acervo::leaves::extract::Kind::Pdf, &bytes, 1_000, &|| false);
        let error = read.expect_err("an error");
        assert!(error.contains(words), "{misbehaviour}: {error}");
    }
}

/// A PDF that unpacks to more than its process may take is unreadable, however small it is.
#[test]
fn the_memory_of_a_parser_is_limited() {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..600 {
        packed.write_all(&zeros).expect("memory");
    }
    let stream = packed.finish().expect("memory");
    let mut content = format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", stream.len()).into_bytes();
    content.extend_from_slice(&stream);
    content.extend_from_slice(b"\nendstream");
    let bomb = of_objects(&[
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>".to_vec(),
        content,
    ]);
    let limits = |memory_max| acervo::leaves::extract::Limits { memory_max, time_max: PATIENCE };
    let program = || Some(env!("CARGO_BIN_EXE_acervo").into());
    let pdf_kind = acervo::leaves::extract::Kind::Pdf;
    let limited = acervo::leaves::extract::Extractor::new(program(), limits(512 << 20));
    // It ends, with an error or without a text.
    let read = limited.read(pdf_kind, &bomb, 1_000, &|| false);
    assert!(read.as_ref().is_ok_and(|lines| lines.as_str().is_empty()) || read.is_err(), "{read:?}");
    let tight = acervo::leaves::extract::Extractor::new(program(), limits(16 << 20));
    let error = tight.read(pdf_kind, &pdf(&[&["palavra"]]), 1_000, &|| false).expect_err("an error");
    assert!(error.contains("memory"), "{error}");
    let good = limited.read(pdf_kind, &pdf(&[&["palavra"]]), 1_000, &|| false).expect("lines");
    assert_eq!(good.as_str(), "p. 1\tpalavra\n");
    // Cancelled.
    let cancelled = limited.read(pdf_kind, &bomb, 1_000, &|| true);
    assert!(cancelled.is_err());
}

const FILES: u32 = 6;

async fn some_files(app: &TestApp) {
    for number in 1..=FILES {
        let text = format!("palavra comum e numero{number}\n");
        app.archive(app.portal.add(product(number, &format!("Produto {number}"), "a.txt", text))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_of_contents_can_be_deleted_broken_and_turned_off() {
    let app = TestApp::start().await;
    some_files(&app).await;
    all_read(&app).await;
    let folder = app.stop().await;
    let contents = folder.path().join("data/content");
    let with =
        |values: Vec<(&'static str, String)>| Options { folder: Some(folder.clone()), values, ..Options::default() };
    std::fs::remove_dir_all(&contents).expect("a folder");
    let app = TestApp::with(with(Vec::new())).await;
    all_read(&app).await;
    assert_eq!(found(&app, "palavra").await.len(), FILES as usize);
    // A new index of names does not need the files again.
    let written = |path: &Path| files_in(path).iter().map(|file| file.metadata().expect("a file").len()).sum::<u64>();
    let before = written(&contents);
    app.stop().await;
    std::fs::remove_dir_all(folder.path().join("data/index")).expect("a folder");
    let app = TestApp::with(with(Vec::new())).await;
    all_read(&app).await;
    assert_eq!(found(&app, "palavra numero3").await.len(), 1);
    assert_eq!(written(&contents), before);
    app.stop().await;
    std::fs::write(contents.join("meta.json"), "{").expect("a file");
    let app = TestApp::with(with(Vec::new())).await;
    all_read(&app).await;
    assert_eq!(found(&app, "palavra").await.len(), FILES as usize);
    app.stop().await;
    let app = TestApp::with(with(vec![("content.index", "false".to_owned())])).await;
    let answer = app.ask(FOUND, json!({ "search": "palavra" })).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    assert!(error["message"].as_str().expect("a message").contains("content.index"), "{answer}");
    assert_eq!(app.query("{ status { content { lag } } }").await["status"]["content"], Value::Null);
    assert_eq!(
        app.query("{ publications(search: \"produto\") { totalCount } }").await["publications"]["totalCount"],
        FILES
    );
}

/// Killed in the middle of reading files, the service continues where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_reading_it_continues() {
    let app = TestApp::start().await;
    some_files(&app).await;
    let folder = app.stop().await;
    std::fs::remove_dir_all(folder.path().join("data/content")).expect("a folder");
    let path = folder.path().to_owned();
    for round in 1..=3 {
        // It may be killed before anyone sees it serve.
        let mut command = acervo(&path);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(std::process::Stdio::null());
        command.env("FAILPOINTS", format!("content-added={round}*off->return"));
        let ended = tokio::task::spawn_blocking(move || command.status().expect("a binary that starts"));
        let ended = tokio::time::timeout(PATIENCE, ended).await.expect("an end").expect("a status");
        assert_eq!(ended.code(), None, "it was killed");
    }
    let served =
        tokio::task::spawn_blocking(move || Served::start(&path, free_port(), "warn")).await.expect("a server");
    all_read(&served).await;
    assert_eq!(found(&served, "palavra comum").await.len(), FILES as usize);
    assert_eq!(found(&served, "numero2").await.len(), 1);
    drop(served);
}

/// Another process reads how far the text is from the index: it is written with the last file, and without files from time to time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sees_that_all_text_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let links = FileServer::start().await;
    links.offer("/a.txt", b"palavra", None);
    let start = |faults: &str| {
        let mut command = acervo(&path);
        command.env("FAILPOINTS", faults);
        let log = path.join("log.txt");
        tokio::task::block_in_place(|| Served::spawn(command, log, free_port(), "warn"))
    };
    let all_is_read = async |publications: u64| {
        let status = tokio::task::block_in_place(|| run(&path, &["status", "--format", "json"]));
        let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
        let content = &status["content"];
        let is_read = status["publications"] == publications && content["read"] == 1 && content["lag"] == 0;
        is_read.then_some(())
    };
    let served = start("content-commits-every=return(0);content-position-every=return(86400000)");
    let link = links.link(&json!({ "URL": "/a.txt", "IsFile": "True" }));
    assert_eq!(served.notify(&Notice::new("Com arquivo").link(link).to_string()).await.0, 202);
    until("a file whose text is read", async || all_is_read(1).await).await;
    drop(served);
    let served = start("content-position-every=return(0)");
    assert_eq!(served.notify(&Notice::new("Sem arquivo").to_string()).await.0, 202);
    until("a change without a file", async || all_is_read(2).await).await;
}

/// `acervo search --in content`, beside a service and without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_searches_inside_files() {
    let app = TestApp::start().await;
    let deck = zip(&[("pasta/dadger.rv0", b"& comentario\nUH   6   1    FURNAS\n")]);
    app.archive(app.portal.add(product(1, "Deck DECOMP", "deck.zip", deck))).await;
    all_read(&app).await;
    let folder = app.folder.path().to_owned();
    let command = move |args: Vec<&'static str>| {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || printed(&folder, &args))
    };
    let table = command(vec!["search", "--in", "content", "furnas"]).await.expect("output");
    assert!(table.contains("Deck DECOMP") && table.contains("pasta/dadger.rv0:2: UH   6   1    FURNAS"), "{table}");
    assert!(table.contains("1 of 1"), "{table}");
    let colored = command(vec!["search", "--in", "content", "furnas", "--color", "always"]).await.expect("output");
    assert!(colored.contains("\u{1b}[1mDeck DECOMP\u{1b}[0m  ") && !table.contains('\u{1b}'), "{colored}");
    assert!(
        colored.contains("UH   6   1    \u{1b}[1;31mFURNAS\u{1b}[0m\n") && !colored.contains("\\u001b"),
        "{colored}"
    );
    let rows: Value = serde_json::from_str(
        &command(vec!["search", "--in", "content", "--format", "json", "furnas"]).await.expect("output"),
    )
    .expect("JSON");
    assert_eq!(rows[0]["contentMatches"][0]["path"], "pasta/dadger.rv0");
    let files = tempfile::tempdir().expect("a folder");
    for (words, count) in [("furnas", 1), ("decomp", 0)] {
        let target = files.path().join(words);
        let args = ["get", "--in", "content", "--search", words, "-d"].map(str::to_owned).into_iter();
        let args: Vec<String> = args.chain([target.display().to_string()]).collect();
        let at = app.folder.path().to_owned();
        let output =
            tokio::task::spawn_blocking(move || printed(&at, &args.iter().map(String::as_str).collect::<Vec<_>>()));
        let output = output.await.expect("output");
        assert!(output.starts_with(&format!("{count} file")), "{words}: {output}");
    }
    let csv = command(vec!["search", "--in", "content", "--format", "csv", "furnas"]).await.expect("output");
    assert!(csv.contains("UH   6   1    FURNAS"), "{csv}");
    assert!(command(vec!["search", "--in", "content", "itaipu"]).await.expect("output").contains("nothing found"));
    let folder = app.stop().await;
    std::fs::remove_dir_all(folder.path().join("data/content")).expect("a folder");
    // Without a service the command reads the files itself.
    let table = printed(folder.path(), &["search", "--in", "content", "furnas"]);
    assert!(table.contains("FURNAS"), "{table}");
    let wrong = run(folder.path(), &["search", "--in", "content"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_damaged_is_read_again() {
    let app = TestApp::start().await;
    app.archive(app.portal.add(product(1, "Nota", "nota.txt", "palavra rara\n".repeat(500)))).await;
    all_read(&app).await;
    let folder = app.stop().await;
    std::fs::remove_dir_all(folder.path().join("data/content")).expect("a folder");
    let archive = folder.path().join("data/archive");
    let is_object = |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "zst");
    let object = files_in(&archive).iter().find(is_object).expect("an object").clone();
    let bytes = std::fs::read(&object).expect("bytes");
    std::fs::write(&object, vec![0; bytes.len()]).expect("damage");
    let options = || Options { folder: Some(folder.clone()), ..Options::default() };
    let app = TestApp::with(options()).await;
    all_read(&app).await;
    assert_eq!(outcomes(&app).await, [0, 0, 1]);
    app.stop().await;
    std::fs::write(&object, bytes).expect("a repair");
    let app = TestApp::with(options()).await;
    until("the file is read again", async || (outcomes(&app).await == [1, 0, 0]).then_some(())).await;
    assert_eq!(found(&app, "palavra rara").await.len(), 1);
}
