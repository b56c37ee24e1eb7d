use acervo::domain::{Digest, Encoding, Locator, StoredFile, timestamp};
use acervo::leaves::record::RecordError;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::harness::database::{claims, fetched_file};
use crate::harness::{Db, Options, TestApp, on_each_database, postgres};

fn stored(content: &str, base: Option<Digest>) -> StoredFile {
    StoredFile { digest: Digest::of(content.as_bytes()), encoding: Encoding::Zstd, base, size: 9, stored_size: 3 }
}

on_each_database!(a_base_stays_for_as_long_as_a_stored_file_needs_it);
async fn a_base_stays_for_as_long_as_a_stored_file_needs_it(db: Db) {
    for is_stored_again in [false, true] {
        a_base_stays(db, is_stored_again).await;
    }
}

/// Marks the revisions of a file as swept, and gives the objects that are to be deleted then.
async fn sweep(app: &TestApp, connection: &DatabaseConnection, file: StoredFile, at: i64) -> Vec<Locator> {
    let digest = match connection.get_database_backend() {
        DbBackend::Sqlite => format!("x'{}'", file.digest),
        _ => format!("'\\x{}'::bytea", file.digest),
    };
    let statement = format!("UPDATE revisions SET swept_at = 1 WHERE digest = {digest}");
    connection.execute_unprepared(&statement).await.expect("a swept revision");
    let removals = acervo::leaves::record(&app.app).removals();
    removals.set_tombstones_on_unused(&[file], timestamp(at)).await.expect("tombstones");
    removals.tombstones(9).await.expect("tombstones")
}

/// Records that a file was deleted, and gives the objects that are to be deleted then.
async fn remove(app: &TestApp, file: StoredFile, at: i64) -> Vec<Locator> {
    let removals = acervo::leaves::record(&app.app).removals();
    removals.clear(&[file.digest], &[], timestamp(at)).await.expect("a removal");
    removals.tombstones(9).await.expect("tombstones")
}

/// Two files need the base: one is removed, then the other one is removed or stored again without a base.
async fn a_base_stays(db: Db, is_stored_again: bool) {
    let options = Options { without_jobs: true, database_url: postgres::database(db), ..Options::default() };
    let app = TestApp::with(options).await;
    let record = acervo::leaves::record(&app.app);
    let now = app.app.clock.now();
    let claims = claims(&app, 5).await;
    let settle = async |n: usize, file| record.queue().settle(&claims[n], &fetched_file(file), now, &[]).await;
    let base = stored("base", None);
    let (first, second) = (stored("first", Some(base.digest)), stored("second", Some(base.digest)));

    // Without its base, a file is not recorded.
    assert!(matches!(settle(0, first).await, Err(RecordError::FileGone)), "{db:?}");
    settle(0, base).await.expect("the base");
    for (n, file) in [(1, first), (2, second)] {
        let revisions = settle(n, file).await.expect("a file with a base").new_revisions;
        assert_eq!(record.files().stored_file(file.digest).await.expect("a row"), Some(file), "{db:?}");
        let read = record.history().revisions_by_id(&revisions).await.expect("revisions");
        assert_eq!(read[&revisions[0]].file, file, "{db:?}");
    }

    // Nothing but the two files uses the base, and later one of them.
    let connection = app.database().await;
    let sweep = async |file, at| sweep(&app, &connection, file, at).await;
    let remove = async |file, at| remove(&app, file, at).await;
    let later = acervo::domain::millis(now);
    assert_eq!(sweep(base, later + 1).await, [], "{db:?}");
    assert_eq!(sweep(first, later + 2).await, [first.locator()], "{db:?}");
    assert_eq!(remove(first, later + 3).await, [], "{db:?}");
    if is_stored_again {
        // Without a base this time.
        settle(3, stored("second", None)).await.expect("the same file");
        assert_eq!(record.removals().tombstones(9).await.expect("tombstones"), [base.locator()], "{db:?}");
    } else {
        assert_eq!(sweep(second, later + 4).await, [second.locator()], "{db:?}");
        assert_eq!(remove(second, later + 5).await, [base.locator()], "{db:?}");
    }
    // Nothing uses the base any more, and nothing is recorded that needs it.
    let third = stored("third", Some(base.digest));
    assert!(matches!(settle(4, third).await, Err(RecordError::FileGone)), "{db:?}");
    assert_eq!(remove(base, later + 6).await, [], "{db:?}");
    assert!(matches!(settle(4, third).await, Err(RecordError::FileGone)), "{db:?}");
    connection.close().await.expect("a closed connection");
}
