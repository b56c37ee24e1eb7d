//! From a claim to a revision: transfers the file into the archive, names it, lists a zip, and records it.
use std::time::Duration;

use bytes::Bytes;

use super::schedule::later;
use super::transfer::TransferError;
use crate::app::App;
use crate::domain::{
    Ends, FileInfo, LocalDateTime, NotificationId, ObjectChange, StoredFile, UNUSUAL_MARKUP, Verdict, extension_of,
    file_name, has_members, is_page_type, is_zip, judge, redacted_file_name,
};
use crate::engine::fetch::{Download, FetchError, Response, percent_decoded};
use crate::engine::record::{Claim, ClaimedNotification, FetchedFile, Member, RecordError, Settlement};
use crate::engine::store::{Budget, Listing, MemberError, Put, StoreError};
use crate::spans::{Began, size};
use crate::stage::Stage;

pub(super) async fn archive(app: &App, claim: &Claim) -> Result<(), TransferError> {
    let Some(lead) = claim.lead() else { return Ok(()) };
    fail::fail_point!("fetch");
    let span = Began::now();
    let validator = claim.previous.as_ref().map(|previous| &previous.validator);
    let mut download = match app.fetcher.get(&lead.link, validator).await? {
        Response::File(download) => download,
        Response::NotModified => return not_modified(app, claim).await,
    };
    let announced = announced_name(lead);
    let secrets = lead.link.secrets();
    let published = download.name.as_deref().and_then(|name| {
        let bare =
            bare_extension(name).map(|extension| named_by_extension(&extension, announced.as_deref(), &lead.name));
        bare.unwrap_or_else(|| redacted_file_name(name, &secrets))
    });
    let (put, ends) = transfer(app, &mut download).await?;
    let host = || vec![("server.address", claim.host.clone().into())];
    span.end("fetch", all_of(claim), host, None);
    let span = Began::now();
    let sent_as = download.content_type.as_deref();
    let name = published.or(announced).unwrap_or_else(|| named_for_product(lead, ends.head(), sent_as));
    let extension = extension_of(&name);
    let verdict = judge_response(app, lead, sent_as, extension.as_deref(), &ends).await?;
    let stored = put.finish().await?;
    let file = stored.file;
    let kept = || {
        let state = if stored.change == ObjectChange::New { "new" } else { "there already" };
        vec![
            ("acervo.file.sha256", file.digest.to_string().into()),
            ("acervo.file.size", size(file.size)),
            ("acervo.file.stored_size", size(file.stored_size)),
            ("acervo.object", state.into()),
        ]
    };
    span.end("store", all_of(claim), kept, None);
    reached(app, claim, Stage::Fetched);
    metrics::counter!("acervo_fetched_bytes_total").increment(file.size);
    let contents = list_members(app, file, extension.as_deref(), ends.head()).await?;
    let is_doubtful = contents.broken.is_some() || matches!(verdict, Verdict::Doubtful(_));
    let again = is_doubtful && !claim.notifications.iter().any(|n| n.made_revision);
    let fetched = FetchedFile {
        file,
        change: stored.change,
        stored_digest: stored.stored_digest,
        content_type: content_type(&download, &name),
        extension,
        file_name: name,
        warnings: contents.warnings().into_iter().chain(warning(verdict)).collect(),
        members: contents.members,
        list_later: contents.list_later,
        validator: download.validator.clone().filter(|validator| !validator.holds_any_of(&secrets)),
        again_at: again.then(|| later(app.clock.now(), app.settings.fetch.retry_first)),
    };
    super::fault("fetch-before-record");
    let span = Began::now();
    let settled = settle(app, claim, &fetched).await?;
    stored.unrecorded.recorded();
    let recorded = || vec![("acervo.revision.id", listed(settled.new_revisions.iter()).into())];
    span.end("record", all_of(claim), recorded, None);
    reached(app, claim, Stage::Archived);
    tracing::info!(
        notifications = ids_of(claim),
        revisions = listed(settled.new_revisions.iter()),
        sha256 = %file.digest,
        name = lead.name,
        file = fetched.file_name,
        size = file.size,
        stored = if stored.change == ObjectChange::New { file.stored_size } else { 0 },
        new_revisions = settled.new_revisions.len(),
        unchanged = settled.unchanged,
        "archived"
    );
    Ok(())
}

/// Ids in one line of the log.
const IDS_LOGGED: usize = 5;

/// The notifications of a claim, for the log.
pub(super) fn ids_of(claim: &Claim) -> String {
    listed(claim.notifications.iter().map(|notification| notification.id))
}

fn all_of(claim: &Claim) -> impl Iterator<Item = NotificationId> + '_ {
    claim.notifications.iter().map(|notification| notification.id)
}

fn listed(ids: impl ExactSizeIterator<Item: std::fmt::Display>) -> String {
    let more = ids.len().saturating_sub(IDS_LOGGED);
    let mut text = ids.take(IDS_LOGGED).map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Measures a stage of the claim's notifications, the first time that they reach it.
fn reached(app: &App, claim: &Claim, stage: Stage) {
    let now = app.clock.now();
    for notification in claim.notifications.iter().filter(|notification| !notification.made_revision) {
        stage.reached(notification.received_at, now);
    }
}

/// Settles the claim with a file that is in the store. Whether bytes that a sweep once removed exist again is checked between two
/// attempts, because no transaction waits for the store.
async fn settle(app: &App, claim: &Claim, fetched: &FetchedFile) -> Result<Settlement, TransferError> {
    let mut confirmed = Vec::new();
    loop {
        match app.record.queue().settle(claim, fetched, app.clock.now(), &confirmed).await {
            Err(RecordError::RemovedBefore(removals)) if app.store.contains(fetched.file.locator()).await? => {
                super::fault("fetch-before-second-try");
                confirmed = removals;
            }
            Err(RecordError::RemovedBefore(_)) => return Err(RecordError::FileGone.into()),
            settled => return Ok(settled?),
        }
    }
}

/// The portal answered that the file has not changed. The stored file is verified once, as it would be after a transfer; if it is
/// damaged, the whole file is fetched.
async fn not_modified(app: &App, claim: &Claim) -> Result<(), TransferError> {
    let name = claim.lead().map_or("", |lead| lead.name.as_str());
    if let Some(previous) = &claim.previous
        && let Some(file) = app.record.files().stored_file(previous.digest).await?
        && let Err(e) = app.store.check(file).await
    {
        if e.damaged().is_none() {
            return Err(e.into());
        }
        tracing::error!(name, error = %e, "the file on the portal has not changed and the stored one is damaged; fetching it in full");
        app.record.files().mark_damaged(&file, e.breakage(), app.clock.now()).await?;
    }
    match app.record.queue().settle_not_modified(claim).await? {
        Some(settled) => {
            reached(app, claim, Stage::Archived);
            tracing::info!(notifications = ids_of(claim), name, unchanged = settled.unchanged, "not modified");
        }
        None => {
            tracing::info!(name, "not modified, but the publication shows another file by now; fetching it in full")
        }
    }
    Ok(())
}

/// Bytes of a transfer between two checks of the free disk space.
const CHECK_EVERY_BYTES: u64 = 16 << 20;

/// Streams the bytes into the store, without finishing the object, and returns both ends of the file.
async fn transfer(app: &App, download: &mut Download) -> Result<(Put, Ends), TransferError> {
    app.disk.require_space(download.length().unwrap_or_default())?;
    let mut put = app.store.put();
    let mut ends = Ends::default();
    let mut checked_at = 0;
    let mut received = 0;
    while let Some(bytes) = download.next().await? {
        let bytes: Bytes = bytes;
        ends.take(&bytes);
        put.write(&bytes).await?;
        received += bytes.len() as u64;
        if received - checked_at >= CHECK_EVERY_BYTES {
            checked_at = received;
            app.disk.require_space(0)?;
        }
    }
    Ok((put, ends))
}

/// Classifies the response; a page instead of the file is an error. The product's earlier files are only read if they could
/// change the verdict.
async fn judge_response(
    app: &App,
    lead: &ClaimedNotification,
    content_type: Option<&str>,
    extension: Option<&str>,
    ends: &Ends,
) -> Result<Verdict, TransferError> {
    let sent = FileInfo { extension, content_type, is_usual: false };
    let usual = FileInfo { is_usual: true, ..sent };
    let mut verdict = judge(&sent, ends);
    if verdict == Verdict::Page && judge(&usual, ends) != Verdict::Page && is_usual(app, lead, extension).await? {
        verdict = judge(&usual, ends);
    }
    match verdict {
        Verdict::Page => Err(FetchError::Html.into()),
        Verdict::File | Verdict::Unusual(_) | Verdict::Doubtful(_) => Ok(verdict),
    }
}

/// Whether earlier files of this product with this extension were sent as pages, and archived.
async fn is_usual(app: &App, lead: &ClaimedNotification, extension: Option<&str>) -> Result<bool, TransferError> {
    let recent = app.record.history().recent_files(lead.id).await?;
    Ok(recent.iter().filter(|file| file.extension.as_deref() == extension).any(|file| {
        let was_sent_as_page = file.content_type.as_deref().is_some_and(is_page_type);
        was_sent_as_page || file.warnings.iter().any(|warning| warning == UNUSUAL_MARKUP)
    }))
}

/// The warning on the revision that a verdict gives.
pub(super) fn warning(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::File => None,
        Verdict::Unusual(why) | Verdict::Doubtful(why) => Some(why.to_owned()),
        Verdict::Page => Some("it is an HTML page instead of the file".to_owned()),
    }
}

/// The extension of a name that has nothing else, `.pdf`: it is a type and not a name.
fn bare_extension(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    extension_of(&format!("x{last}")).filter(|_| last.rfind('.') == Some(0))
}

/// The announced name if it has this extension, else the product's name with it.
fn named_by_extension(extension: &str, announced: Option<&str>, product: &str) -> Option<String> {
    let announced = announced.filter(|name| extension_of(name).as_deref() == Some(extension));
    announced.map(str::to_owned).or_else(|| file_name(&with_extension(&without_slashes(product), extension)))
}

/// Adds an extension to a name, unless the name has it.
fn with_extension(name: &str, extension: &str) -> String {
    let name = name.trim();
    if extension_of(name).as_deref() == Some(extension) { name.to_owned() } else { format!("{name}.{extension}") }
}

/// The name in the token's path. A folder is sent as a zip with the product's name.
fn announced_name(lead: &ClaimedNotification) -> Option<String> {
    if lead.is_file == Some(false) {
        return file_name(&with_extension(&without_slashes(&lead.name), "zip"));
    }
    let path = lead.link.claims().path?;
    // File names on the portal have no `?`: it begins a query.
    let last = path.split('?').next()?.rsplit('/').next()?;
    let decoded = percent_decoded(last).unwrap_or_else(|| last.to_owned());
    file_name(&without_slashes(&decoded)).filter(|name| extension_of(name).is_some())
}

fn named_for_product(lead: &ClaimedNotification, head: &[u8], content_type: Option<&str>) -> String {
    let name = without_slashes(&lead.name);
    let extension = match head {
        _ if is_zip(head) => Some("zip"),
        _ if head.starts_with(b"%PDF") => Some("pdf"),
        _ => content_type.and_then(extension_for),
    };
    let full = extension.map_or_else(|| name.clone(), |extension| with_extension(&name, extension));
    file_name(&full).unwrap_or_else(|| "file".to_owned())
}

/// A slash in a product's name or in an escape is part of the name, not of a path.
fn without_slashes(name: &str) -> String {
    name.replace(['/', '\\'], "-")
}

/// The extension of the types that the portal is known to publish.
fn extension_for(content_type: &str) -> Option<&'static str> {
    match content_type {
        "application/pdf" => Some("pdf"),
        "application/zip" | "application/x-zip-compressed" => Some("zip"),
        "application/vnd.ms-excel" => Some("xls"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Some("xlsx"),
        "application/vnd.ms-excel.sheet.macroenabled.12" => Some("xlsm"),
        "application/json" => Some("json"),
        "text/csv" => Some("csv"),
        "text/plain" => Some("txt"),
        _ => None,
    }
}

fn content_type(download: &Download, name: &str) -> Option<String> {
    let vague =
        ["application/octet-stream", "application/force-download", "application/x-download", "binary/octet-stream"];
    let said = download.content_type.clone().filter(|said| !vague.contains(&said.as_str()));
    said.or_else(|| mime_guess::from_path(name).first_raw().map(str::to_owned))
        .or_else(|| download.content_type.clone())
}

/// The contents of a file, if it is a zip.
#[derive(Default)]
pub(super) struct ZipContents {
    pub members: Vec<Member>,
    /// The zip does not open.
    pub broken: Option<String>,
    /// Another warning.
    pub note: Option<String>,
    /// Listing all of it would take too long; it is listed later.
    pub list_later: bool,
}

impl ZipContents {
    pub fn warnings(&self) -> Vec<String> {
        self.broken.iter().chain(&self.note).cloned().collect()
    }
}

/// The budget for listing members before a file is recorded. Most zips take a few milliseconds. Anything more is listed later, so
/// that no file delays its own recording or that of another file.
const BUDGET_BEFORE_RECORD: Budget = Budget { bytes: 16 << 20, time: Duration::from_millis(500) };

/// The warning on a zip whose nested zips take longer to list than is allowed.
pub(super) const PARTLY_LISTED: &str =
    "not all members of nested zips are listed, because decompressing them takes too long";

/// The warning on a zip with more members than are listed.
const TRUNCATED: &str = "the zip has more members than are listed";

/// Lists the members of a zip, or says what is wrong with it.
pub(super) async fn list_members(
    app: &App,
    file: StoredFile,
    extension: Option<&str>,
    head: &[u8],
) -> Result<ZipContents, TransferError> {
    if !has_members(extension, head) {
        return Ok(ZipContents::default());
    }
    match app.store.members(file, BUDGET_BEFORE_RECORD).await {
        Ok(listing) => {
            let list_later = listing.is_over_budget;
            let (members, note) = record_members(listing);
            let note = note.filter(|_| !list_later).map(str::to_owned);
            Ok(ZipContents { members, note, list_later, broken: None })
        }
        // Listed once there is space again.
        Err(MemberError::Store(StoreError::DiskFull(_))) => {
            Ok(ZipContents { list_later: true, ..ZipContents::default() })
        }
        Err(MemberError::Store(e)) => Err(e.into()),
        Err(e) => Ok(ZipContents { broken: Some(does_not_open(&e)), ..ZipContents::default() }),
    }
}

/// The warning of a zip without members.
pub(super) fn does_not_open(error: &MemberError) -> String {
    match error {
        MemberError::NotAZip(why) => format!("the zip does not open: {why}"),
        other => format!("the zip does not open: {other}"),
    }
}

/// The members to record, and a warning if the list is incomplete.
pub(super) fn record_members(listing: Listing) -> (Vec<Member>, Option<&'static str>) {
    let note = if listing.is_cut { Some(TRUNCATED) } else { None };
    (listing.members.into_iter().map(member).collect(), note)
}

fn member(found: crate::engine::store::Member) -> Member {
    let modified_at = found.modified.and_then(|(year, month, day, hour, minute, second)| {
        LocalDateTime::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"))
    });
    Member { path: found.path, size: found.size, compressed_size: Some(found.compressed_size), modified_at }
}

#[cfg(test)]
mod tests {
    use super::{bare_extension, named_by_extension, with_extension};

    #[test]
    fn a_name_has_its_extension_once() {
        let cases = [
            (".pdf", None, "IPDO 1/2", Some("IPDO 1-2.pdf")),
            (".PDF", None, "IPDO.pdf", Some("IPDO.pdf")),
            ("C:\\x\\.pdf", Some("ipdo-1.pdf"), "IPDO", Some("ipdo-1.pdf")),
            (".pdf", Some("ipdo.aspx"), "IPDO", Some("IPDO.pdf")),
            (".oculto.txt", None, "IPDO", None),
            ("a.pdf", Some("b.pdf"), "IPDO", None),
            ("pdf", None, "IPDO", None),
            ("..", None, "IPDO", None),
        ];
        for (given, announced, product, expected) in cases {
            let name = bare_extension(given).and_then(|extension| named_by_extension(&extension, announced, product));
            assert_eq!(name.as_deref(), expected, "{given}");
        }
        assert_eq!(with_extension("Deck.zip", "zip"), "Deck.zip");
        assert_eq!(with_extension("Deck.ZIP ", "zip"), "Deck.ZIP");
        assert_eq!(with_extension("Deck 1.5", "zip"), "Deck 1.5.zip");
    }
}
