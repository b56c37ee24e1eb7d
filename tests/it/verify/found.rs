use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{archive_of, decoded, digest_of, kinds, named, nothing_is_broken, objects, verify, verify_with};
use crate::harness::{Db, on_each_database, sha256};
use crate::sweep::stderr;

on_each_database!(everything_that_can_be_wrong_is_told_apart, 2 threads);
async fn everything_that_can_be_wrong_is_told_apart(db: Db) {
    let archive = archive_of(db, 12).await;
    let objects = objects(&archive);
    let mut expected = BTreeMap::new();
    let mut expect = |object: &Path, kind: &str| _ = expected.insert(digest_of(object), kind.to_owned());
    std::fs::remove_file(&objects[0]).expect("an object");
    expect(&objects[0], "MISSING");
    let bytes = std::fs::read(&objects[1]).expect("an object");
    std::fs::write(&objects[1], &bytes[..bytes.len() - 1]).expect("an object");
    expect(&objects[1], "WRONG");
    std::fs::write(&objects[2], b"").expect("an object");
    expect(&objects[2], "WRONG");
    let bytes = std::fs::read(&objects[3]).expect("an object");
    std::fs::write(&objects[3], [&bytes[..], b"x"].concat()).expect("an object");
    expect(&objects[3], "WRONG");
    std::fs::remove_file(&objects[4]).expect("an object");
    std::fs::create_dir(&objects[4]).expect("a folder");
    std::fs::write(objects[4].join("x"), b"x").expect("a file");
    expect(&objects[4], "NOT_A_FILE");
    // Objects that no row refers to: of no file, and a second one of a file.
    let folder = archive.folder.path().join("data/archive");
    let stray = sha256(b"stray");
    std::fs::write(folder.join(&stray[..2]).join(&stray), b"stray").expect("an object");
    expected.insert(stray.clone(), "ORPHAN".to_owned());
    let second = objects.iter().skip(5).find(|object| object.extension().is_some()).expect("an object");
    std::fs::write(second.with_extension(""), decoded(second).expect("bytes")).expect("an object");
    expected.insert(digest_of(second), "ORPHAN".to_owned());
    // What is not named as an object is none.
    std::fs::write(folder.join("ab/notes.txt"), b"x").expect("a file");
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!((code, kinds(&report)), (Some(1), expected.clone()), "{db:?}: {report}");
    // The same again: nothing is listed twice, and nothing is forgotten.
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report), expected, "{db:?}");
    // What was put right is not listed any more.
    std::fs::remove_dir_all(&objects[4]).expect("a folder");
    std::fs::remove_file(folder.join(&stray[..2]).join(&stray)).expect("an object");
    std::fs::remove_file(second.with_extension("")).expect("an object");
    std::fs::write(&objects[3], bytes).expect("an object");
    expected.retain(|_, kind| kind != "ORPHAN");
    expected.remove(&digest_of(&objects[3]));
    expected.insert(digest_of(&objects[4]), "MISSING".to_owned());
    let (_, report) = verify(&archive, &[]).await;
    assert_eq!(kinds(&report), expected, "{db:?}");
}

on_each_database!(rows_that_refer_to_nothing_and_an_index_that_differs_are_found, 2 threads);
async fn rows_that_refer_to_nothing_and_an_index_that_differs_are_found(db: Db) {
    let archive = archive_of(db, 9).await;
    nothing_is_broken(&archive, 9, "before").await;
    let database = archive.database().await;
    let one = async |sql: &str| {
        let statement = sea_orm::Statement::from_string(database.get_database_backend(), sql);
        let row = database.query_one_raw(statement).await.expect("a row").expect("a row");
        row.try_get_by_index::<String>(0).expect("a text")
    };
    let hex = |column: &str| match db {
        Db::Sqlite => format!("lower(hex({column}))"),
        Db::Postgres => format!("encode({column}, 'hex')"),
    };
    let bytes = |digest: &str| match db {
        Db::Sqlite => format!("x'{digest}'"),
        Db::Postgres => format!("decode('{digest}', 'hex')"),
    };
    let execute = async |sql: String| {
        database.execute_unprepared(&sql).await.unwrap_or_else(|e| panic!("{db:?}: {e}: {sql}"));
    };
    let digest_at =
        async |n: usize| one(&format!("SELECT {} FROM files ORDER BY digest LIMIT 1 OFFSET {n}", hex("digest"))).await;
    // A revision whose file has no row, one whose file is recorded as removed, and a file that no revision has.
    let (lost, removed, unused) = (digest_at(0).await, digest_at(1).await, digest_at(2).await);
    execute(format!("UPDATE files SET removed_at = 1 WHERE digest = {}", bytes(&removed))).await;
    let publication_of =
        |digest: &str| format!("(SELECT publication_id FROM revisions WHERE digest = {})", bytes(digest));
    execute(format!("DELETE FROM publications WHERE id = {}", publication_of(&unused))).await;
    execute(format!("DELETE FROM revisions WHERE digest = {}", bytes(&unused))).await;
    execute(format!("DELETE FROM files WHERE digest = {}", bytes(&lost))).await;
    // A publication without its product, and one whose latest revision is that of another.
    let (homeless, headless) = (digest_at(5).await, digest_at(6).await);
    execute(format!(
        "DELETE FROM products WHERE id = (SELECT product_id FROM publications WHERE id = {})",
        publication_of(&homeless)
    ))
    .await;
    execute(format!(
        "UPDATE publications SET latest_revision_id = (SELECT id FROM revisions WHERE digest = {}) WHERE id = {}",
        bytes(&homeless),
        publication_of(&headless)
    ))
    .await;
    // The same in one walk through the index as in many.
    let output = verify_with(&archive, &[], "index-collected=return(2)").await;
    let in_many: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}: {report}");
    assert_eq!(in_many["items"], report["items"], "{db:?}");
    let items = report["items"].as_array().expect("a list");
    let found = |kind: &str, part: &str| {
        items.iter().filter(|item| item["kind"] == kind && named(&item["detail"]).contains(part)).count()
    };
    let of = |digest: &str| {
        let kinds: BTreeSet<String> =
            items.iter().filter(|item| item["sha256"] == digest).map(|item| named(&item["kind"])).collect();
        kinds.into_iter().collect::<Vec<_>>().join(" ")
    };
    // The object of a file without a row is an orphan as well.
    assert_eq!(of(&lost), "DANGLING ORPHAN", "{db:?}: {report}");
    assert_eq!(of(&removed), "DANGLING ORPHAN", "{db:?}: {report}");
    assert_eq!(of(&unused), "DANGLING", "{db:?}: {report}");
    assert_eq!(found("DANGLING", "does not exist"), 1, "{db:?}: {report}");
    assert_eq!(found("DANGLING", "latest revision"), 1, "{db:?}: {report}");
    // The revision whose publication is gone, and the product that is gone.
    assert_eq!(found("NOT_RECORDED", "the revision"), 1, "{db:?}: {report}");
    assert_eq!(found("NOT_RECORDED", "the product"), 1, "{db:?}: {report}");
    assert_eq!(items.len(), 9, "{db:?}: {report}");
    database.close().await.expect("a closed connection");
}

on_each_database!(a_row_that_the_index_does_not_have_is_found, 2 threads);
async fn a_row_that_the_index_does_not_have_is_found(db: Db) {
    let archive = archive_of(db, 3).await;
    nothing_is_broken(&archive, 3, "before").await;
    let database = archive.database().await;
    // A copy of a revision, which no change of the feed announced.
    let id = uuid::Uuid::now_v7();
    let id = match db {
        Db::Sqlite => format!("x'{}'", id.simple()),
        Db::Postgres => format!("'{id}'"),
    };
    let columns = "publication_id, notification_id, digest, file_name, announced_at, announced_by, received_at, \
                   archived_at, superseded_at, held, warnings";
    let copy =
        format!("INSERT INTO revisions (id, number, {columns}) SELECT {id}, 9, {columns} FROM revisions LIMIT 1");
    database.execute_unprepared(&copy).await.unwrap_or_else(|e| panic!("{db:?}: {e}"));
    let (code, report) = verify(&archive, &[]).await;
    assert_eq!(code, Some(1), "{db:?}");
    let items = report["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{db:?}: {report}");
    assert_eq!(items[0]["kind"], "NOT_INDEXED", "{db:?}: {report}");
    // The index is built from the rows.
    let reindexed = archive.run(&["reindex"], "").await;
    assert!(reindexed.status.success(), "{}", stderr(&reindexed));
    nothing_is_broken(&archive, 3, "after").await;
    database.close().await.expect("a closed connection");
}

on_each_database!(an_index_that_cannot_be_read_is_broken, 2 threads);
async fn an_index_that_cannot_be_read_is_broken(db: Db) {
    let archive = archive_of(db, 3).await;
    for (args, code) in [(vec![], 1), (vec!["--sample", "3/3"], 1), (vec!["--repair"], 0)] {
        let output = verify_with(&archive, &args, "index-walk=return").await;
        assert_eq!(output.status.code(), Some(code), "{db:?}: {args:?}: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        assert_eq!((&report["broken"], &report["indexChecked"]), (&Value::from(1), &Value::from(false)), "{report}");
        let item = &report["items"][0];
        assert_eq!(item["kind"], "NOT_INDEXED", "{db:?}: {report}");
        assert!(named(&item["detail"]).contains("the search index cannot be read"), "{db:?}: {report}");
        assert!(named(&item["nextStep"]).contains("acervo reindex"), "{db:?}: {report}");
    }
    // It is listed until the index was compared again, whatever share that was found with.
    let (code, _) = verify(&archive, &[]).await;
    assert_eq!(code, Some(0), "{db:?}");
    let output = verify_with(&archive, &["--sample", "3/3"], "index-walk=return").await;
    assert_eq!(output.status.code(), Some(1), "{db:?}: {output:?}");
    let (code, report) = verify(&archive, &["--sample", "1/3"]).await;
    assert_eq!((code, &report["indexChecked"]), (Some(0), &Value::from(true)), "{db:?}: {report}");
    nothing_is_broken(&archive, 3, "read again").await;
}
