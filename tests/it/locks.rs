use std::path::Path;
use std::time::Duration;

use acervo::leaves::record::Record;
use jiff::{SignedDuration, Timestamp};

use crate::harness::{Db, database, on_each_database, postgres};

const HOLD_FOR: Duration = Duration::from_secs(15);

async fn open(db: Db, folder: &Path) -> Record {
    std::fs::create_dir(folder.join("data")).expect("a folder");
    database::open_record(&database::address(postgres::database(db).as_deref(), folder)).await
}

on_each_database!(a_lock_has_an_owner);
async fn a_lock_has_an_owner(db: Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let record = open(db, folder.path()).await;
    let (locks, now) = (record.locks(), Timestamp::now());
    assert!(locks.take("x", "first", now, HOLD_FOR).await.expect("an answer"), "{db:?}");
    // Only its holder can take, renew or release it. `fir` and `FIRST` are other holders.
    for other in ["second", "fir", "FIRST", "first "] {
        assert!(!locks.take("x", other, now, HOLD_FOR).await.expect("an answer"), "{db:?}: {other}");
        assert!(!locks.renew("x", other, now, HOLD_FOR).await.expect("an answer"), "{db:?}: {other}");
        assert!(!locks.release("x", other).await.expect("an answer"), "{db:?}: {other}");
    }
    assert!(locks.renew("x", "first", now, HOLD_FOR).await.expect("an answer"), "{db:?}");
    assert!(locks.take("y", "second", now, HOLD_FOR).await.expect("an answer"), "{db:?}: another lock");
    assert!(locks.release("x", "first").await.expect("an answer"), "{db:?}");
    assert!(!locks.release("x", "first").await.expect("an answer"), "{db:?}");
    // A released lock is not renewed: that would take it from its next owner.
    assert!(!locks.renew("x", "first", now, HOLD_FOR).await.expect("an answer"), "{db:?}");
    assert!(locks.take("x", "second", now, HOLD_FOR).await.expect("an answer"), "{db:?}");
}

/// By the clock that is given, which only one machine has.
#[tokio::test]
async fn a_lock_that_was_not_renewed_is_lost_to_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = open(Db::Sqlite, folder.path()).await;
    let (locks, now) = (record.locks(), Timestamp::now());
    let later = |seconds| now + SignedDuration::from_secs(seconds);
    assert!(locks.take("x", "first", now, HOLD_FOR).await.expect("an answer"));
    assert!(locks.renew("x", "first", later(10), HOLD_FOR).await.expect("an answer"));
    assert!(!locks.take("x", "second", later(24), HOLD_FOR).await.expect("an answer"));
    assert!(locks.take("x", "second", later(25), HOLD_FOR).await.expect("an answer"));
    assert!(!locks.renew("x", "first", later(26), HOLD_FOR).await.expect("an answer"));
    assert!(!locks.release("x", "first").await.expect("an answer"));
    assert!(!locks.take("x", "third", later(26), HOLD_FOR).await.expect("an answer"));
}
