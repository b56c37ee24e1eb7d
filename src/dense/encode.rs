//! Encoding: the candidates, and which of them is kept.
use std::sync::Arc;

use bytes::Bytes;

use super::decode::{Bases, Content, Object, decode};
use super::header::{BaseRef, FormRef, Header};
use super::streams::PREFLATE_VERSION;
use super::{DEPTH_MAX, DenseError, Effort, Kind, Work, frame};
use crate::domain::Digest;

/// A file that another may be encoded with, and how it is stored itself.
#[derive(Clone, Debug)]
pub struct Base {
    pub content: Arc<Content>,
    /// How many bases are decoded before it is.
    pub depth: u8,
    /// Whether decoding its object gives its expanded form.
    pub is_expanded: bool,
}

/// An encoded file.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub header: Header,
}

/// A first look at a candidate, to find the one that is worth the full effort.
const ESTIMATE: Effort = Effort { level: 3, table_log_max: 24 };

/// Encodes a file in the way that needs the fewest bytes. Of bases that save the same, the first is taken.
pub fn encode(file: &Content, bases: &[Base], work: &Work) -> Result<Encoded, DenseError> {
    let published = file.published(work)?;
    let max = work.limits.file_max;
    if published.len() > max {
        return Err(DenseError::TooLarge { size: published.len() as u64, max: max as u64 });
    }
    let mut best = Encoded::plain(&published);
    let mut least = best.bytes.len();
    for candidate in candidates(file, bases, work)? {
        let encoded = candidate.encode(file, work.limits.effort, work)?;
        let weight = weight(encoded.bytes.len(), &candidate);
        if weight < least {
            (least, best) = (weight, encoded);
        }
    }
    decode(file.digest(), &best.bytes, &Given(bases), work, &mut std::io::sink())?;
    Ok(best)
}

/// The candidates that are worth the full effort: the best of the published bytes and the best of the expanded form.
fn candidates<'a>(file: &Content, bases: &'a [Base], work: &Work) -> Result<Vec<Candidate<'a>>, DenseError> {
    let is_usable = |base: &&Base| base.depth < DEPTH_MAX && base.content.digest() != file.digest();
    let bases: Vec<&Base> = bases.iter().filter(is_usable).collect();
    let is_expandable = file.form(work)?.is_some();
    let mut published = vec![Candidate { kind: Kind::Zstd, base: None }];
    // Where both have an expanded form, the published bytes do not save more, and making those of the base takes long.
    let published_bases = bases.iter().filter(|base| !(is_expandable && base.is_expanded));
    published.extend(published_bases.map(|base| Candidate { kind: Kind::Delta, base: Some(base) }));
    let mut expanded = Vec::new();
    if is_expandable {
        expanded.push(Candidate { kind: Kind::Expanded, base: None });
        // A base that is stored as published would have to be expanded again each time that the file is decoded, and always in
        // exactly the same way.
        let bases = bases.iter().filter(|base| base.is_expanded);
        expanded.extend(bases.map(|base| Candidate { kind: Kind::ExpandedDelta, base: Some(base) }));
    }
    let mut best = Vec::new();
    for group in [expanded, published] {
        let mut least: Option<(usize, Candidate)> = None;
        for candidate in group {
            let estimate = weight(candidate.encode(file, ESTIMATE, work)?.bytes.len(), &candidate);
            if least.as_ref().is_none_or(|(least, _)| estimate < *least) {
                least = Some((estimate, candidate));
            }
        }
        best.extend(least);
    }
    // What is twice as large at a low level does not become the smaller one at a high level.
    let least = best.iter().map(|(estimate, _)| *estimate).min().unwrap_or_default();
    best.retain(|(estimate, _)| *estimate / 2 <= least);
    Ok(best.into_iter().map(|(_, candidate)| candidate).collect())
}

/// The size of a candidate, for comparing it with others.
fn weight(size: usize, candidate: &Candidate) -> usize {
    let bonus = if candidate.kind.is_expanded() { size / EXPANDED_BONUS } else { 0 };
    let depth = candidate.base.map_or(0, |base| usize::from(base.depth));
    size - bonus + size / DEPTH_MALUS * depth
}

/// An expanded form may be larger by one part in so many: the next revision can use it.
const EXPANDED_BONUS: usize = 20;

/// For each base that its base needs, a delta has to be smaller by one part in so many: short chains are read faster, and one that
/// has no room for another file costs a full object.
const DEPTH_MALUS: usize = 50;

struct Candidate<'a> {
    kind: Kind,
    base: Option<&'a Base>,
}

impl Candidate<'_> {
    fn encode(&self, file: &Content, effort: Effort, work: &Work) -> Result<Encoded, DenseError> {
        const NO_FORM: DenseError = DenseError::Damaged("it has no expanded form");
        let published = file.published(work)?;
        let mut header = Header { kind: self.kind, size: published.len() as u64, base: None, form: None };
        let mut prefix = Bytes::new();
        let form = if self.kind.is_expanded() { Some(file.form(work)?.ok_or(NO_FORM)?) } else { None };
        if let Some(Base { content, depth, .. }) = self.base {
            let mut base = BaseRef { digest: content.digest(), depth: depth + 1, form: None };
            prefix = if form.is_some() {
                let of_base = content.form(work)?.ok_or(NO_FORM)?;
                base.form = Some(of_base.hash);
                of_base.bytes
            } else {
                content.published(work)?
            };
            header.base = Some(base);
        }
        let payload = match form {
            Some(form) => {
                header.form =
                    Some(FormRef { preflate: PREFLATE_VERSION, len: form.bytes.len() as u64, hash: form.hash });
                frame::compress(&form.bytes, &prefix, effort, work)?
            }
            None => frame::compress(&published, &prefix, effort, work)?,
        };
        Ok(Encoded::new(header, &payload))
    }
}

impl Encoded {
    fn new(header: Header, payload: &[u8]) -> Self {
        let mut bytes = header.write();
        bytes.extend_from_slice(payload);
        Self { bytes, header }
    }

    fn plain(published: &[u8]) -> Self {
        Self::new(Header { kind: Kind::Plain, size: published.len() as u64, base: None, form: None }, published)
    }
}

/// The bases that a file was encoded with.
struct Given<'a>(&'a [Base]);

impl Bases for Given<'_> {
    fn object(&self, digest: Digest) -> Result<Object, DenseError> {
        Err(DenseError::Base { digest, reason: "it is not among those given".to_owned() })
    }

    fn kept(&self, digest: Digest) -> Option<Arc<Content>> {
        self.0.iter().map(|base| &base.content).find(|content| content.digest() == digest).cloned()
    }
}
