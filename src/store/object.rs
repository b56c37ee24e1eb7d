//! The contract of a store of objects. The local folder is one implementation ([`super::LocalStore`]).
//!
//! An object is a sequence of bytes under a [`Locator`]. Two objects with one locator decode to the same published bytes, so
//! replacing an object by another put under its locator changes nothing that a reader can notice. A store does not check the
//! content of objects; [`super::Archive`] does. `tests/it/contract.rs` has the tests that every implementation
//! must pass.
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use super::StoreError;
use crate::domain::{Digest, Locator};

/// A store of objects. Its methods may be called from any number of tasks and processes at once.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Begins to put an object whose locator is not known yet.
    async fn put(&self) -> Result<Box<dyn Upload>, StoreError>;

    /// Opens an object, at an offset of its stored bytes; at its end or beyond there is nothing to read.
    /// [`StoreError::Missing`] where there is no such object, [`StoreError::NotAFile`] if its path is something else.
    ///
    /// What was opened reads to its end, whatever happens to the object: reading gives all of its bytes or an
    /// error. The bytes are as the medium returns them, which may not be what was put.
    async fn open(&self, locator: &Locator, offset: u64) -> Result<Object, StoreError>;

    /// The stored size of an object; `None` if there is none. Sees every put and delete that returned before the call.
    async fn contains(&self, locator: &Locator) -> Result<Option<u64>, StoreError>;

    /// How long ago an object was put, by the clock of the store, which all machines share; `None` if there is none, or if the store does not
    /// know.
    async fn age(&self, _locator: &Locator) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }

    /// On return, an object that [`Store::contains`] has found survives a power cut until it is deleted. A put does this by
    /// itself; this is for an object that another process may be putting at the same moment.
    async fn sync(&self, locator: &Locator) -> Result<(), StoreError>;

    /// Deletes an object; one that does not exist is not an error. On return it is gone for every later call. A power cut
    /// may bring it back: the caller records the deletion itself, and deletes again where that was not recorded.
    async fn delete(&self, locator: &Locator) -> Result<(), StoreError>;

    /// All objects, in no particular order. One that is put or deleted during the call is listed or not.
    fn list(&self) -> BoxStream<'static, Result<ObjectEntry, StoreError>>;

    /// The objects of [`Store::list`] whose digest begins with a byte.
    fn list_part(&self, first_byte: u8) -> BoxStream<'static, Result<ObjectEntry, StoreError>> {
        let is_of_part = move |entry: &ObjectEntry| std::future::ready(entry.locator.digest.0[0] == first_byte);
        self.list().try_filter(is_of_part).boxed()
    }

    /// Keeps what is in the place of an object aside, until [`Store::discard`]. On return it survives a power cut. An object is in its
    /// place as before, at every moment. Anything else, such as a folder, is moved, so that an object can be put there. A store whose puts
    /// replace anything, and that need not keep what was replaced, does nothing.
    async fn keep_aside(&self, _locator: &Locator) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes an object from its place and keeps it aside, until [`Store::discard`]; one that does not exist is not an error. A power
    /// cut leaves it in its place or aside. A store that keeps nothing aside deletes it.
    async fn take_away(&self, locator: &Locator) -> Result<(), StoreError> {
        self.delete(locator).await
    }

    /// What is kept aside.
    async fn kept_aside(&self) -> Result<Vec<AsideObject>, StoreError> {
        Ok(Vec::new())
    }

    /// Opens an object that is kept aside.
    async fn open_aside(&self, aside: &AsideObject) -> Result<Object, StoreError> {
        Err(StoreError::Missing(aside.locator.digest))
    }

    /// Removes something that is kept aside; what does not exist is not an error.
    async fn discard(&self, _aside: &AsideObject) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes what is kept aside of a file.
    async fn discard_aside(&self, file: Digest) -> Result<(), StoreError> {
        for aside in self.kept_aside().await?.iter().filter(|aside| aside.locator.digest == file) {
            self.discard(aside).await?;
        }
        Ok(())
    }

    /// The file of this machine that is the object, where a store has its objects in files. It may not exist.
    fn file_of(&self, _locator: &Locator) -> Option<PathBuf> {
        None
    }

    /// Makes a file of this machine the object of `locator` without copying its bytes, which must never be changed in place. On return
    /// it survives a power cut. `false`, and nothing is done, where that is not possible.
    async fn share(&self, _file: &Path, _locator: &Locator) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Removes what uploads left behind that ended without [`Upload::finish`], for instance by a crash, and that began at
    /// least `min_age` ago by the clock of the store. Returns how many. Objects are never affected.
    async fn remove_abandoned(&self, min_age: Duration) -> Result<u64, StoreError>;

    /// The space of the medium; `None` if it has no limit that is known. Does not wait for a network.
    fn space(&self) -> Result<Option<Space>, StoreError>;
}

/// An object being put. It is not visible before [`Upload::finish`]. Dropped before that, or after a crash, it never becomes
/// visible, and [`Store::remove_abandoned`] removes what is left of it.
#[async_trait]
pub trait Upload: Send {
    /// Appends bytes. After an error the upload can only be dropped.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// Opens what was written so far. Nothing can be written afterwards.
    async fn read_back(&mut self) -> Result<Object, StoreError>;

    /// Makes what was written the object of `locator`, in place of one that exists. On return it survives a power cut. A
    /// crash before that leaves the old object or the new one, never a part of one. Can be repeated with the same bytes.
    async fn finish(self: Box<Self>, locator: &Locator) -> Result<(), StoreError>;

    /// Removes what was written.
    async fn abort(self: Box<Self>) -> Result<(), StoreError>;
}

/// An object that was opened for reading.
pub struct Object {
    /// Bytes of the whole object, wherever it was opened.
    pub stored_size: u64,
    pub body: Body,
}

/// The bytes of an object from the offset on. Reading blocks.
pub enum Body {
    /// A file of this machine, which can also be read out of order.
    File(std::fs::File),
    Stream(Box<dyn Read + Send>),
}

impl Body {
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        match self {
            Self::File(file) => Box::new(file),
            Self::Stream(stream) => stream,
        }
    }
}

/// An object as [`Store::list`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectEntry {
    pub locator: Locator,
    pub stored_size: u64,
}

/// Something that is kept aside. What is kept aside later has another id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsideObject {
    /// What it was the object of.
    pub locator: Locator,
    pub id: String,
}

/// Bytes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free for processes without special rights.
    pub free: u64,
    pub total: u64,
}
