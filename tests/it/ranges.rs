use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::harness::samples::{product, replace};
use crate::harness::{Db, KEY, TestApp, on_each_database};

struct Answer {
    status: u16,
    tag: Option<String>,
    range: Option<String>,
    length: Option<u64>,
    body: Bytes,
}

async fn get(app: &TestApp, export: &str, headers: &[(&str, &str)]) -> Answer {
    let answer =
        app.get_with(&format!("/export/{export}"), &[headers, &[("accept-encoding", "identity")]].concat()).await;
    let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let (status, tag, range) = (answer.status().as_u16(), text("etag"), text("content-range"));
    let length = text("content-length").map(|length| length.parse().expect("a number"));
    Answer { status, tag, range, length, body: answer.bytes().await.expect("a body") }
}

async fn head(app: &TestApp, export: &str) -> (u64, String) {
    let answer = app.client.head(format!("{}/export/{export}", app.url)).bearer_auth(KEY).send().await;
    let answer = answer.expect("a response");
    assert_eq!(answer.headers()["accept-ranges"], "bytes");
    let text = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    (text("content-length").parse().expect("a number"), text("etag"))
}

async fn products(app: &TestApp, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        app.archive(app.portal.add(product(number, &format!("Produto {number}"), "dados.csv", format!("{number}"))))
            .await;
    }
}

on_each_database!(parts_of_an_unchanged_export_make_the_whole);
async fn parts_of_an_unchanged_export_make_the_whole(db: Db) {
    let app = TestApp::on(db).await;
    products(&app, 1..=3).await;
    for export in [
        "publications.csv",
        "revisions.ndjson",
        "publications.parquet",
        "notifications.parquet",
        "publications.xlsx",
        "members.csv",
    ] {
        let whole = get(&app, export, &[]).await;
        let tag = whole.tag.clone().expect("a tag");
        assert!(whole.status == 200 && tag.starts_with('"'), "{export}: {tag}");
        let size = whole.body.len();
        let (middle, rest) = (format!("bytes=4-{}", size / 2), format!("bytes={}-", size / 2 + 1));
        let mut joined = Vec::new();
        for range in ["bytes=0-3", &middle, &rest] {
            let part = get(&app, export, &[("range", range), ("if-range", &tag)]).await;
            assert_eq!((part.status, part.tag.as_ref()), (206, Some(&tag)), "{export} {range}");
            assert_eq!(part.length, Some(part.body.len() as u64), "{export} {range}");
            assert!(part.range.expect("a range").ends_with(&format!("/{size}")), "{export}");
            joined.extend_from_slice(&part.body);
        }
        assert!(joined == whole.body, "{export}");
        let last = get(&app, export, &[("range", "bytes=-2")]).await;
        assert_eq!((last.status, &last.body[..]), (206, &whole.body[size - 2..]), "{export}");
        let beyond = get(&app, export, &[("range", &format!("bytes={size}-"))]).await;
        assert_eq!((beyond.status, beyond.range), (416, Some(format!("bytes */{size}"))), "{export}");
        let other = get(&app, export, &[("range", "bytes=0-3"), ("if-range", "\"other\"")]).await;
        assert!(other.status == 200 && other.body == whole.body, "{export}");
    }
}

/// As programs read Parquet by its address: its length, its end, then the columns. Changes in between are not seen.
#[tokio::test]
async fn parts_never_come_from_two_states() {
    let app = TestApp::start().await;
    products(&app, 1..=2).await;
    let export = "publications.parquet";
    let (length, tag) = head(&app, export).await;
    let mut read = Vec::new();
    let step = length / 3 + 1;
    for (next, start) in (3..).zip((0..length).step_by(usize::try_from(step).expect("a small number"))) {
        products(&app, next..=next).await;
        let range = format!("bytes={start}-{}", (start + step - 1).min(length - 1));
        let part = get(&app, export, &[("range", &range)]).await;
        assert_eq!((part.status, part.tag.as_ref()), (206, Some(&tag)), "{range}");
        read.extend_from_slice(&part.body);
    }
    let reader = SerializedFileReader::new(Bytes::from(read)).expect("a file");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 2);
    // The present state, if that is what the client has or asks for.
    let (_, present) = head(&app, export).await;
    assert_ne!(present, tag);
    let stale = get(&app, export, &[("range", "bytes=0-3"), ("if-range", &tag)]).await;
    assert_eq!((stale.status, stale.tag.as_ref()), (200, Some(&present)));
    let part = get(&app, export, &[("range", "bytes=-8"), ("if-range", &present)]).await;
    assert_eq!((part.status, part.tag.as_ref()), (206, Some(&present)));
    let refused = get(&app, export, &[("range", "bytes=-8"), ("if-match", &tag)]).await;
    assert_eq!(refused.status, 412);
}

/// A download that was interrupted is continued without a word of what was there.
#[tokio::test]
async fn an_interrupted_download_continues_with_the_same_state_or_starts_again() {
    let app = TestApp::start().await;
    products(&app, 1..=2).await;
    for export in ["publications.csv", "revisions.ndjson", "publications.parquet"] {
        let before = get(&app, export, &[]).await;
        let unchanged = get(&app, export, &[("range", "bytes=10-")]).await;
        assert!(unchanged.status == 206 && unchanged.body == before.body[10..], "{export}");
        // Another request of the same client, of other rows, is another matter.
        let first = get(&app, &format!("{export}?limit=1"), &[]).await;
        app.portal.change(1, |one| replace(one, format!("mudou {export}")));
        app.archive(1).await;
        let after = get(&app, &format!("{export}?limit=1"), &[("range", "bytes=10-")]).await;
        match after.status {
            206 => assert!(after.tag == first.tag && after.body == first.body[10..], "{export}"),
            200 => assert!(after.tag != first.tag && after.range.is_none(), "{export}"),
            other => panic!("{export}: {other}"),
        }
        // From here on it has the new state.
        let present = get(&app, &format!("{export}?limit=1"), &[]).await;
        let part = get(&app, &format!("{export}?limit=1"), &[("range", "bytes=10-")]).await;
        assert!(part.status == 206 && part.body == present.body[10..], "{export}");
    }
}

/// Rows of a long export are read while they are sent; once all were sent in one state, parts of it are known.
#[tokio::test]
async fn a_long_export_has_parts_once_it_was_sent() {
    let app = TestApp::start().await;
    for number in 0..600 {
        assert_eq!(app.notify(&format!("{{ \"nome\": \"Produto {number}\" }}")).await.0, 422);
    }
    let whole = get(&app, "notifications.csv", &[]).await;
    assert!(whole.tag.expect("a tag").starts_with("W/"));
    let part = get(&app, "notifications.csv", &[("range", "bytes=1000-1999")]).await;
    assert!(part.status == 206 && part.body == whole.body[1000..2000]);
    assert!(part.tag.expect("a tag").starts_with('"'));
    assert_eq!(app.notify("{ \"nome\": \"Mais um\" }").await.0, 422);
    let other = get(&app, "notifications.csv", &[("range", "bytes=2000-2999")]).await;
    let is_of_one_state = match other.status {
        206 => other.body == whole.body[2000..3000],
        status => status == 200 && other.body.len() > whole.body.len(),
    };
    assert!(is_of_one_state, "{}", other.status);
}
