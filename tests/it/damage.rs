use std::path::{Path, PathBuf};
use std::time::Duration;

use acervo::leaves::record::RecordError;
use acervo::portal::Validators;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::process::run;
use crate::harness::samples::{noise, product, text, zip};
use crate::harness::{Db, TestApp, database, files_in, on_each_database, postgres};

/// The one object of an archive.
fn object(app: &TestApp) -> PathBuf {
    let mut found = files_in(&app.folder.path().join("data/archive"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// An object, altered in many ways.
fn altered(intact: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let length = intact.len();
    let mut all = Vec::new();
    let from_start = [0, 1, 4, 5, 6, length / 3, length / 2].into_iter().filter(|at| *at < length);
    let from_end = [8, 4, 2, 1].into_iter().filter_map(|back| length.checked_sub(back));
    for at in from_start.chain(from_end) {
        for bit in [0x01, 0x10, 0x80] {
            let mut other = intact.to_vec();
            other[at] ^= bit;
            all.push((format!("bit {bit:#x} of byte {at} of {length}"), Some(other)));
        }
    }
    all.push(("cut by one".to_owned(), Some(intact[..length - 1].to_vec())));
    all.push(("cut in the middle".to_owned(), Some(intact[..length / 2].to_vec())));
    all.push(("empty".to_owned(), Some(Vec::new())));
    all.push(("longer by one".to_owned(), Some([intact, b"x"].concat())));
    all.push(("twice".to_owned(), Some([intact, intact].concat())));
    all.push(("gone".to_owned(), None));
    all
}

fn place(path: &Path, object: Option<&[u8]>) {
    match object {
        Some(bytes) => std::fs::write(path, bytes).expect("the object"),
        None => std::fs::remove_file(path).expect("the object"),
    }
}

/// What a client has in the end, if it has all that the response promised.
async fn received(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Option<Vec<u8>> {
    let answer = app.get_with(path, headers).await;
    let is_frame = answer.headers().get("content-encoding").is_some();
    if answer.status() == 500 {
        return None;
    }
    assert!(answer.status().is_success(), "{}", answer.status());
    let bytes = answer.bytes().await.ok()?;
    if is_frame { zstd::decode_all(&bytes[..]).ok() } else { Some(bytes.to_vec()) }
}

async fn damaged(app: &TestApp) -> Value {
    app.query("{ status { damaged damagedFiles { name sha256 revisionId since } } }").await["status"].clone()
}

/// Asks for parts and for the whole: the first request finds the damage, the later ones know of it.
async fn ask_in_every_form(app: &TestApp, path: &str, bytes: &[u8], is_sound: bool, what: &str) {
    let (middle, last) = (format!("bytes={}-", bytes.len() / 2), format!("bytes=-{}", bytes.len().min(9)));
    for headers in [
        vec![("range", "bytes=0-0")],
        vec![("range", middle.as_str())],
        vec![("range", last.as_str())],
        vec![("accept-encoding", "zstd")],
        vec![("accept-encoding", "identity")],
    ] {
        let part = match headers[0] {
            ("range", "bytes=0-0") => &bytes[..1],
            ("range", range) if range == last => &bytes[bytes.len() - bytes.len().min(9)..],
            ("range", _) => &bytes[bytes.len() / 2..],
            _ => bytes,
        };
        let got = received(app, path, &headers).await;
        if is_sound {
            assert!(got.as_deref() == Some(part), "{what}: {headers:?}");
        } else if headers[0].0 == "range" {
            // Intact blocks may be sent until the damage is known.
            assert!(got.is_none() || got.as_deref() == Some(part), "{what}: {headers:?}");
        } else {
            assert!(got.is_none(), "{what}: {headers:?} got {} bytes", got.unwrap_or_default().len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_never_delivered_as_good() {
    for bytes in [text(700_000), noise(500_000), text(300), b"1".to_vec()] {
        let app = TestApp::start().await;
        let number = app.portal.add(product(1, "Produto", "a.txt", bytes.clone()));
        let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
        let path = format!("/files/{id}");
        let object = object(&app);
        let intact = std::fs::read(&object).expect("the object");
        for (what, other) in altered(&intact) {
            place(&object, other.as_deref());
            let is_sound = other.as_ref().is_some_and(|other| match object.extension() {
                Some(_) => zstd::decode_all(&other[..]).is_ok_and(|decoded| decoded == bytes),
                None => *other == bytes,
            });
            ask_in_every_form(&app, &path, &bytes, is_sound, &what).await;
            let count = if is_sound { 0 } else { 1 };
            assert_eq!(damaged(&app).await["damaged"], count, "{what}");
            if !is_sound {
                let answer = app.get(&path).await;
                assert_eq!(answer.status(), 500, "{what}");
                let reported: Value = answer.json().await.expect("JSON");
                assert!(reported["detail"].as_str().expect("text").contains("Enviar"), "{reported}");
            }
            // Put right from outside, it is good again.
            place(&object, Some(&intact));
            assert!(received(&app, &path, &[("accept-encoding", "identity")]).await.as_deref() == Some(&bytes[..]));
            assert_eq!(damaged(&app).await["damaged"], 0, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_found_while_a_range_is_requested_again() {
    let bytes = noise(500_000);
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Produto", "a.bin", bytes.clone()));
    let path = format!("/files/{}", app.archive(number).await["revision"]["id"].as_str().expect("an id"));
    let object = object(&app);
    let (range, other) = ([("range", "bytes=400000-400009")], [("range", "bytes=10-19")]);
    assert!(received(&app, &path, &range).await.as_deref() == Some(&bytes[400_000..400_010]));
    // The file was verified; it is altered after that, without a change of length and time.
    let mut altered = bytes.clone();
    altered[400_005] ^= 4;
    let modified = object.metadata().and_then(|found| found.modified()).expect("a time");
    std::fs::write(&object, altered).expect("the object");
    std::fs::File::options().write(true).open(&object).and_then(|file| file.set_modified(modified)).expect("a time");
    assert!(received(&app, &path, &other).await.as_deref() == Some(&bytes[10..20]));
    assert_eq!(received(&app, &path, &range).await, None);
    // From then on nothing of it is sent.
    assert_eq!(app.get_with(&path, &other).await.status(), 500);
}

on_each_database!(a_damaged_file_is_reported_and_repaired_by_the_portal, 2 threads);
async fn a_damaged_file_is_reported_and_repaired_by_the_portal(db: Db) {
    for bytes in [text(400_000), noise(400_000)] {
        let app = TestApp::on(db).await;
        let number = app.portal.add(product(1, "Carga Diária", "a.bin", bytes.clone()));
        let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
        let path = format!("/files/{id}");
        let object = object(&app);
        let mut other = std::fs::read(&object).expect("the object");
        let middle = other.len() / 2;
        other[middle] ^= 1;
        std::fs::write(&object, &other).expect("the object");
        assert_eq!(received(&app, &path, &[]).await, None);
        let found = damaged(&app).await;
        assert_eq!((&found["damaged"], &found["damagedFiles"][0]["name"]), (&json!(1), &json!("Carga Diária")));
        assert_eq!(found["damagedFiles"][0]["revisionId"], json!(id));
        if db == Db::Sqlite {
            let folder = app.folder.clone();
            tokio::task::block_in_place(|| {
                let reported = run(folder.path(), &["status"]);
                let text = String::from_utf8_lossy(&reported.stdout).into_owned();
                assert!(text.contains("damaged") && text.contains("Carga Diária"), "{text}");
                let got = run(folder.path(), &["get", &id, "-o", "out.bin"]);
                assert_eq!(got.status.code(), Some(1));
                assert!(String::from_utf8_lossy(&got.stderr).contains("Enviar"), "{got:?}");
                assert!(!folder.path().join("out.bin").exists());
            });
        }
        // The portal would answer a conditional request with "not modified", which would not help.
        app.portal.enviar(number).await.expect("a product");
        app.settled(2).await;
        let data = app.query("{ notifications(first: 1) { nodes { status } } revisions { totalCount } }").await;
        assert_eq!(data["notifications"]["nodes"][0]["status"], "UNCHANGED", "{data}");
        assert_eq!(data["revisions"]["totalCount"], 1);
        assert!(received(&app, &path, &[]).await.as_deref() == Some(&bytes[..]));
        assert_eq!(damaged(&app).await["damaged"], 0);
    }
}

on_each_database!(a_damaged_file_that_was_not_read_is_fetched_whole, 2 threads);
/// The portal sends no bytes of a file that has not changed. A copy that is damaged, and was not read since, is
/// fetched in full all the same.
async fn a_damaged_file_that_was_not_read_is_fetched_whole(db: Db) {
    let app = TestApp::on(db).await;
    let bytes = text(400_000);
    let number = app.portal.add(product(1, "Carga Diária", "a.bin", bytes.clone()));
    app.portal.set_validators(Validators::Etag);
    let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    let object = object(&app);
    let whole = std::fs::read(&object).expect("the object");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let ways: [Option<&[u8]>; 3] = [Some(&flipped), Some(&whole[..whole.len() - 1]), None];
    for (turn, way) in (2..).zip(ways) {
        match way {
            Some(bytes) => std::fs::write(&object, bytes).expect("the object"),
            None => std::fs::remove_file(&object).expect("the object"),
        }
        app.portal.enviar(number).await.expect("a product");
        app.settled(turn).await;
        let data = app.query("{ notifications(first: 1) { nodes { status } } revisions { totalCount } }").await;
        assert_eq!(data["notifications"]["nodes"][0]["status"], "UNCHANGED", "{data}");
        assert_eq!(data["revisions"]["totalCount"], 1);
        assert!(received(&app, &format!("/files/{id}"), &[]).await.as_deref() == Some(&bytes[..]), "{turn}");
        assert_eq!(damaged(&app).await["damaged"], 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_a_damaged_zip_is_never_delivered_as_good() {
    let (dados, mais) = (noise(300_000), text(50_000));
    let inner = zip(&[("fundo.dat", &mais)]);
    let deck = zip(&[("dados.bin", &dados), ("dentro.zip", &inner), ("mais.txt", &mais)]);
    let app = TestApp::start().await;
    let number = app.portal.add(product(1, "Deck", "deck.zip", deck));
    let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
    let object = object(&app);
    let intact = std::fs::read(&object).expect("the object");
    for (what, other) in altered(&intact) {
        for (member, bytes) in [("dados.bin", &dados), ("dentro.zip/fundo.dat", &mais), ("mais.txt", &mais)] {
            place(&object, other.as_deref());
            let answer = app.get(&format!("/files/{id}/members/{member}")).await;
            let status = answer.status();
            if status == 200 {
                let got = answer.bytes().await;
                assert!(got.is_err() || got.is_ok_and(|got| got == bytes[..]), "{what}: {member}");
            } else {
                assert_eq!(status, 500, "{what}: {member}: {}", answer.text().await.unwrap_or_default());
            }
            place(&object, Some(&intact));
            let answer = app.get(&format!("/files/{id}/members/{member}")).await;
            assert!(answer.bytes().await.expect("bytes") == bytes[..], "{what}: {member}");
        }
    }
}

/// HEAD is GET without the body, whether the damage is known or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_of_a_damaged_file_is_an_error() {
    let deck = zip(&[("dados.txt", &text(50_000))]);
    for (name, bytes, part) in
        [("a.bin", text(100_000), ""), ("a.bin", noise(900), ""), ("a.zip", deck, "/members/dados.txt")]
    {
        let app = TestApp::start().await;
        let number = app.portal.add(product(1, "Produto", name, bytes));
        let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
        let object = object(&app);
        let mut flipped = std::fs::read(&object).expect("the object");
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        std::fs::write(&object, flipped).expect("the object");
        let url = format!("{}/files/{id}{part}", app.url);
        for coding in ["identity", "zstd"] {
            let ask = |method: reqwest::Method| {
                let request = app.client.request(method, &url).bearer_auth(crate::harness::KEY);
                request.header("accept-encoding", coding).send()
            };
            let head = ask(reqwest::Method::HEAD).await.expect("a response").status().as_u16();
            let get = ask(reqwest::Method::GET).await.expect("a response").status().as_u16();
            assert_eq!((head, get), (500, 500), "{name}{part}, {coding}");
        }
    }
}

/// Creates something that is not a file.
fn create(what: &str, path: &Path) {
    match what {
        "a named pipe" => {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.expect("mkfifo").success());
        }
        // Its address is short, whatever the path.
        "a socket" => {
            let folder = tempfile::tempdir().expect("a folder");
            let address = folder.path().join("s");
            drop(std::os::unix::net::UnixListener::bind(&address).expect("a socket"));
            std::fs::rename(address, path).expect("a socket");
        }
        "a device" => std::os::unix::fs::symlink("/dev/zero", path).expect("a link"),
        _ => std::fs::create_dir(path).expect("a folder"),
    }
}

/// Something else in the place of an object: it is never opened, and good bytes replace what can be replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_file_is_an_error_and_blocks_no_request() {
    let in_time = async |app: &TestApp, path: &str, what: &str| {
        let response = tokio::time::timeout(crate::harness::PATIENCE, app.get(path));
        let response = response.await.unwrap_or_else(|_| panic!("{what}: {path} hangs"));
        (response.status().as_u16(), response.text().await.expect("text"))
    };
    for what in ["a named pipe", "a socket", "a device", "a folder"] {
        for (name, bytes) in
            [("a.bin", text(300_000)), ("b.bin", noise(300_000)), ("c.zip", zip(&[("dados.txt", &text(900))]))]
        {
            let app = TestApp::start().await;
            let number = app.portal.add(product(1, "Produto", name, bytes.clone()));
            app.portal.set_validators(Validators::Etag);
            let id = app.archive(number).await["revision"]["id"].as_str().expect("an id").to_owned();
            let object = object(&app);
            std::fs::remove_file(&object).expect("the object");
            create(what, &object);
            let member = format!("/files/{id}/members/dados.txt");
            let mut paths = vec![format!("/files/{id}")];
            paths.extend((name == "c.zip").then_some(member));
            for path in &paths {
                let (status, body) = in_time(&app, path, what).await;
                assert_eq!(status, 500, "{what}: {body}");
                assert!(body.contains(what) && body.contains("Enviar"), "{what}: {body}");
            }
            assert_eq!(damaged(&app).await["damaged"], 1, "{what}");
            // The portal says that nothing changed; the file is read, and fetched whole.
            app.portal.enviar(number).await.expect("a product");
            if what == "a folder" {
                // A folder is never replaced by an object: an operator has to remove it.
                let query = "{ notifications(first: 1) { nodes { status error } } }";
                app.until(query, |data| {
                    let last = &data["notifications"]["nodes"][0];
                    last["status"] == "RETRYING" && last["error"].as_str().is_some_and(|error| error.contains(what))
                })
                .await;
                std::fs::remove_dir(&object).expect("the folder");
            }
            app.settled(2).await;
            for path in &paths {
                assert_eq!(in_time(&app, path, what).await.0, 200, "{what}");
            }
            assert_eq!(damaged(&app).await["damaged"], 0, "{what}");
        }
    }
}

on_each_database!(state_that_cannot_be_read_is_an_error);
/// The service never guesses its own state.
async fn state_that_cannot_be_read_is_an_error(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite://{}", folder.path().join("acervo.db").display());
    let url = postgres::database(db).unwrap_or(file);
    if db == Db::Sqlite {
        std::fs::write(folder.path().join("acervo.db"), b"").expect("a file");
    }
    let record = database::open_record(&url).await;
    let connection = database::connect(&url).await;
    let now = jiff::Timestamp::now();
    let held = record.locks().take("a", "me", now, Duration::from_secs(9)).await;
    assert!(held.expect("a lock"), "{db:?}");
    assert_eq!(record.feed().index_epoch().await.expect("an epoch"), 0);
    assert!(record.known_time().last().await.expect("no time").is_none(), "{db:?}");
    for (key, value) in [("lock:a", "me"), ("lock:a", "me soon"), ("clock", "soon"), ("index_epoch", "-1")] {
        let sql = format!(
            "INSERT INTO state (key, value) VALUES ('{key}', '{value}') \
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        );
        connection.execute_unprepared(&sql).await.expect("a row");
        let error = match key {
            "clock" => record.known_time().last().await.expect_err("an error"),
            "index_epoch" => record.feed().index_epoch().await.expect_err("an error"),
            _ => record.locks().take("a", "me", now, Duration::from_secs(9)).await.expect_err("an error"),
        };
        assert!(matches!(&error, RecordError::Corrupt(reported) if reported.contains(value)), "{db:?} {key}: {error}");
    }
}
