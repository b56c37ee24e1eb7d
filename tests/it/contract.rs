//! What every store of objects must do, as [`acervo::leaves::store::Store`] says. A new implementation is added to `stores`.
//! `ACERVO_TEST_S3` adds a bucket of an S3-compatible service, which `s3s-fs` is.
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use acervo::domain::{Digest, Encoding, Locator};
use acervo::leaves::store::{Archive, Body, Budget, LocalStore, Object, S3Store, Store, StoreError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::harness::memory::MemoryStore;
use crate::harness::s3::{Proxy, TestBucket};
use crate::harness::samples::{noise, text, zip};

/// A store, with the folder that it may be in.
type Subject = (&'static str, Arc<dyn Store>, tempfile::TempDir);

/// The store whose connections fail now and then.
const WITH_FAULTS: &str = "bucket with faults";

async fn stores() -> Vec<Subject> {
    let folder = || tempfile::tempdir().expect("a folder");
    let local = folder();
    let in_folder = LocalStore::open(&local.path().join("store")).expect("a store");
    let mut stores: Vec<Subject> =
        vec![("local", Arc::new(in_folder), local), ("memory", Arc::new(MemoryStore::default()), folder())];
    if std::env::var_os("ACERVO_TEST_S3").is_some() {
        let bucket = TestBucket::new();
        let proxy = Proxy::start(&bucket, 6).await;
        let in_bucket = |bucket: &TestBucket| Arc::new(S3Store::open(&bucket.settings()).expect("a store"));
        stores.push(("bucket", in_bucket(&bucket), folder()));
        stores.push((WITH_FAULTS, in_bucket(&TestBucket::new().behind(&proxy)), folder()));
    }
    stores
}

fn locator(n: u32, encoding: Encoding) -> Locator {
    Locator { digest: Digest::of(&n.to_le_bytes()), encoding }
}

async fn put(store: &dyn Store, locator: &Locator, bytes: &[u8], piece: usize) {
    let mut upload = store.put().await.expect("an upload");
    for piece in bytes.chunks(piece) {
        upload.write(Bytes::copy_from_slice(piece)).await.expect("a write");
    }
    upload.finish(locator).await.expect("an object");
}

/// All that is left to read of an object. Blocks, and so runs on a thread for that.
async fn rest(object: Object) -> Vec<u8> {
    try_rest(object).await.expect("bytes")
}

/// Checks the rest of an object that has been replaced or deleted. Where the connection fails meanwhile, nothing can read on from there:
/// that is an error, and never bytes of another object.
async fn assert_rest(store: &str, object: Object, expected: &[u8]) {
    match try_rest(object).await {
        Err(_) if store == WITH_FAULTS => {}
        rest => assert_eq!(rest.expect("bytes"), expected, "{store}"),
    }
}

async fn try_rest(object: Object) -> std::io::Result<Vec<u8>> {
    let read = move || {
        let mut bytes = Vec::new();
        object.body.into_reader().read_to_end(&mut bytes).map(|_| bytes)
    };
    tokio::task::spawn_blocking(read).await.expect("a thread")
}

async fn read(store: &dyn Store, locator: &Locator, offset: u64) -> Vec<u8> {
    rest(store.open(locator, offset).await.expect("an object")).await
}

async fn listed(store: &dyn Store) -> BTreeMap<String, u64> {
    let all: Vec<_> = store.list().try_collect().await.expect("a list");
    let count = all.len();
    let by_name = |listed: acervo::leaves::store::ObjectEntry| (format!("{:?}", listed.locator), listed.stored_size);
    let map: BTreeMap<String, u64> = all.into_iter().map(by_name).collect();
    assert_eq!(map.len(), count, "an object is listed twice");
    map
}

#[tokio::test]
async fn what_was_put_is_read_from_any_offset() {
    for (name, store, _folder) in stores().await {
        for (n, size) in [0, 1, 1000, 300_000, 9 << 20].into_iter().enumerate() {
            let bytes = noise(size);
            let locator = locator(n as u32, Encoding::Plain);
            put(&*store, &locator, &bytes, 1 << 20).await;
            assert_eq!(store.contains(&locator).await.expect("a size"), Some(size as u64), "{name}");
            for offset in [0, 1, size / 2, size, size + 7] {
                let expected = &bytes[offset.min(size)..];
                assert!(read(&*store, &locator, offset as u64).await == expected, "{name}: {size} from {offset}");
            }
            assert_eq!(store.open(&locator, 1).await.expect("an object").stored_size, size as u64, "{name}");
            store.sync(&locator).await.expect("a synced object");
        }
    }
}

#[tokio::test]
async fn an_upload_is_not_seen_before_it_is_finished() {
    for (name, store, _folder) in stores().await {
        let locator = locator(1, Encoding::Zstd);
        let absent = async || {
            assert_eq!(store.contains(&locator).await.expect("an answer"), None, "{name}");
            assert!(
                matches!(store.open(&locator, 0).await, Err(StoreError::Missing(digest)) if digest == locator.digest)
            );
            assert!(listed(&*store).await.is_empty(), "{name}");
        };
        absent().await;
        let mut dropped = store.put().await.expect("an upload");
        let mut aborted = store.put().await.expect("an upload");
        let mut finished = store.put().await.expect("an upload");
        for upload in [&mut dropped, &mut aborted, &mut finished] {
            for _ in 0..3 {
                upload.write(noise(10_000).into()).await.expect("a write");
            }
        }
        absent().await;
        drop(dropped);
        aborted.abort().await.expect("an aborted upload");
        absent().await;
        // One that is under way is not abandoned.
        assert_eq!(store.remove_abandoned(Duration::from_secs(3600)).await.expect("a count"), 0, "{name}");
        finished.finish(&locator).await.expect("an object");
        store.remove_abandoned(Duration::ZERO).await.expect("a count");
        assert!(read(&*store, &locator, 0).await == noise(10_000).repeat(3), "{name}");
    }
}

#[tokio::test]
async fn an_upload_can_be_read_back() {
    for (name, store, _folder) in stores().await {
        let locator = locator(1, Encoding::Plain);
        for writes in [1, 3] {
            let mut upload = store.put().await.expect("an upload");
            for _ in 0..writes {
                upload.write(noise(5000).into()).await.expect("a write");
            }
            let object = upload.read_back().await.expect("an object");
            assert_eq!(object.stored_size, 5000 * writes as u64, "{name}");
            assert!(rest(object).await == noise(5000).repeat(writes), "{name}");
            upload.finish(&locator).await.expect("an object");
            assert!(read(&*store, &locator, 0).await == noise(5000).repeat(writes), "{name}");
        }
    }
}

#[tokio::test]
async fn a_put_replaces_and_a_delete_can_be_repeated() {
    for (name, store, _folder) in stores().await {
        let (plain, zstd) = (locator(1, Encoding::Plain), locator(1, Encoding::Zstd));
        put(&*store, &plain, b"old bytes", 4).await;
        put(&*store, &zstd, b"another object", 100).await;
        let before = store.open(&plain, 4).await.expect("an object");
        put(&*store, &plain, b"new", 100).await;
        put(&*store, &plain, b"new", 1).await;
        assert_eq!(read(&*store, &plain, 0).await, b"new", "{name}");
        assert_eq!(store.contains(&plain).await.expect("a size"), Some(3), "{name}");
        // What was opened before reads to its end.
        assert_rest(name, before, b"bytes").await;
        let before = store.open(&plain, 0).await.expect("an object");
        for _ in 0..2 {
            store.delete(&plain).await.expect("a deletion");
            assert_eq!(store.contains(&plain).await.expect("an answer"), None, "{name}");
            assert!(matches!(store.open(&plain, 0).await, Err(StoreError::Missing(_))), "{name}");
        }
        assert_rest(name, before, b"new").await;
        assert_eq!(read(&*store, &zstd, 0).await, b"another object", "{name}");
        put(&*store, &plain, b"again", 100).await;
        assert_eq!(read(&*store, &plain, 0).await, b"again", "{name}");
    }
}

#[tokio::test]
async fn all_objects_are_listed() {
    for (name, store, _folder) in stores().await {
        let mut expected = BTreeMap::new();
        for n in 0..300_u32 {
            let locator = locator(n, if n % 3 == 0 { Encoding::Plain } else { Encoding::Zstd });
            put(&*store, &locator, &noise(n as usize), 1000).await;
            expected.insert(format!("{locator:?}"), u64::from(n));
        }
        let mut unfinished = store.put().await.expect("an upload");
        unfinished.write(noise(10).into()).await.expect("a write");
        unfinished.write(noise(10).into()).await.expect("a write");
        assert_eq!(listed(&*store).await, expected, "{name}");
        store.delete(&locator(7, Encoding::Zstd)).await.expect("a deletion");
        expected.remove(&format!("{:?}", locator(7, Encoding::Zstd)));
        assert_eq!(listed(&*store).await, expected, "{name}");
    }
}

#[tokio::test]
async fn the_parts_of_a_list_are_the_list() {
    for (name, store, _folder) in stores().await {
        for n in 0..200_u32 {
            put(&*store, &locator(n, if n % 3 == 0 { Encoding::Plain } else { Encoding::Zstd }), b"x", 9).await;
        }
        let mut parts = BTreeMap::new();
        for first in 0..=u8::MAX {
            let part: Vec<_> = store.list_part(first).try_collect().await.expect("a list");
            assert!(part.iter().all(|entry| entry.locator.digest.0[0] == first), "{name}");
            parts.extend(part.into_iter().map(|entry| (format!("{:?}", entry.locator), entry.stored_size)));
        }
        assert_eq!(parts, listed(&*store).await, "{name}");
    }
}

/// A store that keeps nothing aside replaces objects all the same.
#[tokio::test]
async fn an_object_that_is_kept_aside_is_in_its_place_until_it_is_replaced() {
    for (name, store, _folder) in stores().await {
        let locator = locator(1, Encoding::Zstd);
        // There may be nothing to keep.
        store.keep_aside(&locator).await.expect("nothing");
        assert!(store.kept_aside().await.expect("a set").is_empty(), "{name}");
        put(&*store, &locator, b"damaged", 9).await;
        for _ in 0..2 {
            store.keep_aside(&locator).await.expect("an object aside");
            assert_eq!(read(&*store, &locator, 0).await, b"damaged", "{name}");
        }
        assert_eq!(listed(&*store).await.len(), 1, "{name}");
        put(&*store, &locator, b"sound", 9).await;
        for _ in 0..2 {
            store.discard_aside(locator.digest).await.expect("nothing aside");
            assert!(store.kept_aside().await.expect("a set").is_empty(), "{name}");
            assert_eq!(read(&*store, &locator, 0).await, b"sound", "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_see_whole_objects() {
    for (name, store, _folder) in stores().await {
        let shared = locator(1, Encoding::Plain);
        let bytes = noise(200_000);
        let work = (0..24_u32).map(|n| {
            let (store, bytes) = (store.clone(), bytes.clone());
            tokio::spawn(async move {
                for round in 0..5 {
                    put(&*store, &shared, &bytes, 50_000).await;
                    if (n + round) % 4 == 0 {
                        store.delete(&shared).await.expect("a deletion");
                    }
                    match store.open(&shared, 0).await {
                        // Where the connection was lost and the object deleted meanwhile, the rest is missing, and that is an error.
                        Ok(object) => match try_rest(object).await {
                            Ok(read) => assert!(read == bytes, "a part of an object"),
                            Err(e) => assert!(
                                e.kind() == std::io::ErrorKind::NotFound || e.to_string().contains("not found"),
                                "{e:?}"
                            ),
                        },
                        Err(StoreError::Missing(_)) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
                put(&*store, &locator(100 + n, Encoding::Zstd), &bytes, 70_000).await;
            })
        });
        for done in work.collect::<Vec<_>>() {
            done.await.expect("a task that holds");
        }
        for n in 0..24 {
            assert!(read(&*store, &locator(100 + n, Encoding::Zstd), 0).await == bytes, "{name}");
        }
    }
}

/// The archive works over any store: over one whose objects are streams and can only be read in order, too.
#[tokio::test]
async fn an_archive_works_over_any_store() {
    let deck = zip(&[("A.DAT", &noise(300_000)), ("dentro.zip", &zip(&[("B.DAT", b"de dentro")]))]);
    for (name, store, folder) in stores().await {
        let archive = Archive::over(store.clone(), &folder.path().join("tmp")).expect("an archive");
        // The last is uploaded as a frame, which turns out no smaller than its bytes.
        for bytes in [b"1".to_vec(), text(800_000), noise(500_000), noise(17 << 20)] {
            let mut put = archive.put();
            for piece in bytes.chunks(1 << 20) {
                put.write(piece).await.expect("a write");
            }
            let stored = put.finish().await.expect("a file");
            assert_eq!(store.contains(&stored.file.locator()).await.expect("a size"), Some(stored.file.stored_size));
            for part in [None, Some(0..1), Some(bytes.len() as u64 / 3..bytes.len() as u64)] {
                let pieces: Vec<Bytes> =
                    archive.read(stored.file, part.clone()).await.expect("bytes").try_collect().await.expect("bytes");
                let expected = part.map_or(&bytes[..], |part| &bytes[part.start as usize..part.end as usize]);
                assert!(pieces.concat() == expected, "{name}: {}", bytes.len());
            }
        }
        let mut put = archive.put();
        put.write(&deck).await.expect("a write");
        let file = put.finish().await.expect("a file").file;
        let budget = Budget { bytes: 1 << 20, time: crate::harness::PATIENCE };
        let listing = archive.members(file, budget).await.expect("members");
        let paths: Vec<&str> = listing.members.iter().map(|member| member.path.as_str()).collect();
        assert_eq!(paths, ["A.DAT", "dentro.zip", "dentro.zip/B.DAT"], "{name}");
        let mut bytes = archive.member(file, "dentro.zip/B.DAT").await.expect("a member").read().expect("bytes");
        assert_eq!(bytes.next().await.expect("a piece").expect("bytes"), b"de dentro"[..], "{name}");
        archive.remove(file.locator()).await.expect("a removal");
        assert!(matches!(archive.check(file).await, Err(StoreError::Missing(_))), "{name}");
        assert!(!archive.contains(file.locator()).await.expect("an answer"), "{name}");
    }
}

/// Files of this machine are passed on as files: zips in them are read without a copy.
#[tokio::test]
async fn an_object_of_a_folder_is_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = LocalStore::open(folder.path()).expect("a store");
    put(&store, &locator(1, Encoding::Plain), b"bytes", 9).await;
    assert!(matches!(store.open(&locator(1, Encoding::Plain), 0).await.expect("an object").body, Body::File(_)));
    let space = store.space().expect("space").expect("a limit");
    assert!(space.free <= space.total && space.total > 0);
}

/// What a crash leaves of an upload is removed once it is old.
#[tokio::test]
async fn what_a_crash_left_in_the_folder_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = LocalStore::open(folder.path()).expect("a store");
    put(&store, &locator(1, Encoding::Plain), b"bytes", 9).await;
    let name = locator(2, Encoding::Plain).digest.to_string();
    let left = [folder.path().join("incoming/left"), folder.path().join(format!("{}/{name}#1", &name[..2]))];
    for path in &left {
        std::fs::write(path, "half").expect("a file");
    }
    assert_eq!(store.remove_abandoned(Duration::from_secs(3600)).await.expect("a count"), 0);
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    for path in &left {
        std::fs::File::options().write(true).open(path).expect("a file").set_modified(old).expect("a time");
    }
    assert_eq!(store.remove_abandoned(Duration::from_secs(3600)).await.expect("a count"), 2);
    assert!(left.iter().all(|path| !path.exists()));
    assert_eq!(read(&store, &locator(1, Encoding::Plain), 0).await, b"bytes");
}
