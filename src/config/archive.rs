//! `archive_url`: where the archive is.
use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::layers::Layers;

/// Where an archive is.
#[derive(Clone, Debug)]
pub enum ArchiveLocation {
    Folder(PathBuf),
    Bucket(Bucket),
}

/// A bucket of an S3-compatible service, and how it is reached.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub name: String,
    /// Of all keys; empty, or without a slash at its ends.
    pub prefix: String,
    /// The variables of [`VARIABLES`] that are set. Some are secret.
    pub variables: Vec<(String, SecretString)>,
}

/// The variables of the environment that say how an S3-compatible service is reached, as the tools of AWS name them.
pub const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
    "AWS_IMDSV1_FALLBACK",
    "AWS_SKIP_SIGNATURE",
    "AWS_UNSIGNED_PAYLOAD",
    "AWS_REQUEST_PAYER",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
];

impl fmt::Display for ArchiveLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(Bucket { name, prefix, .. }) if prefix.is_empty() => write!(f, "s3://{name}"),
            Self::Bucket(Bucket { name, prefix, .. }) => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

impl ArchiveLocation {
    /// The folder, if it is in one.
    pub fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Bucket(_) => None,
        }
    }
}

pub(super) fn read(layers: &mut Layers) -> Option<ArchiveLocation> {
    let mut location = layers.get("archive_url", parse)?;
    if let ArchiveLocation::Bucket(bucket) = &mut location {
        bucket.variables = std::mem::take(&mut layers.aws);
    }
    Some(location)
}

fn parse(value: &str) -> Result<ArchiveLocation, String> {
    let wrong = || {
        format!(
            "`{value}` is not a valid address of an archive; expected one such as \"file:///srv/acervo\" or \"s3://bucket/prefix\""
        )
    };
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    match url.scheme() {
        "file" => url.to_file_path().map(ArchiveLocation::Folder).map_err(|()| {
            format!("`{value}` does not name a local folder; expected one such as \"file:///srv/acervo\"")
        }),
        "s3" => bucket(value, &url).map(ArchiveLocation::Bucket),
        _ => Err(wrong()),
    }
}

fn bucket(value: &str, url: &url::Url) -> Result<Bucket, String> {
    if !url.username().is_empty() || url.password().is_some() {
        // The value has a secret, so it is not repeated.
        return Err("contains credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead".to_owned());
    }
    let has_more = url.port().is_some() || url.query().is_some() || url.fragment().is_some();
    let name = url.host_str().filter(|name| !name.is_empty() && !has_more);
    let Some(name) = name else {
        return Err(format!(
            "`{value}` is not a valid address of a bucket; expected one such as \"s3://bucket/prefix\""
        ));
    };
    let prefix = url.path().trim_matches('/');
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '='))
            && part != "."
            && part != ".."
    };
    if !prefix.is_empty() && !prefix.split('/').all(is_plain) {
        return Err(format!(
            "`{value}` has a prefix that is not valid; expected letters, digits, `-`, `_`, `.` and `=`, such as \"s3://bucket/acervo\""
        ));
    }
    Ok(Bucket { name: name.to_owned(), prefix: prefix.to_owned(), variables: Vec::new() })
}
