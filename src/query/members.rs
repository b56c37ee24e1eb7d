//! Members across files: those of all zips that a search finds, as rows.
//!
//! The index finds the zips that have a matching member; the record has the members of each. However many members a zip has, a bounded
//! number of them is in memory.
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};

use super::filters::check_filter;
use super::lists::path_in_url;
use super::paging::{Cursor, kind_of};
use super::search_text::SearchText;
use super::{ListPage, Paging, PublicationRequest, Queries, QueryError};
use crate::domain::{Digest, MemberPattern, RevisionId, excerpt};
use crate::engine::index::{Hit, Query, Target};
use crate::engine::record::{Member, Publication, Revision};

/// Members that are read at once.
const AT_ONCE: u64 = 2_000;

/// Zips whose members are read for one page of a list.
const ZIPS_AT_ONCE: usize = 50;

/// A member with the file that has it.
#[derive(Clone, Debug)]
pub struct FileMember {
    pub publication: Publication,
    pub revision: Revision,
    pub member: Member,
}

impl Queries {
    /// The address of a member.
    pub fn member_url(&self, revision: RevisionId, path: &str) -> String {
        format!("{}/members/{}", self.file_url(revision), path_in_url(path))
    }

    /// The same on this service.
    pub fn member_path(&self, revision: RevisionId, path: &str) -> String {
        format!("/files/{revision}/members/{}", path_in_url(path))
    }

    /// All members of the files of a request that match the pattern of its filter, whose paging is ignored.
    pub fn all_members(
        &self,
        mut request: PublicationRequest,
    ) -> Result<impl Stream<Item = Result<Vec<FileMember>, QueryError>> + Send + use<>, QueryError> {
        let pattern = pattern_of(&mut request);
        let pages = self.all_publications(request)?;
        let queries = self.clone();
        Ok(pages.flat_map(move |page| {
            let (queries, pattern) = (queries.clone(), pattern.clone());
            let files = page.map(|rows| {
                let file = |row: super::PublicationRow| Some((row.publication, row.revision?));
                rows.into_iter().filter_map(file).collect::<Vec<_>>()
            });
            let walk = match files {
                Ok(files) => Walk { queries, pattern, files, next: 0, counts: None, within: None, failed: None },
                Err(e) => {
                    Walk { queries, pattern, files: Vec::new(), next: 0, counts: None, within: None, failed: Some(e) }
                }
            };
            unfold(walk, |mut walk| async move {
                let page = walk.next_page().await.transpose()?;
                Some((page, walk))
            })
            .boxed()
        }))
    }

    /// The first members of a file after a position whose paths match a pattern, in the zip's order; and how many match.
    pub(super) async fn matching_members(
        &self,
        revision: &Revision,
        pattern: &MemberPattern,
        after: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<(i32, Member)>, u64), QueryError> {
        let (mut rows, mut total, mut last) = (Vec::new(), 0, None);
        loop {
            let found = self.record.history().members_of_files(&[revision.file.digest], last, AT_ONCE).await?;
            let is_last = (found.len() as u64) < AT_ONCE;
            last = found.last().map(|(_, position, _)| *position);
            for (_, position, member) in found.into_iter().filter(|(_, _, member)| pattern.matches(&member.path)) {
                total += 1;
                if rows.len() < limit && after.is_none_or(|after| position > after) {
                    rows.push((position, member));
                }
            }
            if is_last {
                return Ok((rows, total));
            }
        }
    }

    /// A page of the same. How many there are in all is not counted.
    pub async fn members_of_files(&self, mut request: PublicationRequest) -> Result<ListPage<FileMember>, QueryError> {
        let pattern = pattern_of(&mut request);
        check_filter(&request.filter)?;
        let kind = kind_of(request.order);
        let Paging { first, after, .. } = std::mem::take(&mut request.paging);
        let start = after.as_deref().map(|cursor| Position::parse(cursor, kind)).transpose()?;
        let has_previous = start.is_some();
        let limit = Paging { first, ..Paging::default() }.window(kind)?.limit;
        let search = SearchText::new(request.search.take(), request.search_in, false)?;
        let mut query = Query {
            target: Target::Publications { as_of: request.as_of },
            search: search.text,
            search_in: search.within,
            scored: false,
            filter: request.filter,
            order: request.order,
            beyond: None,
            backwards: false,
            offset: 0,
            limit: ZIPS_AT_ONCE,
        };
        let mut page = Page { kind, limit, pattern, rows: Vec::new() };
        if let Some(Position { hit, revision, member }) = start {
            // The zip that the last page ended in.
            let row = self.revision_rows(&[revision]).await?.remove(&revision);
            if let Some(row) = row {
                self.fill(&mut page, &hit, &(row.publication, row.revision), Some(member)).await?;
            }
            query.beyond = Some((hit.value, hit.tie));
        }
        while page.rows.len() <= limit {
            let sent = query.clone();
            let found = self.query_index(move |index, watch| index.search(&sent, watch)).await?;
            let rows = self.rows_of(&found.hits).await?;
            for (hit, row) in rows {
                let Some(revision) = row.revision else { continue };
                let cursor = cursor_of(hit, query.target);
                self.fill(&mut page, &cursor, &(row.publication, revision), None).await?;
                if page.rows.len() > limit {
                    break;
                }
            }
            query.beyond = found.hits.last().map(|hit| (hit.value.clone(), hit.tie_breaker(query.target)));
            if !found.more {
                break;
            }
        }
        let has_next = page.rows.len() > limit;
        page.rows.truncate(limit);
        Ok(ListPage { total: 0, rows: page.rows, has_next, has_previous })
    }

    /// Adds the matching members of a file, until the page has one more than its limit.
    async fn fill(
        &self,
        page: &mut Page,
        hit: &Cursor,
        (publication, revision): &(Publication, Revision),
        after: Option<i32>,
    ) -> Result<(), QueryError> {
        let digest = revision.file.digest;
        let mut after = after;
        while page.rows.len() <= page.limit {
            let found = self.record.history().members_of_files(&[digest], after, AT_ONCE).await?;
            let is_last = (found.len() as u64) < AT_ONCE;
            after = found.last().map(|(_, position, _)| *position);
            for (_, position, member) in found {
                if !page.pattern.matches(&member.path) || page.rows.len() > page.limit {
                    continue;
                }
                let cursor = Position { hit: hit.clone(), revision: revision.id, member: position };
                let (publication, revision) = (publication.clone(), revision.clone());
                let row = FileMember { publication, revision, member };
                self.limits().count_bytes(super::weight::weigh([&row]))?;
                page.rows.push((cursor.format(page.kind), row));
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

/// The pattern that members must match. Without one, the request is narrowed to files that have members.
fn pattern_of(request: &mut PublicationRequest) -> MemberPattern {
    request.filter.member.get_or_insert_with(MemberPattern::every).clone()
}

fn cursor_of(hit: &Hit, target: Target) -> Cursor {
    Cursor { value: hit.value.clone(), tie: hit.tie_breaker(target) }
}

struct Page {
    kind: char,
    limit: usize,
    pattern: MemberPattern,
    rows: Vec<(String, FileMember)>,
}

/// The position of a row: the file among the hits, its revision, and the member in its zip.
struct Position {
    hit: Cursor,
    revision: RevisionId,
    member: i32,
}

impl Position {
    fn format(&self, kind: char) -> String {
        let Self { hit, revision, member } = self;
        URL_SAFE_NO_PAD.encode(format!("m{member} {} {}", revision.0.simple(), hit.format(kind)))
    }

    fn parse(text: &str, kind: char) -> Result<Self, QueryError> {
        let parts = || {
            let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let mut parts = decoded.strip_prefix('m')?.splitn(3, ' ');
            let member = parts.next()?.parse().ok()?;
            let revision = parts.next()?.parse().ok().map(RevisionId)?;
            Some((member, revision, parts.next()?.to_owned()))
        };
        let (member, revision, hit) = parts().ok_or_else(|| {
            let cursor = excerpt(text);
            QueryError::bad(format!(
                "the cursor `{cursor}` is not a cursor of this list; take it from `endCursor` of the page before"
            ))
        })?;
        Ok(Self { hit: Cursor::parse(&hit, kind)?, revision, member })
    }
}

/// Walks through the members of some files, in the order of the files.
struct Walk {
    queries: Queries,
    pattern: MemberPattern,
    files: Vec<(Publication, Revision)>,
    /// The first file whose members are not read yet.
    next: usize,
    /// How many members the files have; read first.
    counts: Option<HashMap<Digest, u64>>,
    /// The position in the file before `next` from which to continue.
    within: Option<i32>,
    failed: Option<QueryError>,
}

impl Walk {
    /// The next members that match; `None` after the last.
    async fn next_page(&mut self) -> Result<Option<Vec<FileMember>>, QueryError> {
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        loop {
            let rows = match self.within {
                Some(_) => self.rest_of_file().await?,
                None if self.next < self.files.len() => self.next_files().await?,
                None => return Ok(None),
            };
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    /// The members of the next files that have few enough to be read at once; of a larger file, the first of them.
    async fn next_files(&mut self) -> Result<Vec<FileMember>, QueryError> {
        let history = self.queries.record.history();
        let counts = match &self.counts {
            Some(counts) => counts,
            None => {
                let digests: Vec<Digest> = self.files.iter().map(|(_, revision)| revision.file.digest).collect();
                self.counts.insert(history.count_members(&digests).await?)
            }
        };
        let count = |(_, revision): &(Publication, Revision)| counts.get(&revision.file.digest).copied().unwrap_or(0);
        let (start, mut sum) = (self.next, 0);
        while self.next < self.files.len() && (self.next == start || sum + count(&self.files[self.next]) <= AT_ONCE) {
            sum += count(&self.files[self.next]);
            self.next += 1;
        }
        let files = &self.files[start..self.next];
        let digests: Vec<Digest> = files.iter().map(|(_, revision)| revision.file.digest).collect();
        let mut by_digest: HashMap<Digest, Vec<Member>> = HashMap::new();
        // Several files have few members together; those of one may be many.
        let limit = if files.len() == 1 { AT_ONCE } else { u64::from(u32::MAX) };
        let found = history.members_of_files(&digests, None, limit).await?;
        self.within = found.last().filter(|_| found.len() as u64 == limit).map(|(_, position, _)| *position);
        for (digest, _, member) in found {
            if self.pattern.matches(&member.path) {
                by_digest.entry(digest).or_default().push(member);
            }
        }
        let mut rows = Vec::new();
        for (publication, revision) in files {
            // Two publications may have the same file.
            for member in by_digest.get(&revision.file.digest).into_iter().flatten() {
                let (publication, revision, member) = (publication.clone(), revision.clone(), member.clone());
                rows.push(FileMember { publication, revision, member });
            }
        }
        Ok(rows)
    }

    async fn rest_of_file(&mut self) -> Result<Vec<FileMember>, QueryError> {
        let after = self.within.take();
        let Some((publication, revision)) = self.files[..self.next].last() else { return Ok(Vec::new()) };
        let digest = revision.file.digest;
        let found = self.queries.record.history().members_of_files(&[digest], after, AT_ONCE).await?;
        self.within = found.last().filter(|_| found.len() as u64 == AT_ONCE).map(|(_, position, _)| *position);
        let matching = found.into_iter().filter(|(_, _, member)| self.pattern.matches(&member.path));
        let row = |(_, _, member)| FileMember { publication: publication.clone(), revision: revision.clone(), member };
        Ok(matching.map(row).collect())
    }
}
