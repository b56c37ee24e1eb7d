//! What is said to help does help.
use serde_json::Value;

use super::{archive_of, as_user, digest_of, kinds, marked, nothing_is_broken, objects, permit, verify, verify_with};
use crate::harness::{Db, on_each_database};
use crate::sweep::stderr;

on_each_database!(importing_a_file_again_replaces_what_is_broken, 2 threads);
async fn importing_a_file_again_replaces_what_is_broken(db: Db) {
    let archive = archive_of(db, 6).await;
    let objects = objects(&archive);
    std::fs::remove_file(&objects[0]).expect("an object");
    std::fs::write(&objects[1], b"x").expect("an object");
    permit(&objects[2], 0o000);
    let output = as_user(&archive, &["verify", "--format", "json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let expected = [(0, "MISSING"), (1, "WRONG"), (2, "UNREADABLE")];
    let expected = expected.map(|(n, kind)| (digest_of(&objects[n]), kind.to_owned()));
    assert_eq!(kinds(&report), expected.into(), "{db:?}: {report}");
    assert_eq!(marked(&archive).await, 3, "{db:?}");
    let files = archive.folder.path().join("files").display().to_string();
    let manifest = archive.folder.path().join("manifest.csv").display().to_string();
    let imported = as_user(&archive, &["import", &files, "--manifest", &manifest]).await;
    assert!(imported.status.success(), "{db:?}: {}", stderr(&imported));
    assert_eq!(marked(&archive).await, 0, "{db:?}");
    nothing_is_broken(&archive, 6, "imported again").await;
    assert_eq!(super::objects(&archive).len(), 6, "{db:?}");
}

on_each_database!(a_stopped_repair_is_completed_by_the_next, 2 threads);
/// It stops while bytes are read, and not only between two files.
async fn a_stopped_repair_is_completed_by_the_next(db: Db) {
    let archive = archive_of(db, 4).await;
    let objects = objects(&archive);
    objects[1..].iter().for_each(|object| std::fs::write(object, b"x").expect("an object"));
    let files = archive.folder.path().join("files").display().to_string();
    let repair = ["--repair", "--from", &files];
    let stopped = verify_with(&archive, &repair, "stop-in-pour=3*off->return").await;
    assert_eq!(stopped.status.code(), Some(1), "{db:?}: {stopped:?}");
    assert!(stderr(&stopped).contains("stopped before the end"), "{db:?}: {stopped:?}");
    let incoming = std::fs::read_dir(archive.folder.path().join("data/archive/incoming")).expect("a folder");
    assert_eq!(incoming.count(), 0, "{db:?}: an upload is left");
    let (code, report) = verify(&archive, &repair).await;
    assert_eq!(code, Some(0), "{db:?}: {report}");
    nothing_is_broken(&archive, 4, "repaired").await;
}

on_each_database!(what_cannot_be_read_in_a_folder_is_skipped, 2 threads);
async fn what_cannot_be_read_in_a_folder_is_skipped(db: Db) {
    let archive = archive_of(db, 3).await;
    let objects = objects(&archive);
    objects[1..].iter().for_each(|object| std::fs::write(object, b"x").expect("an object"));
    let files = archive.folder.path().join("files");
    for name in ["0", "a", "z"] {
        std::fs::create_dir(files.join(name)).expect("a folder");
        permit(&files.join(name), 0o000);
    }
    // A folder that may not be read at all is a source without files.
    let closed = archive.folder.path().join("closed");
    std::fs::create_dir(&closed).expect("a folder");
    permit(&closed, 0o000);
    let (files, closed) = (files.display().to_string(), closed.display().to_string());
    let repair = ["verify", "--format", "json", "--repair", "--from", &closed, "--from", &files];
    let output = as_user(&archive, &repair).await;
    assert_eq!(output.status.code(), Some(0), "{db:?}: {output:?}");
    assert!(stderr(&output).contains("cannot be searched"), "{db:?}: {output:?}");
    nothing_is_broken(&archive, 3, "repaired").await;
}
