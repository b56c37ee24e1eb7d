use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::harness::process::{printed, run};
use crate::harness::samples::{RawMember, noise, old_cell, old_workbook, product, raw_zip, replace, zip};
use crate::harness::{Db, Options, TestApp, on_each_database};

/// Archives two contents as revisions of one publication, and gives their ids.
async fn revisions(app: &TestApp, number: u32, name: &str, contents: [Vec<u8>; 2]) -> [String; 2] {
    let [before, after] = contents;
    app.portal.add(product(number, &format!("Produto {number}"), name, before));
    let from = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    app.portal.change(number, |product| replace(product, after));
    let to = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    [from, to]
}

const QUERY: &str = "query($from: ID!, $to: ID!) { revisionDiff(from: $from, to: $to) {
    from { id number fileName sha256 } to { id number } isSame added removed changed linesAdded linesRemoved note notes
    members { path pathBefore kind sizeBefore sizeAfter linesAdded linesRemoved cellsChanged note
        cells { sheet cell before after } }
    renamed { path pathBefore kind linesAdded linesRemoved note } } }";

async fn diff(app: &TestApp, [from, to]: &[String; 2]) -> Value {
    app.query_with(QUERY, json!({ "from": from, "to": to })).await["revisionDiff"].clone()
}

/// Each member with its kind and its lines.
fn members(diff: &Value) -> Vec<(&str, &str, Option<i64>, Option<i64>)> {
    let members = diff["members"].as_array().expect("a list");
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    assert!(members.iter().all(|one| text(&one["path"]).is_some()));
    members
        .iter()
        .map(|one| {
            let path = one["path"].as_str().expect("a path");
            (path, one["kind"].as_str().expect("a kind"), one["linesAdded"].as_i64(), one["linesRemoved"].as_i64())
        })
        .collect()
}

async fn get(app: &TestApp, path: &str, accept: &str) -> (u16, String, String) {
    let response = app.get_with(path, &[("accept", accept)]).await;
    let media = response.headers()["content-type"].to_str().expect("text").to_owned();
    (response.status().as_u16(), media, response.text().await.expect("text"))
}

/// A week's deck: text with fixed columns, a binary member, a nested zip, and a name with the number of the revision.
fn deck(revision: u32, value: &str) -> Vec<u8> {
    let dadger = format!("UH  1    1      {value}\r\nUH  2    1      20.00\r\n& fim\r\n");
    let number = format!("rv{revision}\r\n");
    let inner = zip(&[("igual.dat", b"sempre\n"), ("muda.dat", value.as_bytes())]);
    let name = format!("DADGER.RV{revision}");
    zip(&[
        (name.as_str(), dadger.as_bytes()),
        ("caso.dat", number.as_bytes()),
        ("hidr.dat", &[&[0, 1, 2, 3][..], value.as_bytes()].concat()),
        ("perdas.dat", b"  1   0.5\r\n  2   0.7\r\n"),
        ("dentro.zip", &inner),
    ])
}

on_each_database!(a_diff_lists_what_changed_in_a_deck);
async fn a_diff_lists_what_changed_in_a_deck(db: Db) {
    let app = TestApp::on(db).await;
    let ids = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    let found = diff(&app, &ids).await;
    assert_eq!((&found["from"]["id"], &found["to"]["id"]), (&json!(ids[0]), &json!(ids[1])));
    assert_eq!(
        (&found["from"]["number"], &found["to"]["number"], &found["isSame"]),
        (&json!(1), &json!(2), &json!(false))
    );
    assert_eq!(
        members(&found),
        [
            ("DADGER.RV0", "REMOVED", Some(0), Some(3)),
            ("DADGER.RV1", "ADDED", Some(3), Some(0)),
            ("caso.dat", "CHANGED", Some(1), Some(1)),
            ("dentro.zip/muda.dat", "CHANGED", Some(1), Some(1)),
            ("hidr.dat", "CHANGED", None, None),
        ]
    );
    assert_eq!((&found["added"], &found["removed"], &found["changed"]), (&json!(1), &json!(1), &json!(3)));
    assert_eq!(
        found["renamed"],
        json!([{ "path": "DADGER.RV1", "pathBefore": "DADGER.RV0", "kind": "CHANGED", "linesAdded": 1, "linesRemoved": 1,
            "note": null }])
    );
    let sizes = |at: usize| (found["members"][at]["sizeBefore"].clone(), found["members"][at]["sizeAfter"].clone());
    assert_eq!(sizes(0), (json!(53), Value::Null));
    assert_eq!(sizes(1), (Value::Null, json!(53)));
    assert_eq!(sizes(4), (json!(9), json!(9)));
    // The other way round.
    let [from, to] = &ids;
    let back = diff(&app, &[to.clone(), from.clone()]).await;
    assert_eq!(members(&back)[0], ("DADGER.RV0", "ADDED", Some(3), Some(0)));
    // With itself.
    let same = diff(&app, &[from.clone(), from.clone()]).await;
    assert_eq!((&same["isSame"], &same["members"], &same["changed"]), (&json!(true), &json!([]), &json!(0)));
    // HTTP has the same in JSON.
    let path = format!("/files/{from}/diff/{to}");
    let (status, media, body) = get(&app, &path, "application/json").await;
    assert_eq!((status, media.as_str()), (200, "application/json; charset=utf-8"));
    let body: Value = serde_json::from_str(&body).expect("JSON");
    for field in ["isSame", "added", "removed", "changed", "members", "notes"] {
        assert_eq!(body[field], found[field], "{field}");
    }
    assert_eq!(body["from"]["sha256"], found["from"]["sha256"]);
    // By digest as well.
    let digest = found["from"]["sha256"].as_str().expect("a digest");
    assert_eq!(app.get(&format!("/files/{digest}/diff/{to}")).await.status(), 200);
}

#[tokio::test]
async fn a_member_is_shown_as_a_unified_diff() {
    let app = TestApp::start().await;
    let [from, to] = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    let path = format!("/files/{from}/diff/{to}");
    let of = async |member: &str| get(&app, &format!("{path}?member={member}"), "text/plain").await;
    let hunk = "@@ -1,3 +1,3 @@\n-UH  1    1      34.39\n+UH  1    1      34.40\n UH  2    1      20.00\n & fim\n";
    // By either of its names, in any case.
    for member in ["DADGER.RV1", "DADGER.RV0", "dadger.rv1"] {
        let (status, media, text) = of(member).await;
        assert_eq!((status, media.as_str()), (200, "text/plain; charset=utf-8"), "{member}");
        let lines: Vec<&str> = text.splitn(3, '\n').collect();
        assert!(lines[0].starts_with("--- DADGER.RV0\t") && lines[0].contains(&from), "{text}");
        assert!(lines[1].starts_with("+++ DADGER.RV1\t") && lines[1].contains(&to), "{text}");
        assert_eq!(lines[2], hunk, "{member}");
    }
    let nested = of("dentro.zip/muda.dat").await.2;
    assert!(
        nested.ends_with("-34.39\n\\ No newline at end of file\n+34.40\n\\ No newline at end of file\n"),
        "{nested}"
    );
    // By a pattern, which finds the member of each week.
    assert_eq!(of("dadger.rv%3F").await.2, of("DADGER.RV1").await.2);
    let (status, _, body) = of("*.dat").await;
    assert!(status == 400 && body.contains("`caso.dat`") && body.contains("give one of these"), "{body}");
    let found: Value =
        serde_json::from_str(&get(&app, &format!("{path}?member=dadger.rv%3F"), "*/*").await.2).expect("JSON");
    assert_eq!((&found["added"], &found["removed"], &found["changed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(found["renamed"][0]["pathBefore"], "DADGER.RV0");
    // A nested zip is a folder.
    assert_eq!(of("DENTRO.zip").await.2, "M dentro.zip/muda.dat  +1 -1\n0 added, 0 removed, 1 changed\n");
    let found: Value =
        serde_json::from_str(&get(&app, &format!("{path}?member=dentro.zip"), "*/*").await.2).expect("JSON");
    assert_eq!((&found["changed"], &found["members"][0]["path"]), (&json!(1), &json!("dentro.zip/muda.dat")));
    assert_eq!(of("perdas.dat").await.2, "", "a member that is the same");
    assert!(of("hidr.dat").await.2.starts_with("Binary files hidr.dat"), "a binary member");
    let (status, media, body) = of("ausente.dat").await;
    assert_eq!((status, media.as_str()), (404, "application/problem+json"));
    assert!(body.contains("ausente.dat") && body.contains(&to), "{body}");
    // One that is elsewhere, or has another ending, is named.
    for (member, similar) in [("muda.dat", "`dentro.zip/muda.dat`"), ("pasta/dadger.dat", "`DADGER.RV0`, `DADGER.RV1`")]
    {
        let body = of(member).await.2;
        assert!(body.contains(&format!("similar: {similar}")), "{body}");
    }
    // As JSON, that member alone.
    let one: Value = serde_json::from_str(&get(&app, &format!("{path}?member=caso.dat"), "*/*").await.2).expect("JSON");
    assert_eq!(
        (&one["changed"], &one["added"], &one["members"][0]["path"]),
        (&json!(1), &json!(0), &json!("caso.dat"))
    );
    assert_eq!(get(&app, &format!("{path}?member=ausente.dat"), "application/json").await.0, 404);
    // Two zips as text: a line for each member.
    let (_, _, summary) = get(&app, &path, "text/plain").await;
    for line in ["R DADGER.RV0 => DADGER.RV1", "M caso.dat ", "M dentro.zip/muda.dat", "M hidr.dat"] {
        assert!(summary.lines().any(|one| one.starts_with(line)), "{line}: {summary}");
    }
    assert!(summary.ends_with("1 added, 1 removed (1 renamed), 3 changed\n"), "{summary}");
}

#[tokio::test]
async fn requests_that_cannot_be_answered_say_why() {
    let app = TestApp::start().await;
    let [from, to] = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    let path = format!("/files/{from}/diff/{to}");
    for (query, word) in [("?membro=x", "membro"), ("?member=", "member"), ("?member=a&member=b", "twice")] {
        let (status, _, body) = get(&app, &format!("{path}{query}"), "*/*").await;
        assert!(status == 400 && body.contains(word), "{query}: {status} {body}");
    }
    assert_eq!(get(&app, &path, "image/png").await.0, 406);
    assert_eq!(app.client.get(format!("{}{path}", app.url)).send().await.expect("a response").status(), 401);
    let other = "019a0000-0000-7000-8000-000000000000";
    assert_eq!(get(&app, &format!("/files/{from}/diff/{other}"), "*/*").await.0, 404);
    assert_eq!(get(&app, &format!("/files/{from}/diff/x"), "*/*").await.0, 404);
    for (one, code) in [(other, "NOT_FOUND"), ("x", "BAD_USER_INPUT")] {
        for ids in [json!({ "from": from, "to": one }), json!({ "from": one, "to": from })] {
            let response = app.ask(QUERY, ids).await;
            assert_eq!(response["errors"][0]["extensions"]["code"], code, "{response}");
            assert!(response["errors"][0]["message"].as_str().expect("a message").contains(one), "{response}");
        }
    }
    // The same representation is not sent twice.
    let response = app.get(&path).await;
    let tag = response.headers()["etag"].to_str().expect("text").to_owned();
    assert_eq!(app.get_with(&path, &[("if-none-match", &tag)]).await.status(), 304);
    let text = app.get_with(&path, &[("if-none-match", &tag), ("accept", "text/plain")]).await;
    assert_eq!(text.status(), 200);
    assert_ne!(text.headers()["etag"].to_str().expect("text"), tag);
    assert_eq!(app.get_with(&path, &[("if-match", "\"x\"")]).await.status(), 412);
    let head = app.client.head(format!("{}{path}", app.url)).bearer_auth(crate::harness::KEY);
    assert_eq!(head.send().await.expect("a response").status(), 200);
}

#[tokio::test]
async fn texts_are_compared_by_line_whatever_their_encoding() {
    let app = TestApp::start().await;
    let latin = b"data;vaz\xe3o\r\n1;gera\xe7\xe3o\r\n2;n\xe3o\r\n".to_vec();
    let utf8 = "data;vazão\n1;geração\n2;sim\n".as_bytes().to_vec();
    let ids = revisions(&app, 1, "vazoes.csv", [latin, utf8]).await;
    let found = diff(&app, &ids).await;
    assert_eq!((&found["members"], &found["linesAdded"], &found["linesRemoved"]), (&json!([]), &json!(1), &json!(1)));
    let note = found["note"].as_str().expect("a note");
    assert!(note.contains("Windows-1252 to UTF-8") && note.contains("CRLF to LF"), "{note}");
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}", ids[0], ids[1]), "text/plain").await;
    assert!(text.ends_with(" data;vazão\n 1;geração\n-2;não\n+2;sim\n"), "{text}");
    // Of binary files it is only known whether they are the same.
    let ids = revisions(&app, 2, "previsao.bin", [noise(5_000), noise(6_000)]).await;
    let found = diff(&app, &ids).await;
    assert_eq!((&found["isSame"], &found["linesAdded"], &found["members"]), (&json!(false), &Value::Null, &json!([])));
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}", ids[0], ids[1]), "text/plain").await;
    assert!(text.starts_with("Binary files previsao.bin"), "{text}");
    // A zip and a text.
    let ids = revisions(&app, 3, "deck.zip", [deck(0, "1"), b"so texto\n".to_vec()]).await;
    let found = diff(&app, &ids).await;
    assert_eq!((&found["isSame"], &found["members"]), (&json!(false), &json!([])));
}

/// A zip as another packer writes it: not compressed, with another date.
fn repacked(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let date = zip::DateTime::from_date_and_time(2020, 1, 2, 3, 4, 6).expect("a date");
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(date);
    for (name, bytes) in members.iter().rev() {
        zip.start_file(*name, options).expect("a member");
        zip.write_all(bytes).expect("a member's bytes");
    }
    zip.finish().expect("a zip").into_inner()
}

#[tokio::test]
async fn members_are_compared_by_content_not_by_how_they_are_packed() {
    let app = TestApp::start().await;
    let inner: [(&str, &[u8]); 2] = [("a.dat", b"a"), ("b.dat", b"b")];
    let (plain, other) = (zip(&inner), repacked(&inner));
    let ids = revisions(
        &app,
        1,
        "deck.zip",
        [zip(&[("x.dat", b"x"), ("dentro.zip", &plain)]), repacked(&[("x.dat", b"x"), ("dentro.zip", &other)])],
    )
    .await;
    let found = diff(&app, &ids).await;
    assert_eq!((&found["isSame"], &found["members"], &found["changed"]), (&json!(false), &json!([]), &json!(0)));
    let note = found["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("the members are the same"), "{note}");
    let text = get(&app, &format!("/files/{}/diff/{}", ids[0], ids[1]), "text/plain").await.2;
    assert_eq!(text, format!("the files differ\n# {note}\n"));
    // A nested zip that appears is listed with all that it has.
    let ids =
        revisions(&app, 2, "deck.zip", [zip(&[("x.dat", b"x")]), zip(&[("x.dat", b"x"), ("dentro.zip", &plain)])])
            .await;
    let found = diff(&app, &ids).await;
    let expected = [
        ("dentro.zip", "ADDED", None, None),
        ("dentro.zip/a.dat", "ADDED", Some(1), Some(0)),
        ("dentro.zip/b.dat", "ADDED", Some(1), Some(0)),
    ];
    assert_eq!(members(&found), expected);
    // A member of that name which is not a zip.
    let ids = revisions(&app, 3, "deck.zip", [zip(&[("dentro.zip", &plain)]), zip(&[("dentro.zip", b"texto")])]).await;
    assert_eq!(members(&diff(&app, &ids).await), [("dentro.zip", "CHANGED", None, None)]);
}

#[tokio::test]
async fn members_that_cannot_be_unpacked_are_named() {
    let app = TestApp::start().await;
    let plain = RawMember::stored(b"cifrado.txt", b"conteudo um");
    let other = RawMember::stored(b"cifrado.txt", b"conteudo 22");
    let secret = |member: RawMember<'static>| RawMember { flags: 1, crc: 0, ..member };
    let lying = |data: &'static [u8], crc: u32| RawMember { crc, ..RawMember::stored(b"mentira.txt", data) };
    let before = raw_zip(&[secret(plain), lying(b"um\n", 1)]);
    let after = raw_zip(&[secret(other), lying(b"dois\n", 2)]);
    let ids = revisions(&app, 1, "deck.zip", [before, after]).await;
    let found = diff(&app, &ids).await;
    assert_eq!(members(&found).iter().map(|one| one.0).collect::<Vec<_>>(), ["cifrado.txt", "mentira.txt"]);
    let note = |at: usize| found["members"][at]["note"].as_str().expect("a note").to_owned();
    assert!(note(0).contains("encrypted") && note(1).contains("does not unpack"), "{found}");
    // The zip was published like this: none of it is damage of the archive.
    assert_eq!(app.query("{ status { damaged } }").await["status"]["damaged"], 0);
}

#[tokio::test]
async fn bombs_are_compared_in_part_and_say_so() {
    let app = TestApp::start().await;
    // More members than are compared.
    let names: Vec<String> = (0..60_000).map(|i| format!("m{i:05}.txt")).collect();
    let many = |content: &'static [u8], from: usize| {
        let members: Vec<RawMember> =
            names[from..].iter().map(|name| RawMember::stored(name.as_bytes(), content)).collect();
        raw_zip(&members)
    };
    let ids = revisions(&app, 1, "muitos.zip", [many(b"x", 0), many(b"y", 30_000)]).await;
    let found = diff(&app, &ids).await;
    // Which of them the other file has is not known.
    assert_eq!((&found["added"], &found["removed"]), (&json!(0), &json!(0)));
    assert!(found["notes"][0].as_str().expect("a note").contains("more members"), "{found}");
    let ids = revisions(&app, 2, "muitos.zip", [many(b"x", 40_000), many(b"y", 40_000)]).await;
    let found = diff(&app, &ids).await;
    assert_eq!((found["changed"].as_i64(), found["members"].as_array().map(Vec::len)), (Some(20_000), Some(20_000)));
    // Members and files that are too large to be compared by line.
    let lines = |last: &str| ["0123456789\n".repeat(2 << 20).as_bytes(), last.as_bytes()].concat();
    let zeros = |size: usize| vec![0; size];
    let ids = revisions(
        &app,
        3,
        "grande.zip",
        [
            zip(&[("texto.txt", &lines("a")), ("zeros.dat", &zeros(300 << 20))]),
            zip(&[("texto.txt", &lines("b")), ("zeros.dat", &zeros(301 << 20))]),
        ],
    )
    .await;
    let found = diff(&app, &ids).await;
    assert_eq!(members(&found), [("texto.txt", "CHANGED", None, None), ("zeros.dat", "CHANGED", None, None)]);
    assert!(found["members"][0]["note"].as_str().expect("a note").contains("larger than 16 MiB"), "{found}");
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}?member=texto.txt", ids[0], ids[1]), "text/plain").await;
    assert!(text.contains("larger than 16 MiB"), "{text}");
    let ids = revisions(&app, 4, "grande.txt", [lines("a"), lines("b")]).await;
    assert!(diff(&app, &ids).await["note"].as_str().expect("a note").contains("larger than 16 MiB"));
    // Zips in zips, deeper than they are opened.
    let deep = |content: &[u8]| (0..6).fold(zip(&[("fundo.txt", content)]), |inner, _| zip(&[("n.zip", &inner)]));
    let ids = revisions(&app, 5, "fundo.zip", [deep(b"1"), deep(b"2")]).await;
    assert_eq!(members(&diff(&app, &ids).await), [("n.zip/n.zip/n.zip/n.zip", "CHANGED", None, None)]);
}

#[tokio::test]
async fn a_long_diff_is_cut_and_says_where() {
    let app = TestApp::start().await;
    let lines = |of: &str| (0..200_000).map(|i| format!("{of} {i:06} 0123456789 0123456789\n")).collect::<String>();
    let ids = revisions(&app, 1, "longo.txt", [lines("a").into_bytes(), lines("b").into_bytes()]).await;
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}", ids[0], ids[1]), "text/plain").await;
    assert!(text.len() <= (4 << 20) + 1_000, "{}", text.len());
    let last = text.lines().last().expect("a line");
    assert!(last.starts_with("# cut here, at line "), "{last}");
    let found = diff(&app, &ids).await;
    assert_eq!((&found["linesAdded"], &found["linesRemoved"]), (&json!(200_000), &json!(200_000)));
}

on_each_database!(a_file_that_is_gone_or_damaged_has_no_diff);
async fn a_file_that_is_gone_or_damaged_has_no_diff(db: Db) {
    let app = TestApp::on(db).await;
    let [from, to] = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    let objects = crate::harness::files_in(&app.folder.path().join("data/archive"));
    let digest = app.query(&format!("{{ revision(id: \"{to}\") {{ sha256 }} }}")).await["revision"]["sha256"].clone();
    let digest = digest.as_str().expect("a digest");
    let object = objects.iter().find(|path| path.to_string_lossy().contains(digest)).expect("its object");
    let mut bytes = std::fs::read(object).expect("the object");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(object, bytes).expect("the object");
    let response = app.ask(QUERY, json!({ "from": from, "to": to })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "INTERNAL", "{response}");
    let message = response["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("damaged") && message.contains(digest), "{message}");
    let (status, _, body) = get(&app, &format!("/files/{from}/diff/{to}"), "*/*").await;
    assert!(status == 500 && body.contains("damaged"), "{status} {body}");
    std::fs::remove_file(object).expect("the object");
    assert_eq!(get(&app, &format!("/files/{from}/diff/{to}"), "text/plain").await.0, 500);
}

#[tokio::test]
async fn a_file_that_retention_removed_has_no_diff() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("acervo.toml");
    let policy = "[[retention.policy]]\nname = \"ultima\"\nmatch = { name = [\"Produto*\"] }\nkeep_last = 1\n";
    std::fs::write(&config, policy).expect("a file");
    let app = TestApp::with(Options { config: Some(config), ..Options::default() }).await;
    let [from, to] = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    let removed =
        app.query("mutation { runRetention(dryRun: false) { removed } }").await["runRetention"]["removed"].clone();
    assert_eq!(removed, 1);
    app.indexed().await;
    for ids in [json!({ "from": from, "to": to }), json!({ "from": to, "to": from })] {
        let response = app.ask(QUERY, ids).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "NOT_FOUND", "{response}");
        let message = response["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(&from) && message.contains("policy `ultima`"), "{message}");
    }
    let (status, _, body) = get(&app, &format!("/files/{from}/diff/{to}"), "*/*").await;
    assert!(status == 410 && body.contains("policy `ultima`"), "{status} {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_what_changed() {
    let app = TestApp::start().await;
    let [from, to] = revisions(&app, 1, "deck.zip", [deck(0, "34.39"), deck(1, "34.40")]).await;
    revisions(&app, 2, "vazoes.csv", [b"a;b\n1;2\n".to_vec(), b"a;b\n1;3\n".to_vec()]).await;
    let publication = app.query(&format!("{{ revision(id: \"{from}\") {{ publicationId }} }}")).await;
    let publication = publication["revision"]["publicationId"].as_str().expect("an id").to_owned();
    let folder = app.folder.path();
    tokio::task::block_in_place(|| {
        let table = printed(folder, &["diff", &from, &to]);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["R", "DADGER.RV0", "=>", "DADGER.RV1", "+1", "-1"], "{table}");
        assert_eq!(lines[1], ["M", "caso.dat", "+1", "-1"], "{table}");
        assert_eq!(table.lines().last(), Some("1 added, 1 removed (1 renamed), 3 changed"), "{table}");
        // One id is enough, and so are words.
        for args in [&["diff", &to][..], &["diff", &publication], &["diff", "--search", "produto 1"]] {
            assert_eq!(printed(folder, args), table, "{args:?}");
        }
        let object: Value = serde_json::from_str(&printed(folder, &["diff", &to, "--format", "json"])).expect("JSON");
        assert_eq!((&object["from"]["id"], &object["changed"]), (&json!(from), &json!(3)));
        let member = printed(folder, &["diff", &to, "--member", "dadger.rv1"]);
        assert!(
            member.ends_with("-UH  1    1      34.39\n+UH  1    1      34.40\n UH  2    1      20.00\n & fim\n"),
            "{member}"
        );
        assert!(!member.contains('\u{1b}'), "colours without a terminal");
        let colored = printed(folder, &["diff", &to, "--member", "dadger.rv1", "--color", "always"]);
        assert!(colored.contains("\u{1b}[31m-UH  1    1      34.39\u{1b}[0m\n"), "{colored}");
        let text = printed(folder, &["diff", "--search", "produto 2"]);
        assert!(text.ends_with("@@ -1,2 +1,2 @@\n a;b\n-1;2\n+1;3\n"), "{text}");
        for (args, code, word) in [
            (&["diff"][..], 2, "--search"),
            (&["diff", "xyz"], 2, "`xyz` is not a valid id"),
            (&["diff", &to, "--search", "x"], 2, "--search"),
            (&["diff", &from], 1, "no file of `Produto 1` is older"),
            (&["diff", "--search", "inexistente"], 1, "`inexistente`"),
            (&["diff", "--search", "produto 1", "--as-of", "2020-01-01"], 1, "`produto 1`"),
            (&["diff", &from, &to, "--member", "ausente.dat"], 1, "`ausente.dat`"),
            (&["diff", "019a0000-0000-7000-8000-000000000000"], 1, "019a0000"),
        ] {
            let output = run(folder, args);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(code) && error.contains(word), "{args:?}: {error}");
        }
    });
}

/// Size and checksum of each member of a zip without nested ones, by its path.
fn directory(bytes: &[u8]) -> BTreeMap<String, (u64, u32, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
    let mut found = BTreeMap::new();
    for at in 0..zip.len() {
        let mut member = zip.by_index(at).expect("a member");
        if member.is_file() {
            let mut content = Vec::new();
            member.read_to_end(&mut content).expect("its bytes");
            found.insert(member.name().expect("a name").into_owned(), (member.size(), member.crc32(), content));
        }
    }
    found
}

/// Each zip against the next one: what the diff lists is what their directories say, and the lines add up.
pub async fn agrees_with_the_directories(zips: &[Vec<u8>]) {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (number, bytes) in (1..).zip(zips) {
        app.portal.add(product(number, &format!("Deck {number}"), "deck.zip", bytes.clone()));
        ids.push(app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned());
    }
    let lines = |bytes: &[u8]| {
        (bytes.iter().filter(|b| **b == b'\n').count() + usize::from(bytes.last().is_some_and(|b| *b != b'\n'))) as i64
    };
    for (zips, ids) in zips.windows(2).zip(ids.windows(2)) {
        let (before, after) = (directory(&zips[0]), directory(&zips[1]));
        let mut expected: Vec<(&str, &str)> = Vec::new();
        for (path, one) in &before {
            match after.get(path) {
                None => expected.push((path, "REMOVED")),
                Some(other) if (one.0, one.1) != (other.0, other.1) => expected.push((path, "CHANGED")),
                Some(_) => {}
            }
        }
        expected.extend(after.keys().filter(|path| !before.contains_key(*path)).map(|path| (path.as_str(), "ADDED")));
        expected.sort();
        let found = diff(&app, &[ids[0].clone(), ids[1].clone()]).await;
        let listed = members(&found);
        assert_eq!(listed.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>(), expected);
        assert_eq!(found["notes"], json!([]));
        let mut of_text = 0;
        for (path, kind, added, removed) in listed {
            if let (Some(added), Some(removed)) = (added, removed) {
                of_text += 1;
                let count = |of: &BTreeMap<String, (u64, u32, Vec<u8>)>| of.get(path).map_or(0, |one| lines(&one.2));
                assert_eq!(added - removed, count(&after) - count(&before), "{path}");
                assert!(kind != "CHANGED" || added + removed > 0, "{path} is text and differs in no line");
            }
        }
        assert!(of_text > 0, "no member is text");
    }
}

#[tokio::test]
async fn a_diff_agrees_with_the_directories() {
    let decks: Vec<Vec<u8>> = (0..3)
        .map(|revision| {
            let dadger = format!("UH  {revision}\nCT\n");
            let name = format!("dadger.rv{revision}");
            let always: (&str, &[u8]) = ("sempre.dat", b"1\n");
            let sometimes: (&str, &[u8]) = (["a.dat", "b.dat"][revision % 2], b"x\n");
            zip(&[(name.as_str(), dadger.as_bytes()), always, sometimes, ("caso.dat", dadger.as_bytes())])
        })
        .collect();
    agrees_with_the_directories(&decks).await;
}

/// Workbooks against the next one: cells differ, and there is nothing that could not be compared.
pub async fn shows_cells_of_workbooks(workbooks: &[Vec<u8>]) {
    let app = TestApp::start().await;
    for (number, pair) in (1..).zip(workbooks.windows(2)) {
        let ids = revisions(&app, number, "planilha.xlsx", [pair[0].clone(), pair[1].clone()]).await;
        let found = cells(&app, &ids).await;
        assert!(found["cellsChanged"].as_i64().is_some_and(|count| count > 0), "{found}");
        let listed = found["cells"].as_array().expect("a list");
        assert!(!listed.is_empty() && listed.iter().all(|one| one["before"] != one["after"]), "{found}");
    }
}

async fn cells(app: &TestApp, [from, to]: &[String; 2]) -> Value {
    let query = "query($from: ID!, $to: ID!) { revisionDiff(from: $from, to: $to) { isSame cellsChanged note
        cells { sheet cell before after } members { path kind cellsChanged note cells { sheet cell before after } } } }";
    app.query_with(query, json!({ "from": from, "to": to })).await["revisionDiff"].clone()
}

/// A workbook with sheets of these names and rows (as XML), and shared strings.
fn workbook(sheets: &[(&str, &str)], strings: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let named = |at: usize, name: &str| format!("<sheet name=\"{name}\" sheetId=\"{at}\" r:id=\"rId{at}\"/>");
    let related = |at: usize| {
        format!("<Relationship Id=\"rId{at}\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet{at}.xml\"/>")
    };
    let all: String = (1..).zip(sheets).map(|(at, (name, _))| named(at, name)).collect();
    let relations: String = (1..=sheets.len()).map(related).collect();
    let mut parts = vec![
        (
            "_rels/.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"r\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!("<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets>{all}</sheets></workbook>"),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!("<Relationships xmlns=\"{PACKAGE}\">{relations}</Relationships>"),
        ),
        ("xl/sharedStrings.xml".to_owned(), format!("<sst xmlns=\"{MAIN}\" {strings}</sst>")),
    ];
    for (at, (_, rows)) in (1..).zip(sheets) {
        let sheet = format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{rows}</sheetData></worksheet>");
        parts.push((format!("xl/worksheets/sheet{at}.xml"), sheet));
    }
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zip(&parts)
}

const STRINGS: &str = "uniqueCount=\"2\"><si><t>usina</t></si><si><t>Itaipu</t></si>";

#[tokio::test]
async fn workbooks_are_compared_by_cell() {
    let app = TestApp::start().await;
    let rows = |value: &str| {
        format!(
            "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>\
            <row r=\"12\"><c r=\"A12\"><v>1.5</v></c><c r=\"B12\">{value}</c></row>"
        )
    };
    let before = workbook(&[("Vazões", &rows("<v>10</v>")), ("Antiga", "")], STRINGS);
    let added = "<row r=\"2\"><c r=\"AA2\" t=\"inlineStr\"><is><t>nova</t></is></c></row>";
    let (start, end) = (rows("<v>11.25</v>"), added);
    // The row that was added stands before one with a higher number, as some programs write them.
    let after = workbook(&[("Nova", ""), ("Vazões", &format!("{end}{start}"))], STRINGS);
    let expected = json!([
        { "sheet": "Vazões", "cell": "AA2", "before": null, "after": "nova" },
        { "sheet": "Vazões", "cell": "B12", "before": "10", "after": "11.25" },
    ]);
    let ids = revisions(&app, 1, "planilha.xlsx", [before.clone(), after.clone()]).await;
    let found = cells(&app, &ids).await;
    assert_eq!((&found["cellsChanged"], &found["cells"], &found["members"]), (&json!(2), &expected, &json!([])));
    let note = found["note"].as_str().expect("a note");
    assert!(note.contains("removed: `Antiga`") && note.contains("added: `Nova`"), "{note}");
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}", ids[0], ids[1]), "text/plain").await;
    assert!(text.ends_with("@@ Vazões @@\n+AA2\tnova\n-B12\t10\n+B12\t11.25\n"), "{text}");
    // As a member of a zip.
    let decks = [zip(&[("dados.xlsx", &before), ("x", b"x")]), zip(&[("dados.xlsx", &after), ("x", b"x")])];
    let ids = revisions(&app, 2, "deck.zip", decks).await;
    let found = cells(&app, &ids).await;
    assert_eq!(found["members"][0]["path"], "dados.xlsx");
    assert_eq!((&found["members"][0]["cellsChanged"], &found["members"][0]["cells"]), (&json!(2), &expected));
    let (_, _, text) = get(&app, &format!("/files/{}/diff/{}?member=dados.xlsx", ids[0], ids[1]), "text/plain").await;
    assert!(text.contains("@@ Vazões @@\n+AA2\tnova\n"), "{text}");
    // Saved again with another date.
    let again = repacked(&directory(&before).iter().map(|(name, one)| (name.as_str(), &one.2[..])).collect::<Vec<_>>());
    let ids = revisions(&app, 3, "planilha.xlsm", [before.clone(), again]).await;
    let found = cells(&app, &ids).await;
    assert_eq!((&found["isSame"], &found["cellsChanged"]), (&json!(false), &json!(0)));
}

/// A workbook of which one part unpacks to more than the directory says, and one to very much.
fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let empty = workbook(&[("A", "")], STRINGS);
    let spaces = " ".repeat(70 << 20);
    let packed = crate::harness::packing::deflate(spaces.as_bytes());
    let parts = directory(&empty);
    let mut lying: Vec<RawMember> =
        parts.iter().map(|(name, one)| RawMember::stored(name.as_bytes(), &one.2)).collect();
    lying.push(RawMember { method: 8, size: 10, ..RawMember::stored(b"xl/styles.xml", &packed) });
    vec![
        ("large", workbook(&[("A", &spaces)], STRINGS), "more than 64 MiB"),
        ("lying", raw_zip(&lying), "larger than its declared"),
    ]
}

#[tokio::test]
async fn workbook_bombs_exhaust_no_memory() {
    let app = TestApp::start().await;
    let one = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>";
    let plain = workbook(&[("A", one)], STRINGS);
    for (number, (what, bomb, word)) in (1..).zip(bombs()) {
        let ids = revisions(&app, number, "bomba.xlsx", [plain.clone(), bomb]).await;
        let found = cells(&app, &ids).await;
        assert_eq!(found["cellsChanged"], Value::Null, "{what}: {found}");
        assert!(found["note"].as_str().expect("a note").contains(word), "{what}: {found}");
    }
    // Two cells at the ends of a sheet, a formula with the largest number, and a table that announces more strings than memory holds.
    let far = "<row r=\"1\"><c r=\"A1\"><f t=\"shared\" ref=\"A1:XFD1048576\" si=\"4294967295\">1+1</f><v>2</v></c></row>\
        <row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>";
    let bomb = workbook(&[("A", far)], "uniqueCount=\"1000000000000\"><si><t>x</t></si>");
    let ids = revisions(&app, 10, "bomba.xlsx", [plain, bomb]).await;
    let found = cells(&app, &ids).await;
    assert_eq!(found["cellsChanged"], 2, "{found}");
    assert_eq!(found["cells"][1]["cell"], "XFD1048576");
}

/// Zips in zips: every member that differs by path, size or checksum, and no nested zip as changed itself.
pub async fn lists_members_of_nested_zips(zips: [Vec<u8>; 2]) {
    let app = TestApp::start().await;
    let mut zips = zips.into_iter();
    let mut next = || zips.next().expect("a zip");
    let ids = revisions(&app, 1, "deck.zip", [next(), next()]).await;
    let found = diff(&app, &ids).await;
    let listed = members(&found);
    assert!(listed.iter().any(|one| one.0.to_lowercase().contains(".zip/")), "{found}");
    let list = async |id: &str| -> BTreeMap<String, i64> {
        let members: Value = app.get(&format!("/files/{id}/members")).await.json().await.expect("JSON");
        let members = members["members"].as_array().expect("a list").clone();
        members
            .iter()
            .map(|one| (one["path"].as_str().expect("a path").to_owned(), one["size"].as_i64().expect("a size")))
            .collect()
    };
    let (before, after) = (list(&ids[0]).await, list(&ids[1]).await);
    for (path, kind, ..) in &listed {
        assert_eq!(
            (before.contains_key(*path), after.contains_key(*path)),
            (*kind != "ADDED", *kind != "REMOVED"),
            "{path}"
        );
    }
    let is_listed = |path: &str| listed.iter().any(|one| one.0 == path);
    for (path, size) in &before {
        let is_other = after.get(path).is_none_or(|other| other != size && !path.to_lowercase().ends_with(".zip"));
        assert!(!is_other || is_listed(path), "{path}");
    }
}

#[tokio::test]
async fn old_workbooks_are_compared_by_cell() {
    let app = TestApp::start().await;
    let number = |row: u16, column: u16, value: f64| old_cell(0x0203, row, column, &value.to_le_bytes());
    let text = |row: u16, column: u16, at: u32| old_cell(0x00fd, row, column, &at.to_le_bytes());
    let before =
        old_workbook(&["usina", "Itaipu"], &[text(0, 0, 0), text(0, 1, 1), number(9, 1, 10.0), number(9, 2, 7.0)]);
    let after =
        old_workbook(&["usina", "Tucurui"], &[text(0, 0, 0), text(0, 1, 1), number(9, 1, 10.5), number(9, 2, 7.0)]);
    let ids = revisions(&app, 1, "ACOMPH.xls", [before.clone(), after]).await;
    let found = cells(&app, &ids).await;
    let expected = json!([
        { "sheet": "Dia", "cell": "B1", "before": "Itaipu", "after": "Tucurui" },
        { "sheet": "Dia", "cell": "B10", "before": "10", "after": "10.5" },
    ]);
    assert_eq!((&found["cellsChanged"], &found["cells"]), (&json!(2), &expected), "{found}");
    // The table of a sheet with cells at its corners, and copies of a long text, would take gigabytes.
    let long = "x".repeat(8_000);
    let corners = old_workbook(&["a"], &[number(0, 0, 1.0), number(u16::MAX, u16::MAX, 1.0)]);
    let copies: Vec<Vec<u8>> = (0..50_000).map(|row| text(row, 0, 0)).collect();
    let copies = old_workbook(&[&long], &copies);
    for (number, bomb, word) in [(2, corners, "larger than"), (3, copies, "MiB")] {
        let ids = revisions(&app, number, "bomba.xls", [before.clone(), bomb]).await;
        let found = cells(&app, &ids).await;
        assert_eq!(found["cellsChanged"], Value::Null, "{found}");
        assert!(found["note"].as_str().expect("a note").contains(word), "{found}");
    }
}
