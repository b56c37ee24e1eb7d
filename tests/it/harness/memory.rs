//! A store in memory: objects of it are streams, as those of a remote store are.
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acervo::domain::Locator;
use acervo::leaves::store::{Body, Object, ObjectEntry, Space, Store, StoreError, Upload};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<HashMap<Locator, Bytes>>>);

struct MemoryUpload {
    store: MemoryStore,
    written: Vec<u8>,
}

fn object(bytes: Bytes, offset: u64) -> Object {
    let from = (offset as usize).min(bytes.len());
    Object { stored_size: bytes.len() as u64, body: Body::Stream(Box::new(Cursor::new(bytes.slice(from..)))) }
}

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn put(&self) -> Result<Box<dyn Upload>, StoreError> {
        Ok(Box::new(MemoryUpload { store: self.clone(), written: Vec::new() }))
    }

    async fn open(&self, locator: &Locator, offset: u64) -> Result<Object, StoreError> {
        let found = self.0.lock().expect("a lock").get(locator).cloned();
        found.map(|bytes| object(bytes, offset)).ok_or(StoreError::Missing(locator.digest))
    }

    async fn contains(&self, locator: &Locator) -> Result<Option<u64>, StoreError> {
        Ok(self.0.lock().expect("a lock").get(locator).map(|bytes| bytes.len() as u64))
    }

    async fn sync(&self, _: &Locator) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete(&self, locator: &Locator) -> Result<(), StoreError> {
        self.0.lock().expect("a lock").remove(locator);
        Ok(())
    }

    fn list(&self) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        let objects = self.0.lock().expect("a lock");
        let listed = |(locator, bytes): (&Locator, &Bytes)| {
            Ok(ObjectEntry { locator: *locator, stored_size: bytes.len() as u64 })
        };
        let all: Vec<_> = objects.iter().map(listed).collect();
        stream::iter(all).boxed()
    }

    async fn remove_abandoned(&self, _: Duration) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn space(&self) -> Result<Option<Space>, StoreError> {
        Ok(None)
    }
}

#[async_trait::async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.written.extend_from_slice(&bytes);
        Ok(())
    }

    async fn read_back(&mut self) -> Result<Object, StoreError> {
        Ok(object(self.written.clone().into(), 0))
    }

    async fn finish(self: Box<Self>, locator: &Locator) -> Result<(), StoreError> {
        self.store.0.lock().expect("a lock").insert(*locator, self.written.into());
        Ok(())
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
