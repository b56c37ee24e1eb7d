use serde_json::json;

use crate::harness::samples::{noise, product, text, zip};
use crate::harness::{Db, KEY, TestApp, on_each_database, sha256};

on_each_database!(the_published_bytes_and_name_come_back);
async fn the_published_bytes_and_name_come_back(db: Db) {
    let app = TestApp::on(db).await;
    // One that shrinks, one that does not, one too large for memory either way, one of a single byte.
    let files = [
        ("Relatório de Vazões.txt", text(300_000)),
        ("ruído.bin", noise(100_000)),
        ("grande.csv", text(20 << 20)),
        ("grande.bin", noise(9 << 20)),
        ("um.txt", b"1".to_vec()),
    ];
    for (i, (name, bytes)) in files.iter().enumerate() {
        let number = app.portal.add(product(i as u32 + 1, &format!("Produto {i}"), name, bytes.clone()));
        let end = app.archive(number).await;
        assert_eq!(end["status"], "ARCHIVED", "{end}");
        let path = format!("/files/{}", end["revision"]["id"].as_str().expect("an id"));
        let answer = app.get(&path).await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        assert_eq!(headers["etag"].to_str().expect("text"), format!("\"{}\"", sha256(bytes)));
        assert_eq!(headers["content-length"].to_str().expect("text"), bytes.len().to_string());
        let disposition = headers["content-disposition"].to_str().expect("text");
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        if name.is_ascii() {
            assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
        } else {
            assert!(
                disposition.ends_with(&format!("filename*=UTF-8''{}", encoded.replace('+', "%20"))),
                "{disposition}"
            );
        }
        assert!(answer.bytes().await.expect("bytes") == bytes[..], "{name}");
    }
    let folder = app.stop().await;
    let left = crate::harness::files_in(&folder.path().join("data/archive/incoming"));
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn ranges_validators_and_heads() {
    let app = TestApp::start().await;
    let bytes = text(5000);
    let number = app.portal.add(product(1, "Produto", "a.txt", bytes.clone()));
    let path = format!("/files/{}", app.archive(number).await["revision"]["id"].as_str().expect("an id"));
    let etag = format!("\"{}\"", sha256(&bytes));
    for (range, part) in
        [("bytes=10-19", 10..20), ("bytes=4990-", 4990..5000), ("bytes=-5", 4995..5000), ("bytes=0-99999", 0..5000)]
    {
        let answer = app.get_with(&path, &[("range", range)]).await;
        assert_eq!(answer.status(), 206, "{range}");
        let content_range = format!("bytes {}-{}/5000", part.start, part.end - 1);
        assert_eq!(answer.headers()["content-range"].to_str().expect("text"), content_range);
        assert_eq!(answer.bytes().await.expect("bytes"), bytes[part], "{range}");
    }
    let beyond = app.get_with(&path, &[("range", "bytes=5000-")]).await;
    assert_eq!(
        (beyond.status().as_u16(), beyond.headers()["content-range"].to_str().expect("text")),
        (416, "bytes */5000")
    );
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), 304),
        ("if-none-match", "\"x\", W/\"y\", *", 304),
        ("if-none-match", "\"x\"", 200),
        ("range", "lines=1-2", 200),
        ("range", "bytes=0-1, 4-5", 200),
    ] {
        assert_eq!(app.get_with(&path, &[(name, value)]).await.status().as_u16(), status, "{name}: {value}");
    }
    let stale = app.get_with(&path, &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await;
    assert_eq!(stale.status(), 200);
    let fresh = app.get_with(&path, &[("range", "bytes=0-1"), ("if-range", &etag)]).await;
    assert_eq!(fresh.status(), 206);
    // A range of HEAD has no meaning.
    for headers in [&[][..], &[("range", "bytes=0-9")]] {
        let head = app.client.head(format!("{}{path}", app.url)).bearer_auth(KEY);
        let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        let head = head.send().await.expect("a response");
        assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().expect("text")), (200, "5000"));
        assert!(head.headers().get("content-range").is_none());
    }
    assert_eq!(app.client.get(format!("{}{path}", app.url)).send().await.expect("a response").status(), 401);
    for (path, status) in [("/files/none", 404), ("/files/0198b5c0-0000-7000-8000-000000000000", 404)] {
        assert_eq!(app.get(path).await.status().as_u16(), status);
    }
}

#[tokio::test]
async fn each_representation_has_its_own_tag_and_conditions_hold() {
    let app = TestApp::start().await;
    let bytes = text(400_000);
    let number = app.portal.add(product(1, "Produto", "a.txt", bytes.clone()));
    let path = format!("/files/{}", app.archive(number).await["revision"]["id"].as_str().expect("an id"));
    let header = |answer: &reqwest::Response, name: &str| {
        answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    let plain = app.get_with(&path, &[("accept-encoding", "identity")]).await;
    let plain_tag = header(&plain, "etag").expect("a tag");
    let modified = header(&plain, "last-modified").expect("an instant");
    assert_eq!(plain_tag, format!("\"{}\"", sha256(&bytes)));
    let frame = app.get_with(&path, &[("accept-encoding", "zstd")]).await;
    let frame_tag = header(&frame, "etag").expect("a tag");
    assert!(frame_tag != plain_tag && frame_tag.starts_with('"'), "{frame_tag}");
    let whole = frame.bytes().await.expect("bytes");
    // A transfer of the frame that is resumed gets all of it again, never a part of the plain form.
    let resumed = [("accept-encoding", "zstd"), ("range", "bytes=100-"), ("if-range", &frame_tag)];
    let resumed = app.get_with(&path, &resumed).await;
    assert_eq!(resumed.status(), 200);
    assert_eq!(resumed.bytes().await.expect("bytes"), whole);
    for (headers, status, etag) in conditions(&plain_tag, &frame_tag, &modified) {
        let answer = app.get_with(&path, &headers).await;
        assert_eq!(answer.status().as_u16(), status, "{headers:?}");
        if !etag.is_empty() {
            assert_eq!(header(&answer, "etag").as_deref(), Some(etag), "{headers:?}");
        }
        if status == 304 {
            assert_eq!(header(&answer, "content-length"), None, "{headers:?}");
        }
    }
}

/// Headers of a request, and the status and the tag of its response.
type Condition<'a> = (Vec<(&'a str, &'a str)>, u16, &'a str);

/// Conditions on a file with these tags of its two forms, which was last modified at this instant.
fn conditions<'a>(plain: &'a str, frame: &'a str, modified: &'a str) -> Vec<Condition<'a>> {
    let (zstd, same) = (("accept-encoding", "zstd"), ("range", "bytes=100-109"));
    let long_ago = "Thu, 20 Feb 2020 12:00:00 GMT";
    vec![
        (vec![("if-none-match", plain)], 304, plain),
        (vec![zstd, ("if-none-match", frame)], 304, frame),
        (vec![zstd, ("if-none-match", plain)], 304, plain),
        (vec![("if-none-match", "\"x\""), ("if-none-match", plain)], 304, plain),
        (vec![("if-none-match", "*")], 304, plain),
        (vec![("if-modified-since", modified)], 304, plain),
        (vec![("if-modified-since", long_ago)], 200, plain),
        (vec![("if-modified-since", modified), ("if-none-match", "\"x\"")], 200, plain),
        (vec![("if-match", plain)], 200, plain),
        (vec![zstd, ("if-match", plain)], 200, plain),
        (vec![zstd, ("if-match", frame)], 200, frame),
        (vec![zstd, ("if-match", "*")], 200, frame),
        (vec![("if-match", "\"x\"")], 412, ""),
        (vec![zstd, same, ("if-match", frame)], 412, ""),
        (vec![zstd, same, ("if-match", plain)], 206, plain),
        (vec![("if-unmodified-since", long_ago)], 412, ""),
        (vec![same, ("if-range", modified)], 206, plain),
        (vec![same, ("if-range", long_ago)], 200, plain),
        (vec![("accept-encoding", "identity;q=0")], 406, ""),
        (vec![("accept-encoding", "identity;q=0, *")], 200, frame),
        (vec![("accept-encoding", "gzip"), ("accept-encoding", "zstd")], 200, frame),
        (vec![("accept-encoding", "zstd;Q=0")], 200, plain),
        (vec![("accept-encoding", "zstd;q=0.")], 200, plain),
    ]
}

#[tokio::test]
async fn the_stored_frame_goes_out_as_it_is() {
    let app = TestApp::start().await;
    let bytes = text(400_000);
    let number = app.portal.add(product(1, "Produto", "a.txt", bytes.clone()));
    let path = format!("/files/{}", app.archive(number).await["revision"]["id"].as_str().expect("an id"));
    let answer = app.get_with(&path, &[("accept-encoding", "gzip, zstd;q=0.5")]).await;
    assert_eq!(answer.headers()["content-encoding"].to_str().expect("text"), "zstd");
    let frame = answer.bytes().await.expect("bytes");
    assert!(zstd::decode_all(&frame[..]).expect("a frame") == bytes);
    let stored = crate::harness::files_in(&app.folder.path().join("data/archive"));
    assert_eq!(std::fs::read(&stored[0]).expect("a file"), frame);
    for refused in ["zstd;q=0", "gzip", "identity"] {
        let answer = app.get_with(&path, &[("accept-encoding", refused)]).await;
        assert!(answer.headers().get("content-encoding").is_none(), "{refused}");
    }
    // A part is one of the published bytes.
    let part = app.get_with(&path, &[("accept-encoding", "zstd"), ("range", "bytes=100000-100009")]).await;
    assert_eq!(part.bytes().await.expect("bytes"), bytes[100_000..100_010]);
}

#[tokio::test]
async fn members_of_zips_are_listed_and_sent() {
    let app = TestApp::start().await;
    let inner = zip(&[("C_ADIC.DAT", &text(5000)), ("pasta/SISTEMA.DAT", b"sistema")]);
    let outer = zip(&[("deck_newave.zip", &inner), ("Leia-me.txt", b"leia"), ("quebrado.zip", b"PK no")]);
    let number = app.portal.add(product(1, "Deck NEWAVE", "deck.zip", outer));
    let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    let listed: serde_json::Value = app.get(&format!("/files/{id}/members")).await.json().await.expect("JSON");
    let paths: Vec<_> =
        listed["members"].as_array().expect("a list").iter().map(|m| m["path"].as_str().expect("a path")).collect();
    let all = [
        "deck_newave.zip",
        "deck_newave.zip/C_ADIC.DAT",
        "deck_newave.zip/pasta/SISTEMA.DAT",
        "Leia-me.txt",
        "quebrado.zip",
    ];
    assert_eq!(paths, all);
    for (path, bytes) in
        [("deck_newave.zip/C_ADIC.DAT", text(5000)), ("Leia-me.txt", b"leia".to_vec()), ("deck_newave.zip", inner)]
    {
        let answer = app.get(&format!("/files/{id}/members/{path}")).await;
        assert_eq!(answer.bytes().await.expect("bytes"), bytes, "{path}");
    }
    assert_eq!(app.get(&format!("/files/{id}/members/none.dat")).await.status(), 404);
    assert_eq!(app.get(&format!("/files/{id}/members/quebrado.zip/x")).await.status(), 404);
    let query =
        "query($id: ID!) { revision(id: $id) { members(match: \"SISTEMA\") { totalCount nodes { path size url } } } }";
    let members = app.query_with(query, json!({ "id": id })).await["revision"]["members"].clone();
    assert_eq!(members["totalCount"], 1);
    let url = members["nodes"][0]["url"].as_str().expect("a url");
    assert_eq!(app.get(url).await.bytes().await.expect("bytes"), b"sistema"[..]);
    // Members can be searched too.
    let found = app.query("{ publications(search: \"c_adic\") { totalCount } }").await;
    assert_eq!(found["publications"]["totalCount"], 1);
}
