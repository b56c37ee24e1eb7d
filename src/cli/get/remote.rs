//! `acervo get --url`: downloads from a remote instance, whose bytes are compared with their SHA-256.
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Args, members, own_path};
use crate::cli::ask::{Archive, Remote, take};
use crate::cli::language::say;
use crate::cli::output;
use crate::cli::search::{FilterOptions, Place, local_time};
use crate::cli::target::Target;
use crate::domain::{Digest, Hasher};
use crate::export::{FileList, FileSource, ListedFile, NotRead, SourceBytes};
use crate::query::FIRST_MAX;

const FILE: &str = "query($id: ID!) {
  revision(id: $id) { id fileName sha256 purgedAt }
  publication(id: $id) { status revisionId fileName sha256 } }";

/// Downloads a file, or a member of one, or lists its members.
pub(super) async fn get(args: Args, id: uuid::Uuid, remote: Remote) -> anyhow::Result<ExitCode> {
    let address = remote.address().to_owned();
    let archive = Archive::Remote(remote);
    let found = archive.query(FILE, json!({ "id": id.to_string() })).await?;
    let (revision, publication) = (&found["revision"], &found["publication"]);
    let (revision_id, file) = match (revision["id"].as_str(), publication["revisionId"].as_str()) {
        (Some(id), _) => (id, revision),
        (None, Some(id)) => (id, publication),
        (None, None) if publication.is_null() => {
            bail!(say!("cli-get-remote-no-id", address = address, id = id.to_string()))
        }
        (None, None) => {
            let status = publication["status"].as_str().unwrap_or_default().to_lowercase();
            bail!(say!("cli-get-no-file", id = id.to_string(), status = status))
        }
    };
    if args.list {
        return members::print(&all_members(&archive, revision_id).await?, args.format);
    }
    if let Some(at) = revision["purgedAt"].as_str() {
        bail!(say!("cli-get-purged", id = id.to_string(), at = local_time(at)?));
    }
    let path = match args.output {
        Some(path) => path,
        None => own_path(args.member.as_deref().unwrap_or(file["fileName"].as_str().unwrap_or_default()))?,
    };
    let mut target = Target::open(&path, args.force)?;
    let Archive::Remote(remote) = &archive else { bail!("a remote instance is asked") };
    let mut segments = vec!["files", revision_id];
    if let Some(member) = &args.member {
        segments.push("members");
        segments.extend(member.split('/'));
    }
    let response = remote.get(&segments).await?;
    let mut hasher = Hasher::default();
    let mut bytes = response.bytes_stream();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(Remote::broken_off)?;
        hasher.update(&piece);
        target.write(&piece)?;
    }
    if args.member.is_none() {
        let expected: Digest = file["sha256"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .with_context(|| format!("{address} does not say the SHA-256 of the file"))?;
        if hasher.finish() != expected {
            bail!(other_bytes(&address, expected));
        }
    }
    if let Some(path) = target.finish()? {
        output::print_message(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

const MEMBERS: &str = "query($id: ID!, $first: Int, $after: String) { revision(id: $id) {
  members(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } nodes { path size compressedSize modifiedAt } } } }";

async fn all_members(archive: &Archive, revision: &str) -> anyhow::Result<Vec<Value>> {
    let (mut members, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "id": revision, "first": FIRST_MAX, "after": after });
        let mut found = archive.query(MEMBERS, variables).await?;
        let mut page = take(&mut take(&mut found, "revision"), "members");
        let Value::Array(rows) = take(&mut page, "nodes") else { bail!("the answer has no members") };
        members.extend(rows);
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] != true {
            return Ok(members);
        }
    }
}

/// The files of the publications that are found.
pub(super) async fn list(
    remote: &Remote,
    search: Option<&str>,
    place: Place,
    filter: &FilterOptions,
) -> anyhow::Result<FileList> {
    let mut parameters = filter.parameters(search);
    if place == Place::Content {
        parameters.push(("in", "content".to_owned()));
    }
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let response = remote.get_as(&["export", "files.ndjson"], &parameters, "application/x-ndjson").await?;
    FileList::received(response.bytes_stream().map_err(Remote::broken_off)).await
}

impl FileSource for Remote {
    fn open<'a>(&'a self, file: &'a ListedFile) -> BoxFuture<'a, Result<SourceBytes, NotRead>> {
        Box::pin(async move {
            let revision = file.revision.to_string();
            // An instance that is away is not asked for the next file.
            let response = self.try_get(&["files", &revision]).await.map_err(NotRead::Stop)?;
            let is_of_this_file = matches!(response.status(), StatusCode::GONE | StatusCode::NOT_FOUND)
                || response.status().is_server_error();
            if response.status().is_success() {
                return Ok(checked(response, self.address().to_owned(), file.digest));
            }
            let refusal = self.refusal(response).await;
            Err(if is_of_this_file { NotRead::File(refusal.to_string()) } else { NotRead::Stop(refusal) })
        })
    }
}

/// The bytes, with an error at their end if they are not those of the file.
fn checked(response: Response, address: String, expected: Digest) -> SourceBytes {
    let bytes = response.bytes_stream().map_err(|e| NotRead::File(format!("{:#}", Remote::broken_off(e))));
    futures_util::stream::try_unfold((bytes, Hasher::default()), move |(mut bytes, mut hasher)| {
        let address = address.clone();
        async move {
            match bytes.try_next().await? {
                Some(piece) => {
                    hasher.update(&piece);
                    Ok(Some((piece, (bytes, hasher))))
                }
                None if hasher.finish() == expected => Ok(None),
                None => Err(NotRead::File(other_bytes(&address, expected))),
            }
        }
    })
    .boxed()
}

fn other_bytes(address: &str, expected: Digest) -> String {
    say!("cli-get-other-bytes", address = address, sha256 = expected.to_string())
}
