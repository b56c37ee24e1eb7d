//! Decoding.
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use sha2::Digest as _;

use super::form::{self, FormHash};
use super::header::{FormRef, Header};
use super::streams::PREFLATE_VERSION;
use super::{DEPTH_MAX, DenseError, FILE_MAX, Kind, Work, expand, frame};
use crate::domain::Digest;

/// The longest expanded form that is decoded: the lengths of its parts come on top of them.
const FORM_MAX: usize = expand::EXPANDED_MAX + 64;

/// What a file decodes to: its expanded form, its published bytes, or both. One is made from the other when it is asked for.
#[derive(Debug)]
pub struct Content {
    digest: Digest,
    published: OnceLock<Bytes>,
    form: OnceLock<Option<Form>>,
}

/// An expanded form.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub bytes: Bytes,
    pub hash: FormHash,
}

impl Form {
    fn new(bytes: Vec<u8>) -> Self {
        Self { hash: form::hash(&bytes), bytes: bytes.into() }
    }
}

impl Content {
    /// A file's published bytes.
    pub fn of(published: impl Into<Bytes>) -> Self {
        let published = published.into();
        let digest = Digest::of(&published);
        Self { digest, published: OnceLock::from(published), form: OnceLock::new() }
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes that it holds in memory.
    pub fn held_bytes(&self) -> usize {
        let published = self.published.get().map_or(0, |bytes| bytes.len());
        published + self.form.get().and_then(Option::as_ref).map_or(0, |form| form.bytes.len())
    }

    /// The published bytes.
    pub fn published(&self, work: &Work) -> Result<Bytes, DenseError> {
        if let Some(published) = self.published.get() {
            return Ok(published.clone());
        }
        let Some(Some(form)) = self.form.get() else { return Err(DenseError::Damaged("it has no content")) };
        let mut published = Vec::new();
        form::collapse(&form.bytes, work, &mut |bytes| {
            published.extend_from_slice(bytes);
            Ok(())
        })?;
        if Digest::of(&published) != self.digest {
            return Err(DenseError::Damaged("it decodes to other bytes"));
        }
        Ok(self.published.get_or_init(|| published.into()).clone())
    }

    /// The expanded form; `None` if there is nothing to expand.
    pub(super) fn form(&self, work: &Work) -> Result<Option<Form>, DenseError> {
        if let Some(form) = self.form.get() {
            return Ok(form.clone());
        }
        let form = expand::expand(&self.published(work)?, work)?.map(Form::new);
        Ok(self.form.get_or_init(|| form).clone())
    }

    /// The expanded form with the given hash. If this one was made otherwise, by what this version makes of the published bytes.
    fn form_of(&self, hash: FormHash, work: &Work) -> Result<Form, DenseError> {
        let is_right = |form: &Form| form.hash == hash;
        if let Some(form) = self.form(work)?.filter(is_right) {
            return Ok(form);
        }
        let again = Self::of(self.published(work)?);
        again.form(work)?.filter(is_right).ok_or(DenseError::OtherForm(self.digest))
    }
}

/// An object of the archive.
pub enum Object {
    /// As [`encode`](super::encode()) returned it.
    Encoded(Vec<u8>),
    /// The published bytes, from an object that is encoded in another way.
    Published(Vec<u8>),
}

/// Where the bases of a file come from.
pub trait Bases {
    /// The object of a base.
    fn object(&self, digest: Digest) -> Result<Object, DenseError>;

    /// What was passed to [`Bases::keep`], if it is still there.
    fn kept(&self, _digest: Digest) -> Option<Arc<Content>> {
        None
    }

    /// A base that was decoded. Whoever keeps it saves the next decoding of it and of its own bases.
    fn keep(&self, _content: &Arc<Content>) {}
}

/// No bases.
impl Bases for () {
    fn object(&self, digest: Digest) -> Result<Object, DenseError> {
        Err(DenseError::Base { digest, reason: "it is not at hand".to_owned() })
    }
}

/// Decodes a file and writes its published bytes. They are written while they are checked: without the last `Ok` they are
/// worth nothing.
pub fn decode(
    digest: Digest,
    encoded: &[u8],
    bases: &dyn Bases,
    work: &Work,
    out: &mut dyn std::io::Write,
) -> Result<(), DenseError> {
    decode_within(digest, encoded, bases, work, DEPTH_MAX, out)
}

fn decode_within(
    digest: Digest,
    encoded: &[u8],
    bases: &dyn Bases,
    work: &Work,
    left: u8,
    out: &mut dyn std::io::Write,
) -> Result<(), DenseError> {
    let (header, payload) = Header::read(encoded)?;
    let mut check = Check { hasher: sha2::Sha256::new(), size: 0, header: &header, out };
    let mut sink = |bytes: &[u8]| check.write(bytes);
    match header.kind {
        Kind::Plain => sink(payload)?,
        Kind::Zstd | Kind::Delta => {
            let len = usize::try_from(header.size).ok().filter(|len| *len <= FILE_MAX);
            let len = len.ok_or(DenseError::Damaged("its file is too long"))?;
            let prefix = match header.kind {
                Kind::Delta => decode_base(&header, bases, work, left)?.published(work)?,
                _ => Bytes::new(),
            };
            work.check()?;
            sink(&frame::decompress(payload, &prefix, len)?)?;
        }
        Kind::Expanded | Kind::ExpandedDelta => {
            let form = decode_form(&header, payload, bases, work, left)?;
            form::collapse(&form.bytes, work, &mut sink)?;
        }
    }
    check.finish(digest)
}

/// The content of a file, decoded after its bases. It is passed to [`Bases::keep`] like that of a base.
pub fn content(digest: Digest, bases: &dyn Bases, work: &Work) -> Result<Arc<Content>, DenseError> {
    decode_file(digest, bases, work, DEPTH_MAX)
}

/// Decodes the base of a file, after its own. `left`: how many bases the chain may still have.
fn decode_base(header: &Header, bases: &dyn Bases, work: &Work, left: u8) -> Result<Arc<Content>, DenseError> {
    let digest = header.base.ok_or(DenseError::Damaged("it has no base"))?.digest;
    let left = left.checked_sub(1).ok_or(DenseError::Damaged("its chain of bases is too long"))?;
    decode_file(digest, bases, work, left).map_err(|e| match e {
        DenseError::Damaged(reason) => DenseError::Base { digest, reason: reason.to_owned() },
        e => e,
    })
}

fn decode_file(digest: Digest, bases: &dyn Bases, work: &Work, left: u8) -> Result<Arc<Content>, DenseError> {
    if let Some(content) = bases.kept(digest) {
        return Ok(content);
    }
    let content = match bases.object(digest)? {
        Object::Published(published) => Content::of(published),
        Object::Encoded(encoded) => decode_content(digest, &encoded, bases, work, left)?,
    };
    if content.digest() != digest {
        return Err(DenseError::Damaged("it decodes to other bytes"));
    }
    let content = Arc::new(content);
    bases.keep(&content);
    Ok(content)
}

fn decode_content(
    digest: Digest,
    encoded: &[u8],
    bases: &dyn Bases,
    work: &Work,
    left: u8,
) -> Result<Content, DenseError> {
    let (header, payload) = Header::read(encoded)?;
    if header.kind.is_expanded() {
        let form = decode_form(&header, payload, bases, work, left)?;
        return Ok(Content { digest, published: OnceLock::new(), form: OnceLock::from(Some(form)) });
    }
    let mut published = Vec::new();
    decode_within(digest, encoded, bases, work, left, &mut published)?;
    Ok(Content { digest, published: OnceLock::from(Bytes::from(published)), form: OnceLock::new() })
}

fn decode_form(header: &Header, payload: &[u8], bases: &dyn Bases, work: &Work, left: u8) -> Result<Form, DenseError> {
    let FormRef { preflate, len, hash } = header.form.ok_or(DenseError::Damaged("it has no expanded form"))?;
    if preflate != PREFLATE_VERSION {
        return Err(DenseError::OtherPreflate { needed: preflate, linked: PREFLATE_VERSION });
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= FORM_MAX);
    let len = len.ok_or(DenseError::Damaged("its expanded form is too long"))?;
    let prefix = match header.base.and_then(|base| base.form) {
        Some(form) => decode_base(header, bases, work, left)?.form_of(form, work)?.bytes,
        None => Bytes::new(),
    };
    work.check()?;
    let form = Form::new(frame::decompress(payload, &prefix, len)?);
    if form.hash == hash { Ok(form) } else { Err(DenseError::Damaged("its expanded form differs")) }
}

/// Passes bytes on and compares them with what was archived.
struct Check<'a> {
    hasher: sha2::Sha256,
    size: u64,
    header: &'a Header,
    out: &'a mut dyn std::io::Write,
}

impl Check<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), DenseError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        if self.size > self.header.size {
            return Err(DenseError::Damaged("it decodes to more bytes than it should"));
        }
        Ok(self.out.write_all(bytes)?)
    }

    fn finish(self, digest: Digest) -> Result<(), DenseError> {
        let is_same = self.size == self.header.size && Digest(self.hasher.finalize().into()) == digest;
        if is_same { Ok(()) } else { Err(DenseError::Damaged("it decodes to other bytes")) }
    }
}
