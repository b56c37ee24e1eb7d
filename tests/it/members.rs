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

/// A path that several members have except for the case of letters.
#[tokio::test]
async fn an_ambiguous_path_names_its_candidates() {
    let app = TestApp::start().await;
    let inner = |text: &[u8]| zip(&[("x.dat", text), ("so.dat", b"so")]);
    let (one, other, empty) = (inner(b"um"), inner(b"dois"), zip(&[("y.dat", b"y")]));
    let deepest = zip(&[("Dger.dat", b"a"), ("DGER.dat", b"b"), ("unico.DAT", b"c")]);
    let members: [(&[u8], &[u8]); 9] = [
        (b"Vazoes.dat", b"1"),
        (b"VAZOES.DAT", b"2"),
        (b"So.txt", b"3"),
        (b"Deck.zip", &one),
        (b"DECK.zip", &other),
        (b"deck.ZIP", &empty),
        (b"fundo.zip", &deepest),
        (b"DUPLO.zip", &deepest),
        (b"duplo.ZIP/unico.dat", b"d"),
    ];
    let raw: Vec<RawMember> = members.iter().map(|(name, bytes)| RawMember::stored(name, bytes)).collect();
    let id = archive(&app, raw_zip(&raw)).await;
    for (path, found) in [
        ("Vazoes.dat", Ok("1")),
        ("VAZOES.DAT", Ok("2")),
        ("vazoes.dat", Err("`Vazoes.dat`, `VAZOES.DAT`")),
        ("SO.TXT", Ok("3")),
        ("Deck.zip/x.dat", Ok("um")),
        ("Deck.zip/X.DAT", Ok("um")),
        ("DECK.zip/X.DAT", Ok("dois")),
        ("deck.zip/x.dat", Err("`Deck.zip/x.dat`, `DECK.zip/x.dat`")),
        // Only one of the nested zips has it.
        ("deck.zip/Y.dat", Ok("y")),
        ("Deck.zip/y.dat", Ok("y")),
        ("FUNDO.zip/unico.dat", Ok("c")),
        ("fundo.zip/dger.dat", Err("`fundo.zip/Dger.dat`, `fundo.zip/DGER.dat`")),
        ("FUNDO.ZIP/dger.dat", Err("`fundo.zip/Dger.dat`, `fundo.zip/DGER.dat`")),
        ("duplo.zip/UNICO.dat", Err("`duplo.ZIP/unico.dat`, `DUPLO.zip/unico.DAT`")),
        ("DUPLO.zip/unico.DAT", Ok("c")),
    ] {
        let path = format!("/files/{id}/members/{path}");
        let answer = app.get(&path).await;
        let status = answer.status().as_u16();
        match found {
            Ok(bytes) => assert_eq!((status, answer.text().await.expect("text")), (200, bytes.to_owned()), "{path}"),
            Err(candidates) => {
                let detail: Value = answer.json().await.expect("JSON");
                let detail = detail["detail"].as_str().expect("text").to_owned();
                assert!(status == 400 && detail.contains(candidates), "{path}: {status}: {detail}");
            }
        }
        assert_eq!(head(&app, &path).await, status, "{path}");
    }
}

/// Three publications with zips, one of them with two revisions, and a file that is no zip. Returns when the first was archived.
async fn some_zips(app: &TestApp) -> String {
    let inner = zip(&[("VAZÕES.DAT", b"dentro")]);
    let decks = [
        ("Deck A", zip(&[("vazoes.dat", b"um"), ("outro.txt", b"x")])),
        ("Deck B", zip(&[("pasta/Prevs_Vazoes_1.rv0", b"dois"), ("fundo.zip", &inner)])),
        ("Deck C", zip(&[("nada.txt", b"nada")])),
        ("Texto", b"vazoes.dat".to_vec()),
    ];
    for (number, (name, bytes)) in (1..).zip(decks) {
        app.archive(app.portal.add(product(number, name, &format!("{name}.zip"), bytes))).await;
    }
    let first = app.query("{ publications(search: \"deck a\") { nodes { archivedAt } } }").await;
    app.portal.change(1, |deck| crate::harness::samples::replace(deck, zip(&[("vazoes2.dat", b"novo")])));
    app.archive(1).await;
    first["publications"]["nodes"][0]["archivedAt"].as_str().expect("an instant").to_owned()
}

on_each_database!(members_are_found_across_files);
async fn members_are_found_across_files(db: Db) {
    let app = TestApp::on(db).await;
    let first_at = some_zips(&app).await;
    let paths = async |arguments: &str| -> Vec<String> {
        let query = format!("{{ members(orderBy: NAME_ASC, {arguments}) {{ nodes {{ name path }} }} }}");
        let data = app.query(&query).await;
        let node = |node: &Value| {
            format!("{}: {}", node["name"].as_str().expect("text"), node["path"].as_str().expect("text"))
        };
        data["members"]["nodes"].as_array().expect("a list").iter().map(node).collect()
    };
    let (a, b, nested) = ("Deck A: vazoes2.dat", "Deck B: pasta/Prevs_Vazoes_1.rv0", "Deck B: fundo.zip/VAZÕES.DAT");
    for (arguments, expected) in [
        ("match: \"*vazoes*\"", vec![a, b, nested]),
        ("match: \"VAZÕES\"", vec![a, b, nested]),
        ("match: \"vazoes.*\"", vec![nested]),
        ("match: \"vazoes?.dat\"", vec![a]),
        ("match: \"fundo.zip/*\"", vec![nested]),
        ("match: \"vazoes\", search: \"deck b\"", vec![b, nested]),
        ("match: \"vazoes\", filter: { name: { eq: \"deck a\" } }", vec![a]),
        ("filter: { member: \"vazoes\", name: { eq: \"deck a\" } }", vec![a]),
        ("match: \"ausente\"", vec![]),
        ("first: 0", vec![]),
        ("search: \"deck c\"", vec!["Deck C: nada.txt"]),
    ] {
        assert_eq!(paths(arguments).await, expected, "{arguments}");
    }
    let then =
        paths(&format!("match: \"vazoes\", filter: {{ name: {{ eq: \"deck a\" }} }}, asOf: \"{first_at}\"")).await;
    assert_eq!(then, ["Deck A: vazoes.dat"]);
    // All of them, one by one: no member is left out or repeated.
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let query = "query($after: String) { members(orderBy: NAME_ASC, first: 1, after: $after) {
            nodes { path size url revision { number } publication { name } } pageInfo { hasNextPage endCursor } } }";
        let page = app.query_with(query, json!({ "after": after })).await["members"].clone();
        let node = &page["nodes"][0];
        let bytes = app.get(node["url"].as_str().expect("text")).await.bytes().await.expect("bytes");
        assert_eq!(node["size"].as_u64(), Some(bytes.len() as u64));
        all.push(node["path"].as_str().expect("text").to_owned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let expected = ["vazoes2.dat", "pasta/Prevs_Vazoes_1.rv0", "fundo.zip", "fundo.zip/VAZÕES.DAT", "nada.txt"];
    assert_eq!(all, expected);
    // The files that have one, and the same in exports and in SQL.
    let files =
        app.query("{ publications(orderBy: NAME_ASC, filter: { member: \"*vazoes*\" }) { nodes { name } } }").await;
    assert_eq!(files["publications"]["nodes"], json!([{ "name": "Deck A" }, { "name": "Deck B" }]));
    for format in ["csv", "ndjson", "parquet"] {
        let answer =
            app.get(&format!("/export/members.{format}?member=*vazoes*&orderBy=NAME_ASC&columns=name,path")).await;
        assert_eq!(answer.status(), 200);
        let bytes = answer.bytes().await.expect("bytes");
        if format == "csv" {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<String> = text.lines().skip(1).map(|line| line.replacen(',', ": ", 1)).collect();
            assert_eq!(lines, [a, b, nested]);
        }
    }
    let csv = app.get("/export/publications.csv?member=fundo*&columns=name").await.text().await.expect("text");
    assert_eq!(csv, "name\r\nDeck B\r\n");
    let sql = app.database().await;
    let rows = {
        use sea_orm::{ConnectionTrait, Statement};
        let text = "SELECT name, path, size, modified_at, sha256 FROM bi_members WHERE superseded_at IS NULL ORDER BY name, path";
        sql.query_all_raw(Statement::from_string(sql.get_database_backend(), text)).await.expect("rows")
    };
    let listed: Vec<String> = rows.iter().map(|row| row.try_get("", "path").expect("text")).collect();
    assert_eq!(listed.len(), 5);
    assert!(expected.iter().all(|path| listed.iter().any(|listed| listed == path)), "{listed:?}");
    // The same patterns in the list of one file, over GraphQL and HTTP.
    let file = app.query("{ publications(search: \"deck b\") { nodes { revisionId } } }").await;
    let file = file["publications"]["nodes"][0]["revisionId"].as_str().expect("an id").to_owned();
    for (pattern, expected) in [
        ("vazoes", vec!["pasta/Prevs_Vazoes_1.rv0", "fundo.zip/VAZÕES.DAT"]),
        ("*vazões*", vec!["pasta/Prevs_Vazoes_1.rv0", "fundo.zip/VAZÕES.DAT"]),
        ("vazoes.*", vec!["fundo.zip/VAZÕES.DAT"]),
        ("100%", vec![]),
    ] {
        let query =
            "query($id: ID!, $match: String) { revision(id: $id) { members(match: $match, first: 1) { totalCount
            nodes { path } pageInfo { hasNextPage } } } }";
        let page = app.query_with(query, json!({ "id": file, "match": pattern })).await["revision"]["members"].clone();
        assert_eq!(page["totalCount"], expected.len(), "{pattern}: {page}");
        assert_eq!(page["pageInfo"]["hasNextPage"], expected.len() > 1, "{pattern}");
        let url = reqwest::Url::parse_with_params(&format!("{}/files/{file}/members", app.url), [("match", pattern)]);
        let answer =
            app.client.get(url.expect("a URL")).bearer_auth(crate::harness::KEY).send().await.expect("a response");
        let listed: Value = answer.json().await.expect("JSON");
        let paths = listed["members"].as_array().expect("a list").iter().map(|one| one["path"].as_str().expect("text"));
        assert_eq!(paths.collect::<Vec<_>>(), expected, "{pattern}");
    }
    assert_eq!(app.get(&format!("/files/{file}/members?padrao=x")).await.status(), 400);
    // A pattern that only one member matches is as good as its path.
    let bytes = app.get(&format!("/files/{file}/members/*vazoes*.rv%3F")).await.bytes().await.expect("bytes");
    assert_eq!(&bytes[..], b"dois");
    let several = app.get(&format!("/files/{file}/members/*vazoes*")).await;
    assert_eq!(several.status(), 400);
    assert!(several.text().await.expect("text").contains("matches 2 members"));
    let answer = app.get_with(&format!("/files/{file}/members/vazoes.dat"), &[("accept-language", "pt-BR")]).await;
    assert_eq!(answer.status(), 404);
    let body = answer.text().await.expect("text");
    assert!(body.contains("não existe o arquivo interno `vazoes.dat` no arquivo da revisão"), "{body}");
    assert!(body.contains("parecidos: `fundo.zip/VAZÕES.DAT`"), "{body}");
    // Wrong arguments are named.
    for (arguments, word) in [
        ("match: \"a\", filter: { member: \"b\" }".to_owned(), "give one of them"),
        (format!("match: \"{}\"", "a".repeat(300)), "`match`"),
        ("after: \"x\"".to_owned(), "the cursor `x`"),
        ("first: 1001".to_owned(), "`first` is 1001"),
    ] {
        let answer = app.ask(&format!("{{ members({arguments}) {{ nodes {{ path }} }} }}"), json!({})).await;
        assert!(answer["errors"][0]["message"].as_str().is_some_and(|text| text.contains(word)), "{answer}");
    }
    let refused = app.get(&format!("/export/members.csv?member={}", "a".repeat(300))).await;
    assert_eq!(refused.status(), 400);
}

/// A zip with more members than are read at once.
#[tokio::test]
async fn members_of_large_zips_are_exported_in_part_after_part() {
    let app = TestApp::start().await;
    let names: Vec<String> = (0..4_500).map(|i| format!("m{i:05}.txt")).collect();
    let members: Vec<RawMember> = names.iter().map(|name| RawMember::stored(name.as_bytes(), b"x")).collect();
    let large = raw_zip(&members);
    for number in 1..=3 {
        let bytes = if number == 2 { large.clone() } else { zip(&[("um.txt", b"um"), ("dois.txt", b"dois")]) };
        app.archive(app.portal.add(product(number, &format!("Zip {number}"), "z.zip", bytes))).await;
    }
    app.until("{ members(match: \"m04499.txt\") { nodes { path } } }", |data| data["members"]["nodes"][0].is_object())
        .await;
    app.indexed().await;
    let csv = app.get("/export/members.csv?orderBy=NAME_ASC&columns=path").await.text().await.expect("text");
    let found: Vec<&str> = csv.lines().skip(1).collect();
    let small = ["um.txt".to_owned(), "dois.txt".to_owned()];
    let expected: Vec<&String> = small.iter().chain(&names).chain(&small).collect();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
    let one = app.get("/export/members.csv?member=m03999*&columns=path").await.text().await.expect("text");
    assert_eq!(one, "path\r\nm03999.txt\r\n");
    let csv = app.get("/export/members.csv?orderBy=NAME_ASC&columns=path&limit=4503").await.text().await.expect("text");
    assert_eq!(csv.lines().count(), 4504);
    // Page by page.
    let (mut read, mut after) = (0, Value::Null);
    loop {
        let query = "query($after: String) { members(orderBy: NAME_ASC, first: 1000, after: $after) {
            nodes { path } pageInfo { hasNextPage endCursor } } }";
        let page = app.query_with(query, json!({ "after": after })).await["members"].clone();
        for node in page["nodes"].as_array().expect("a list") {
            assert_eq!(node["path"].as_str(), Some(expected[read].as_str()));
            read += 1;
        }
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(read, expected.len());
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
