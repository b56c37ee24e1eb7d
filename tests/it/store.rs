use acervo::domain::{Encoding, ObjectChange, StoredFile};
use acervo::leaves::store::{Archive, PutResult, StoreError};
use futures_util::StreamExt;
use proptest::prelude::*;

use crate::harness::samples::noise;

async fn put(store: &Archive, bytes: &[u8], piece: usize) -> PutResult {
    let mut put = store.put();
    for some in bytes.chunks(piece.max(1)) {
        put.write(some).await.expect("space");
    }
    put.finish().await.expect("a file")
}

async fn read(store: &Archive, file: StoredFile, part: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = store.read(file, part).await?;
    let mut all = Vec::new();
    while let Some(piece) = bytes.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

fn store() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Archive::open(&folder.path().join("archive"), &folder.path().join("tmp")).expect("a store");
    (folder, store)
}

proptest! {
    #![proptest_config(crate::harness::cases(64))]

    #[test]
    fn whatever_goes_in_comes_out(
        pattern in prop::collection::vec(any::<u8>(), 1..200),
        repeat in 1usize..4000,
        piece in 1usize..100_000,
        at in 0.0f64..1.0,
        length in 0.0f64..1.0,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_folder, store) = store();
            let bytes = pattern.repeat(repeat);
            let stored = put(&store, &bytes, piece).await;
            assert_eq!(stored.file.size, bytes.len() as u64);
            assert!(stored.file.stored_size <= stored.file.size);
            assert_eq!(stored.change, ObjectChange::New);
            assert!(read(&store, stored.file, None).await.expect("the file") == bytes);
            let start = (bytes.len() as f64 * at) as usize;
            let end = start + ((bytes.len() - start) as f64 * length) as usize;
            let part = read(&store, stored.file, Some(start as u64..end as u64)).await.expect("a part");
            assert!(part == bytes[start..end]);
            assert_eq!(put(&store, &bytes, 7).await.change, ObjectChange::Kept);
        });
    }
}

#[tokio::test]
async fn damage_is_reported_and_never_passed_on_as_whole() {
    for bytes in [b"text that shrinks ".repeat(5000), vec![7], (0..255).collect::<Vec<u8>>()] {
        let (folder, store) = store();
        let stored = put(&store, &bytes, 1000).await;
        let path = crate::harness::files_in(&folder.path().join("archive")).remove(0);
        let intact = std::fs::read(&path).expect("the object");
        let mut damaged = Vec::new();
        for i in (0..intact.len()).step_by(1 + intact.len() / 40) {
            let mut other = intact.clone();
            other[i] ^= 0x40;
            damaged.push(other);
        }
        damaged.push(intact[..intact.len() - 1].to_vec());
        damaged.push([&intact[..], b"x"].concat());
        damaged.push(Vec::new());
        for object in damaged {
            std::fs::write(&path, &object).expect("the object");
            let outcome = read(&store, stored.file, None).await;
            assert!(
                matches!(outcome, Err(StoreError::Damaged(digest)) if digest == stored.file.digest),
                "{:?}",
                outcome.map(|b| b.len())
            );
        }
        std::fs::remove_file(&path).expect("the object");
        assert!(matches!(store.read(stored.file, None).await, Err(StoreError::Missing(_))));
    }
}

#[tokio::test]
async fn good_bytes_replace_damaged_ones() {
    let noise = noise(300_000);
    // One of each form, and one that is uploaded in parts.
    let large: Vec<u8> = noise.iter().enumerate().map(|(i, b)| b ^ (i / 7) as u8).collect::<Vec<u8>>().repeat(40);
    for bytes in [b"text that shrinks ".repeat(5000), noise, vec![7], large] {
        let (folder, store) = store();
        let file = put(&store, &bytes, 100_000).await.file;
        let path = crate::harness::files_in(&folder.path().join("archive")).remove(0);
        let intact = std::fs::read(&path).expect("the object");
        let mut flipped = intact.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 2;
        let cut = intact[..intact.len() - 1].to_vec();
        for object in [flipped, cut, [&intact[..], b"x"].concat(), Vec::new()] {
            std::fs::write(&path, &object).expect("the object");
            let stored = put(&store, &bytes, 100_000).await;
            assert_ne!(stored.change, ObjectChange::New);
            assert_eq!(stored.file, file);
            assert!(read(&store, file, None).await.expect("the file") == bytes);
            assert_eq!(crate::harness::files_in(&folder.path().join("archive")).len(), 1);
        }
        std::fs::remove_file(&path).expect("the object");
        assert_eq!(put(&store, &bytes, 100_000).await.change, ObjectChange::New);
        assert!(read(&store, file, None).await.expect("the file") == bytes);
    }
}

#[tokio::test]
async fn the_smaller_encoding_is_stored() {
    let (_folder, store) = store();
    assert_eq!(put(&store, &b"a".repeat(1000), 100).await.file.encoding, Encoding::Zstd);
    assert_eq!(put(&store, b"a", 100).await.file.encoding, Encoding::Plain);
}
