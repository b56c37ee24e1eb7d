use std::io::Write;

use acervo::leaves::store::{Archive, Budget, MemberError, StoreError};
use futures_util::StreamExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::samples::{RawMember, product, raw_zip, zip};
use crate::harness::{Db, KEY, TestApp, on_each_database};

/// Archives a zip and gives the id of its revision.
async fn archive(app: &TestApp, bytes: Vec<u8>) -> String {
    let number = app.portal.add(product(1, "Zip", "z.zip", bytes));
    app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned()
}

/// Path and address of each member, from GraphQL.
async fn listed(app: &TestApp, id: &str) -> Vec<(String, String)> {
    let query = "query($id: ID!) { revision(id: $id) { members(first: 1000) { nodes { path url } } } }";
    let data = app.query_with(query, json!({ "id": id })).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let nodes = data["revision"]["members"]["nodes"].as_array().expect("a list");
    nodes.iter().map(|node| (text(&node["path"]), text(&node["url"]))).collect()
}

/// Names as a zip holds them, and the paths under which the members are listed.
const NAMES: &[(&[u8], &str)] = &[
    (b" antes e depois ", " antes e depois "),
    (b"com\ttab\x01.txt", "com_tab_.txt"),
    (b"./ponto.txt", "ponto.txt"),
    (b"../fora.txt", "fora.txt"),
    (b"a/../b/./c.txt", "a/b/c.txt"),
    (b"/absoluto.txt", "absoluto.txt"),
    (b"pasta\\de\\net.txt", "pasta/de/net.txt"),
    (b"a//b.txt", "a/b.txt"),
    (b"100%25 ?#&+.txt", "100%25 ?#&+.txt"),
    (b"Arquivos Sa\xa1da/Previs\xc6o E\xa2lica.csv", "Arquivos Saída/Previsão Eólica.csv"),
    (b"Relat\xa2rio \xe0\xc7\xe5.txt", "Relatório ÓÃÕ.txt"),
    (b"\xc9\xcd\xbb.txt", "╔═╗.txt"),
    (b"igual.txt", "igual.txt"),
    (b"igual.txt", "igual (2).txt"),
    (b".\\igual.txt", "igual (3).txt"),
    (b"..", "member-15"),
    ("rtl\u{202e}fdp.exe".as_bytes(), "rtl_fdp.exe"),
    (b"Opera\xe7\xe3o Di\xe1ria.txt", "Operação Diária.txt"),
    (b"caf\xe9.txt", "café.txt"),
];

on_each_database!(every_listed_member_is_found_by_its_url);
async fn every_listed_member_is_found_by_its_url(db: Db) {
    let contents: Vec<Vec<u8>> = NAMES.iter().map(|(name, _)| [b"conteudo de ", *name].concat()).collect();
    let mut members: Vec<RawMember> =
        NAMES.iter().zip(&contents).map(|((name, _), bytes)| RawMember::stored(name, bytes)).collect();
    members.push(RawMember::stored(b"pasta\\", b""));
    let app = TestApp::on(db).await;
    let id = archive(&app, raw_zip(&members)).await;
    let all = listed(&app, &id).await;
    let paths: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, NAMES.iter().map(|(_, path)| *path).collect::<Vec<_>>());
    for ((path, url), bytes) in all.iter().zip(&contents) {
        let answer = app.get(url).await;
        assert_eq!(answer.status(), 200, "{path:?}");
        assert!(answer.bytes().await.expect("bytes") == bytes[..], "{path:?}");
        let head = app.client.head(format!("{}{url}", app.url)).bearer_auth(KEY).send().await.expect("a response");
        let length = head.headers()["content-length"].to_str().expect("text").to_owned();
        assert_eq!((head.status().as_u16(), length), (200, bytes.len().to_string()), "{path:?}");
    }
    // In another case, if no member has exactly that path; and by the path under which such a member was listed earlier.
    for (path, index) in [
        ("PONTO.TXT", 2),
        ("arquivos sa%C3%ADda/PREVIS%C3%83O e%C3%B3lica.csv", 9),
        ("OPERA%C3%87%C3%83O di%C3%A1ria.TXT", 17),
        ("cafe%CC%81.txt", 18),
        // As they were listed before Windows-1252 was known.
        ("Opera%CF%84%CF%80o Di%C3%9Fria.txt", 17),
        ("caf%C3%9A.txt", 18),
        ("RELATÓRIO%20óãõ.txt", 10),
        ("antes%20e%20depois", 0),
        ("Arquivos%20Sa%C3%ADda/Previs%E2%95%9Eo%20E%C3%B3lica.csv", 9),
    ] {
        let answer = app.get(&format!("/files/{id}/members/{path}")).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.bytes().await.expect("bytes") == contents[index][..], "{path}");
    }
    // Another letter is another name.
    for path in
        ["ausente.txt", "arquivos saida/previsao eolica.csv", "operacao diaria.txt", "cafe.txt", "ponto.t%C3%A9t"]
    {
        let path = format!("/files/{id}/members/{path}");
        assert_eq!((app.get(&path).await.status().as_u16(), head(&app, &path).await), (404, 404), "{path}");
    }
}

/// The status of the response to HEAD.
async fn head(app: &TestApp, path: &str) -> u16 {
    let request = app.client.head(format!("{}{path}", app.url)).bearer_auth(KEY);
    request.send().await.expect("a response").status().as_u16()
}

#[tokio::test]
async fn an_accent_names_another_member() {
    let app = TestApp::start().await;
    let inner = zip(&[("x.dat", b"de dentro")]);
    let id = archive(&app, zip(&[("A.DAT", b"sem acento"), ("Decks.zip", &inner)])).await;
    for (path, status) in [
        ("A.DAT", 200),
        ("a.dat", 200),
        ("%C3%81.DAT", 404),
        ("A%CC%81.DAT", 404),
        ("\u{e3}.dat", 404),
        ("Decks.zip/x.dat", 200),
        ("DECKS.ZIP/X.DAT", 200),
        ("D%C3%A9cks.zip/x.dat", 404),
        ("Decks.zip/\u{1e8b}.dat", 404),
        // Other forms of similar appearance are different names too.
        ("\u{ff21}.DAT", 404),
        ("A .DAT", 404),
    ] {
        let path = format!("/files/{id}/members/{path}");
        assert_eq!((app.get(&path).await.status().as_u16(), head(&app, &path).await), (status, status), "{path}");
    }
}

#[tokio::test]
async fn a_nested_zip_shares_no_path_with_a_folder() {
    let app = TestApp::start().await;
    let inner = zip(&[("in.dat", b"de dentro"), ("so.dat", b"so dentro")]);
    let orders: [[(&[u8], &[u8]); 2]; 3] = [
        [(b"fora.zip", &inner), (b"fora.zip/in.dat", b"literal")],
        [(b"fora.zip/in.dat", b"literal"), (b"fora.zip", &inner)],
        [(b"FORA.ZIP/in.dat", b"literal"), (b"fora.zip", &inner)],
    ];
    for (number, members) in (1..).zip(orders) {
        let raw: Vec<RawMember> = members.iter().map(|(name, bytes)| RawMember::stored(name, bytes)).collect();
        let product = product(number, &format!("Zip {number}"), "z.zip", raw_zip(&raw));
        let id = app.archive(app.portal.add(product)).await["revision"]["id"].as_str().expect("an id").to_owned();
        let all = listed(&app, &id).await;
        let paths: std::collections::BTreeSet<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!((all.len(), paths.len()), (4, 4), "{all:?}");
        let mut found = Vec::new();
        for (_, url) in &all {
            found.push(app.get(url).await.bytes().await.expect("bytes"));
        }
        found.sort();
        let mut expected = [b"literal", &inner[..], b"de dentro", b"so dentro"];
        expected.sort();
        assert!(found == expected, "{all:?}");
        // A path with no other meaning leads into the nested zip.
        let only = app.get(&format!("/files/{id}/members/fora.zip/so.dat")).await;
        assert_eq!(only.bytes().await.expect("bytes"), b"so dentro"[..]);
    }
}

/// A stream of Deflate64 with one block that is not compressed.
fn deflate64(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    [&[1], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes].concat()
}

fn packed(method: zip::CompressionMethod, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    zip.start_file("dados.txt", options).expect("a member");
    zip.write_all(bytes).expect("a member's bytes");
    zip.finish().expect("a zip").into_inner()
}

#[tokio::test]
async fn methods_are_unpacked_or_named() {
    let bytes = b"linha repetida\r\n".repeat(2000);
    // No library here writes LZMA into a zip; Python's zipfile does.
    let lzma = include_bytes!("../fixtures/lzma.zip").to_vec();
    for (method, zip) in [("bzip2", packed(zip::CompressionMethod::Bzip2, &bytes)), ("LZMA", lzma)] {
        let app = TestApp::start().await;
        let id = archive(&app, zip).await;
        let answer = app.get(&format!("/files/{id}/members/dados.txt")).await;
        assert_eq!(answer.status(), 200, "{method}");
        assert!(answer.bytes().await.expect("bytes") == bytes[..], "{method}");
    }
    let stored = deflate64(&bytes);
    let plain = RawMember::stored(b"d64.txt", &bytes);
    let member = |name, flags, method| RawMember { name, flags, method, data: &stored, ..plain };
    let members = [
        member(b"d64.txt", 0, 9),
        member(b"cifrado.txt", 1, 8),
        member(b"ppmd.txt", 0, 98),
        member(b"novo.txt", 0, 77),
        RawMember { name: b"mentira.txt", crc: 1, ..plain },
    ];
    let app = TestApp::start().await;
    let id = archive(&app, raw_zip(&members)).await;
    let answer = app.get(&format!("/files/{id}/members/d64.txt")).await;
    assert!(answer.bytes().await.expect("bytes") == bytes[..]);
    for (path, word) in
        [("cifrado.txt", "encrypted"), ("ppmd.txt", "Ppmd"), ("novo.txt", "77"), ("mentira.txt", "checksum")]
    {
        let answer = app.get(&format!("/files/{id}/members/{path}")).await;
        assert_eq!(answer.status(), 501, "{path}");
        assert_eq!(head(&app, &format!("/files/{id}/members/{path}")).await, 501, "{path}");
        let reported: Value = answer.json().await.expect("JSON");
        let detail = reported["detail"].as_str().expect("text");
        assert!(detail.contains(word) && detail.contains(path), "{path}: {detail}");
    }
    // The zip was published like this: none of it is damage of the archive.
    assert_eq!(app.query("{ status { damaged } }").await["status"]["damaged"], 0);
}

on_each_database!(a_slow_zip_is_recorded_before_it_is_listed);
async fn a_slow_zip_is_recorded_before_it_is_listed(db: Db) {
    let app = TestApp::on(db).await;
    let inner = zip(&[("fundo.dat", b"fundo")]);
    // Called a zip and none: unpacked to see that.
    let zeros = vec![0; 40 << 20];
    let id = archive(&app, zip(&[("bomba.zip", &zeros), ("dentro.zip", &inner)])).await;
    let query = format!("{{ revision(id: \"{id}\") {{ members {{ nodes {{ path size }} }} }} }}");
    let has_all = |data: &Value| data["revision"]["members"]["nodes"].as_array().is_some_and(|all| all.len() == 3);
    let data = app.until(&query, has_all).await;
    assert_eq!(data["revision"]["members"]["nodes"][2]["path"], "dentro.zip/fundo.dat");
    app.until("{ publications(search: \"fundo\") { totalCount } }", |data| data["publications"]["totalCount"] == 1)
        .await;
    // Known without unpacking it.
    let url = format!("{}/files/{id}/members/bomba.zip", app.url);
    let head = app.client.head(url).bearer_auth(KEY).send().await.expect("a response");
    assert_eq!(head.headers()["content-length"].to_str().expect("text"), (40 << 20).to_string());
    app.settled(1).await;
}

#[tokio::test]
async fn a_zip_of_many_members_is_listed_in_part() {
    let app = TestApp::start().await;
    let names: Vec<String> = (0..60_000).map(|i| format!("m{i:05}.txt")).collect();
    let members: Vec<RawMember> = names.iter().map(|name| RawMember::stored(name.as_bytes(), b"x")).collect();
    let id = archive(&app, raw_zip(&members)).await;
    // On a busy machine it is listed after it is archived.
    let query = format!("{{ revision(id: \"{id}\") {{ warnings members(first: 1) {{ totalCount }} }} }}");
    let data = app.until(&query, |data| data["revision"]["warnings"][0].is_string()).await;
    assert!(data["revision"]["warnings"][0].as_str().expect("a warning").contains("more members"), "{data}");
    let data = app.query(&query).await;
    assert_eq!(data["revision"]["members"]["totalCount"], 20_000);
    let last = app.get(&format!("/files/{id}/members/m59999.txt")).await;
    assert_eq!(last.bytes().await.expect("bytes"), b"x"[..]);
    app.indexed().await;
}

fn store() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Archive::open(&folder.path().join("archive"), &folder.path().join("tmp")).expect("a store");
    (folder, store)
}

/// Bytes that make names difficult.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        &b"a"[..],
        b"A",
        b".",
        b"..",
        b"/",
        b"\\",
        b" ",
        b"\x00",
        b"\x1b",
        b"\xc6",
        b"\xa2",
        b"\xc9",
        b"\xff",
        b"%2e",
        b".zip",
        b".txt",
        b"(2)",
        "é".as_bytes(),
        "\u{202e}".as_bytes(),
        "\u{feff}".as_bytes(),
    ]);
    prop::collection::vec(part, 0..7).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(crate::harness::cases(96))]

    #[test]
    fn every_listed_path_leads_to_its_member(names in prop::collection::vec((name(), any::<bool>()), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_folder, store) = store();
            let contents: Vec<String> = (0..names.len()).map(|i| format!("content of {i}")).collect();
            let members: Vec<RawMember> = names
                .iter()
                .zip(&contents)
                .map(|((name, is_utf8), bytes)| RawMember {
                    flags: if *is_utf8 { 0x800 } else { 0 },
                    ..RawMember::stored(name, bytes.as_bytes())
                })
                .collect();
            let mut put = store.put();
            put.write(&raw_zip(&members)).await.expect("space");
            let file = put.finish().await.expect("a file").file;
            let budget = Budget { bytes: 64 << 20, time: crate::harness::PATIENCE };
            let listed = store.members(file, budget).await.expect("a list").members;
            let is_folder = |name: &[u8]| name.ends_with(b"/") || name.ends_with(b"\\");
            let expected: Vec<&String> = names
                .iter()
                .zip(&contents)
                .filter(|((name, _), _)| !is_folder(name))
                .map(|(_, content)| content)
                .collect();
            assert_eq!(listed.len(), expected.len());
            for (member, content) in listed.iter().zip(expected) {
                let address = url::Url::parse("http://x/members/").expect("an address");
                let escaped = percent_encoding::utf8_percent_encode(&member.path, percent_encoding::NON_ALPHANUMERIC);
                let path = escaped.to_string().replace("%2F", "/").replace("%2E", ".");
                let asked = address.join(&format!("./{path}")).expect("an address");
                assert_eq!(asked.path(), format!("/members/{path}"), "a client asks for another address");
                let found = store.member(file, &member.path).await.expect("the member");
                let mut bytes = found.read().expect("a stream");
                let mut all = Vec::new();
                while let Some(piece) = bytes.next().await {
                    all.extend_from_slice(&piece.expect("a piece"));
                }
                assert_eq!(String::from_utf8(all).as_ref(), Ok(content), "{:?}", member.path);
            }
        });
    }
}

#[tokio::test]
async fn unpacking_keeps_to_its_budget_and_leaves_space() {
    let (_folder, store) = store();
    let inner = zip(&[("fundo.dat", b"fundo")]);
    let zeros = vec![0; 4 << 20];
    let outer = zip(&[("bomba.zip", &zeros), ("dentro.zip", &inner)]);
    let mut put = store.put();
    put.write(&outer).await.expect("space");
    let file = put.finish().await.expect("a file").file;
    let budget = Budget { bytes: 64 << 20, time: crate::harness::PATIENCE };
    let all = store.members(file, budget).await.expect("a list");
    assert_eq!((all.members.len(), all.is_over_budget), (3, false));
    for budget in [Budget { bytes: 1 << 20, ..budget }, Budget { time: std::time::Duration::ZERO, ..budget }] {
        let some = store.members(file, budget).await.expect("a list");
        assert_eq!((some.members.len(), some.is_over_budget), (2, true));
    }
    let full = store.with_space_check(|_| Err("the disk is full".to_owned()));
    let listed = full.members(file, budget).await;
    assert!(matches!(listed, Err(MemberError::Store(StoreError::DiskFull(_)))), "{listed:?}");
    let found = full.member(file, "bomba.zip/x").await;
    assert!(matches!(found, Err(MemberError::Store(StoreError::DiskFull(_)))));
    // Not spooled: sent while it is decompressed.
    let found = full.member(file, "bomba.zip").await.expect("the member");
    let mut bytes = found.read().expect("a stream");
    let mut size = 0;
    while let Some(piece) = bytes.next().await {
        size += piece.expect("a piece").len();
    }
    assert_eq!(size, zeros.len());
}
