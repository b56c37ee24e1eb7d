use std::path::Path;

use acervo::domain::Digest;
use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::packing::gzip;
use crate::harness::process::{imported, run};
use crate::harness::{Db, TestApp, on_each_database, samples};

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> String {
    std::fs::write(path, bytes).expect("a file");
    path.display().to_string()
}

/// Lines as another receiver stored them: a valid link, two expired ones, and lines that are refused.
fn lines_of_a_receiver(links: &FileServer) -> String {
    let now = jiff::Timestamp::now().as_second();
    links.offer("/sites/1/Produtos/1/vivo.txt", b"vivo", None);
    let claims =
        |n: u32, name: &str| json!({ "URL": format!("/sites/1/Produtos/{n}/{name}"), "username": samples::EMAIL });
    let alive = links.link(&claims(1, "vivo.txt"));
    let expired = links.link_at(&claims(2, "morto.txt"), now - 200_000, now - 113_360);
    let body = |name: &str, day: &str, url: &str| json!({ "nome": name, "dataProduto": day, "url": url });
    let received = |at: &str, body: Value| json!({ "receivedAt": at, "body": body }).to_string();
    [
        body("Vivo", "20/02/2025", &alive).to_string(),
        received("2025-02-20T12:00:00.123Z", body("Morto", "19/02/2025", &expired)),
        received("2025-02-21T12:00:00Z", body("Morto", "20/02/2025", &expired).to_string().into()),
        String::new(),
        "{\"nome\": ".to_owned(),
        received("ontem", body("Morto", "19/02/2025", &expired)),
        received("2125-02-20T12:00:00Z", body("Morto", "19/02/2025", &expired)),
        json!({ "nome": "Sem data", "url": expired }).to_string(),
        format!("{{\"nome\": \"{}\"}}", "x".repeat(300 << 10)),
    ]
    .join("\n")
}

/// What `acervo import` prints of these lines.
const PRINTED: &str = "8 notifications read
1 queued; `acervo serve` fetches their files
2 recorded as expired; \"Enviar Tudo\" on the portal sends the current ones again
0 skipped because they exist already
5 refused for the reasons above
";

on_each_database!(bodies_of_another_receiver_are_recorded_once_at_their_time, 2 threads);
async fn bodies_of_another_receiver_are_recorded_once_at_their_time(db: Db) {
    let app = TestApp::on(db).await;
    let links = FileServer::start().await;
    let lines = lines_of_a_receiver(&links);
    let plain = write(&app.folder.path().join("a.ndjson"), &lines);
    let (code, out, err) = imported(&app, &[&plain, "--dry-run"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert_eq!(app.query("{ notifications { totalCount } }").await["notifications"]["totalCount"], 0);
    let (code, out, err) = imported(&app, &[&plain]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert_eq!(out, PRINTED);
    for message in [
        ":5: it is not a JSON object",
        ":6: `receivedAt` is `ontem`",
        ":7: `receivedAt` is `2125-02-20T12:00:00Z`, which is in the future",
        ":8: recorded as rejected: `dataProduto` and `periodicidade` are missing",
        ":9: the line has more than",
    ] {
        assert!(err.contains(message), "{message}: {err}");
    }
    assert!(!err.contains("token=") && !err.contains(samples::EMAIL), "{err}");
    app.settled(4).await;
    are_recorded(&app).await;
    // Again, packed in two ways: nothing is added.
    for packed in [gzip(lines.as_bytes()), zstd::encode_all(lines.as_bytes(), 3).expect("a frame")] {
        let path = write(&app.folder.path().join("again"), packed);
        let (_, out, err) = imported(&app, &[&path]);
        assert!(out.contains("4 skipped"), "{out}{err}");
        assert_eq!(app.query("{ notifications { totalCount } }").await["notifications"]["totalCount"], 4);
    }
    // An import is no replay, however many lines it has.
    assert_eq!(app.query("{ replays { totalCount } }").await["replays"]["totalCount"], 0);
}

/// The four lines that could be taken, each at its time.
async fn are_recorded(app: &TestApp) {
    let query = "{ notifications { nodes { name status source receivedAt error } }
        publications(orderBy: PERIOD_ASC) { nodes { name status referenceDate } } }";
    let data = app.query(query).await;
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    for node in data["notifications"]["nodes"].as_array().expect("a list") {
        let field = |name: &str| node[name].as_str().expect("a text");
        assert_eq!(field("source"), "import");
        seen.push((field("name"), field("status"), if field("name") == "Morto" { field("receivedAt") } else { "" }));
    }
    seen.sort();
    let expected = [
        ("Morto", "EXPIRED", "2025-02-20T12:00:00.123Z"),
        ("Morto", "EXPIRED", "2025-02-21T12:00:00.000Z"),
        ("Sem data", "REJECTED", ""),
        ("Vivo", "ARCHIVED", ""),
    ];
    assert_eq!(seen, expected);
    let expected = json!([
        { "name": "Morto", "status": "LOST", "referenceDate": "19/02/2025" },
        { "name": "Morto", "status": "LOST", "referenceDate": "20/02/2025" },
        { "name": "Vivo", "status": "ARCHIVED", "referenceDate": "20/02/2025" },
    ]);
    assert_eq!(data["publications"]["nodes"], expected);
}

/// A folder of three days of one product, the second day's file unchanged, and its manifest in no order.
fn decks(folder: &Path) -> (String, String) {
    let files = folder.join("baixados");
    std::fs::create_dir_all(files.join("dia")).expect("a folder");
    write(&files.join("dia/a.txt"), "primeira");
    write(&files.join("dia/b.txt"), "primeira");
    write(&files.join("dia/c.txt"), "segunda");
    write(&files.join("dia/d.txt"), "primeira");
    std::os::unix::fs::symlink("/etc/passwd", files.join("fora.txt")).expect("a link");
    let manifest = "\u{feff}path;nome;dataProduto;processo;listPath;receivedAt\r\n\
        dia/c.txt;Deck;02/2024;PMO;/sites/9/1/Produtos/9;2024-02-03T12:00:00Z\r\n\
        dia/a.txt;Deck;02/2024;PMO;/sites/9/1/Produtos/9;2024-02-01T12:00:00Z\r\n\
        dia/b.txt;Deck;02/2024;PMO;/sites/9/1/Produtos/9;2024-02-02T12:00:00Z\r\n\
        dia/d.txt;Deck;02/2024;PMO;/sites/9/1/Produtos/9;2024-02-04T12:00:00Z\r\n\
        ../fora.txt;Deck;02/2024;PMO;;\r\n\
        fora.txt;Deck;02/2024;PMO;;\r\n\
        nada.txt;Deck;02/2024;PMO;;\r\n\
        dia/a.txt;;02/2024;PMO;;\r\n\
        dia/a.txt;Deck;fevereiro;PMO;;\r\n";
    (files.display().to_string(), write(&folder.join("manifesto.csv"), manifest))
}

const HISTORY: &str = "{ publications { nodes { revisionNumber revisionCount
    revisions { number sha256 archivedAt supersededAt fileName announcedAt } } } }";

async fn as_of(app: &TestApp, at: &str) -> Value {
    let query = format!("{{ publications(asOf: \"{at}\") {{ nodes {{ revisionNumber sha256 }} }} }}");
    app.query(&query).await["publications"]["nodes"][0].clone()
}

on_each_database!(imported_files_answer_for_the_past, 2 threads);
async fn imported_files_answer_for_the_past(db: Db) {
    let app = TestApp::on(db).await;
    let (files, manifest) = decks(app.folder.path());
    let (code, out, err) = imported(&app, &[&files, "--manifest", &manifest, "--dry-run"]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.starts_with("9 files read\n3 would have been archived as revisions\n1 skipped"), "{out}{err}");
    let (code, out, err) = imported(&app, &[&files, "--manifest", &manifest]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(
        out.starts_with("9 files read\n3 archived as revisions\n1 skipped because they exist already\n5 refused for"),
        "{out}{err}"
    );
    for message in [
        ":6: `path` is `../fora.txt`; it must be inside the given folder",
        ":7: `fora.txt` is not a file under the given folder",
        ":8: `nada.txt` cannot be read",
        ":9: `nome` is missing",
        ":10: `dataProduto` is `fevereiro`",
    ] {
        assert!(err.contains(message), "{message}: {err}");
    }
    app.settled(3).await;
    let first = Digest::of(b"primeira").to_string();
    let second = Digest::of(b"segunda").to_string();
    let data = app.query(HISTORY).await;
    let node = &data["publications"]["nodes"][0];
    assert_eq!((node["revisionNumber"].as_i64(), node["revisionCount"].as_i64()), (Some(3), Some(3)));
    let at = |day: u32| format!("2024-02-{day:02}T12:00:00.000Z");
    let revision = |number: u32, sha256: &str, day: u32, superseded: Option<u32>, file: &str| {
        json!({
            "number": number, "sha256": sha256, "archivedAt": at(day), "supersededAt": superseded.map(at),
            "fileName": file, "announcedAt": at(day),
        })
    };
    let expected = json!([
        revision(1, &first, 1, Some(3), "a.txt"),
        revision(2, &second, 3, Some(4), "c.txt"),
        revision(3, &first, 4, None, "d.txt"),
    ]);
    assert_eq!(node["revisions"], expected);
    assert_eq!(as_of(&app, "2024-02-02T00:00:00Z").await, json!({ "revisionNumber": 1, "sha256": first }));
    assert_eq!(as_of(&app, "2024-02-03T12:00:00Z").await, json!({ "revisionNumber": 2, "sha256": second }));
    assert!(as_of(&app, "2024-01-31T00:00:00Z").await.is_null());
    // Again adds nothing.
    let (_, out, err) = imported(&app, &[&files, "--manifest", &manifest]);
    assert!(out.contains("0 archived as revisions\n4 skipped"), "{out}{err}");
    assert_eq!(app.query(HISTORY).await, data);
}

on_each_database!(an_older_file_takes_its_place_in_the_order, 2 threads);
async fn an_older_file_takes_its_place_in_the_order(db: Db) {
    let app = TestApp::on(db).await;
    let (files, manifest) = decks(app.folder.path());
    let (code, out, err) = imported(&app, &[&files, "--manifest", &manifest]);
    assert_eq!(code, Some(1), "{out}{err}");
    // A file from before all of these, as a tar and with NDJSON.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "velho/x.txt", &b"velha"[..]).expect("an entry");
    let tar = write(&app.folder.path().join("velho.tar.gz"), gzip(&tar.into_inner().expect("a tar")));
    let row = json!({
        "path": "velho/x.txt", "nome": "Deck", "dataProduto": "02/2024", "listPath": "/sites/9/1/Produtos/9",
        "receivedAt": "2024-01-31T12:00:00-03:00",
    });
    let manifest = write(&app.folder.path().join("velho.ndjson"), row.to_string());
    let (code, out, err) = imported(&app, &[&tar, "--manifest", &manifest]);
    assert_eq!(code, Some(0), "{out}{err}");
    app.settled(4).await;
    let numbers = "{ publications { nodes { revisionNumber revisions { number fileName } } } }";
    let files = [(1, "x.txt"), (2, "a.txt"), (3, "c.txt"), (4, "d.txt")];
    let revisions = files.map(|(number, name)| json!({ "number": number, "fileName": name }));
    let expected = json!({ "revisionNumber": 4, "revisions": revisions });
    assert_eq!(app.query(numbers).await["publications"]["nodes"][0], expected);
    assert_eq!(as_of(&app, "2024-02-01T00:00:00Z").await["revisionNumber"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_after_live_announcements_never_displaces_what_is_newer() {
    let app = TestApp::start().await;
    let mut live = samples::product(9, "Deck", "hoje.txt", &b"viva"[..]);
    live.list_path = "/sites/9/1/Produtos/9".to_owned();
    let number = app.portal.add(live);
    app.archive(number).await;
    let files = app.folder.path().join("f");
    std::fs::create_dir(&files).expect("a folder");
    write(&files.join("x.txt"), "antiga");
    let row = "path,nome,dataProduto,listPath,receivedAt\nx.txt,Deck velho,20/02/2025,/sites/9/1/Produtos/9,2025-02-20T10:00:00Z\n";
    let manifest = write(&app.folder.path().join("m.csv"), row);
    let (code, out, err) = imported(&app, &[&files.display().to_string(), "--manifest", &manifest]);
    assert_eq!(code, Some(0), "{out}{err}");
    app.settled(2).await;
    let query = "{ products { nodes { name aliases { name } revisionCount } }
        publications { totalCount nodes { fileName revisionNumber revisionCount status } } }";
    let data = app.query(query).await;
    // The old name finds it.
    let found = app.query("{ publications(search: \"velho\") { totalCount } }").await;
    assert_eq!(found["publications"]["totalCount"], 1);
    assert_eq!(
        data["products"]["nodes"],
        json!([{ "name": "Deck", "aliases": [{ "name": "Deck velho" }, { "name": "Deck" }], "revisionCount": 2 }])
    );
    assert_eq!(
        data["publications"],
        json!({ "totalCount": 1, "nodes": [{ "fileName": "hoje.txt", "revisionNumber": 2, "revisionCount": 2, "status": "ARCHIVED" }] })
    );
}

#[test]
fn wrong_arguments_of_import_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error_of = |code: i32, args: &[&str]| {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let here = folder.path().display().to_string();
    assert!(error_of(2, &["import", &here]).contains("is a folder; give --manifest"));
    assert!(error_of(1, &["import", "/nowhere.ndjson"]).contains("/nowhere.ndjson cannot be read"));
    let manifest = write(&folder.path().join("m.csv"), "arquivo,nome\n");
    assert!(
        error_of(1, &["import", "--create", &here, "--manifest", &manifest])
            .contains("with the columns `path` and `nome`")
    );
    assert!(error_of(1, &["import", "--create", &manifest, "--manifest", &here]).contains("cannot be read"));
}
