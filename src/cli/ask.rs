//! The archive that a command asks: the one on this machine, or, with `--url`, a remote instance. Both answer the same GraphQL.
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use async_graphql::{Executor, Request, Variables};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::language::say;
use super::{Usage, output};
use crate::config::Settings;
use crate::graphql::{self, CheckedSchema};
use crate::jobs;
use crate::query::Queries;

/// How long a remote instance may take to accept a connection, and to send the next part of a response.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest key file: a key has 50 characters.
const KEY_BYTES_MAX: u64 = 4 << 10;

/// Which instance to ask.
#[derive(clap::Args)]
pub(super) struct RemoteArgs {
    /// Ask the instance at this address instead of the archive on this machine: search, get, diff, status, coverage [ACERVO_URL]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The key for it. Other users of this machine can see it: prefer --key-file or ACERVO_KEY
    #[arg(long, global = true, value_name = "KEY", conflicts_with = "key_file", hide_default_value = true)]
    key: Option<String>,
    /// The file with the key for it [ACERVO_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// The remote instance, if one is named. Flags override the environment.
    pub fn remote(self, environment: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Remote>> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let Some(url) = self.url.or_else(|| variable("ACERVO_URL")) else {
            if self.key.is_some() || self.key_file.is_some() {
                return Err(Usage(say!("cli-remote-no-url")).into());
            }
            return Ok(None);
        };
        let key = match (self.key, self.key_file) {
            (Some(key), _) => Some(key),
            (None, Some(file)) => Some(read_key(&file)?),
            (None, None) => match (variable("ACERVO_KEY"), variable("ACERVO_KEY_FILE")) {
                (Some(key), _) => Some(key),
                (None, Some(file)) => Some(read_key(&PathBuf::from(file))?),
                (None, None) => None,
            },
        };
        Remote::new(&url, key.map(SecretString::from)).map(Some)
    }

    /// Whether a remote instance is named on the command line.
    pub fn is_named(&self) -> bool {
        self.url.is_some()
    }
}

fn read_key(file: &std::path::Path) -> anyhow::Result<String> {
    use std::io::Read;
    let unreadable = || say!("cli-remote-key-file", path = file.display().to_string());
    let opened = std::fs::File::open(file).with_context(unreadable)?;
    let mut text = String::new();
    opened.take(KEY_BYTES_MAX).read_to_string(&mut text).with_context(unreadable)?;
    let key = text.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(Usage(say!("cli-remote-key-lines", path = file.display().to_string())).into());
    }
    Ok(key.to_owned())
}

/// A remote instance. Its key is in no message and no log.
pub(super) struct Remote {
    base: Url,
    key: Option<SecretString>,
    client: reqwest::Client,
}

impl Remote {
    fn new(url: &str, key: Option<SecretString>) -> anyhow::Result<Self> {
        let wrong = |problem: &str| Usage(say!("cli-remote-url", problem = problem));
        let mut base = Url::parse(url).map_err(|_| wrong("invalid"))?;
        if !matches!(base.scheme(), "https" | "http") || !base.has_host() {
            return Err(wrong("scheme").into());
        }
        // These may hold a key, so the message does not repeat them.
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(wrong("more").into());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let is_local = base.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        if base.scheme() == "http" && key.is_some() && !is_local {
            let text = say!("cli-remote-unencrypted", address = base.as_str());
            output::print_message(&say!("cli-warning", text = text));
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A key is sent to the address that the user named, and to no other.
            .redirect(Policy::none());
        let client = if is_local { client.no_proxy() } else { client };
        Ok(Self { base, key, client: client.build()? })
    }

    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends a request with the key. An answer other than a success is an error that says what helps.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = self.answer(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// The answer to a request with the key, whatever its status.
    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        };
        request.send().await.map_err(|e| self.unreachable(e))
    }

    /// What an answer other than a success means, and what helps.
    pub async fn refusal(&self, response: Response) -> anyhow::Error {
        let (address, status) = (self.address(), response.status());
        if status.is_redirection() {
            return anyhow!(say!("cli-remote-redirect", address = address, status = status.to_string()));
        }
        let body = response.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let detail = body["detail"].as_str().or_else(|| body["errors"][0]["message"].as_str());
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        match (status, &self.key) {
            (StatusCode::UNAUTHORIZED, None) => {
                anyhow!(say!("cli-remote-needs-key", address = address))
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                anyhow!(say!("cli-remote-wrong-key", address = address, detail = detail))
            }
            _ => anyhow!(say!("cli-remote-answers", address = address, status = status.to_string(), detail = detail)),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        // Without its own address, which is named already.
        anyhow::Error::new(error.without_url()).context(say!("cli-remote-unreachable", address = self.address()))
    }

    async fn query(&self, document: &str, variables: Value) -> anyhow::Result<Value> {
        let body = json!({ "query": document, "variables": variables }).to_string();
        let request = self.client.post(self.base.join("graphql")?).header(CONTENT_TYPE, "application/json").body(body);
        let text = self.send(request).await?.text().await.map_err(|e| self.unreachable(e))?;
        self.parsed(&text)
    }

    /// A response of JSON.
    pub fn parsed(&self, text: &str) -> anyhow::Result<Value> {
        serde_json::from_str(text).with_context(|| say!("cli-remote-not-acervo", address = self.address()))
    }

    /// A response that ended too soon.
    pub fn broken_off(error: reqwest::Error) -> anyhow::Error {
        anyhow::Error::new(error.without_url()).context(say!("cli-get-broke-off"))
    }

    /// The bytes at a path, as they are.
    pub async fn get(&self, segments: &[&str]) -> anyhow::Result<Response> {
        self.send(self.request(segments, &[])).await
    }

    /// The same, whatever the status of the answer.
    pub async fn try_get(&self, segments: &[&str]) -> anyhow::Result<Response> {
        self.answer(self.request(segments, &[])).await
    }

    /// What is at a path with these parameters, as this media type.
    pub async fn get_as(
        &self,
        segments: &[&str],
        parameters: &[(&str, &str)],
        media: &str,
    ) -> anyhow::Result<Response> {
        self.send(self.request(segments, parameters).header(ACCEPT, media)).await
    }

    fn request(&self, segments: &[&str], parameters: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        self.client.get(url).header(ACCEPT_ENCODING, "identity")
    }

    /// Whether the instance can accept notifications, and if not, why.
    pub async fn readiness(&self) -> anyhow::Result<Result<(), String>> {
        let response = self.client.get(self.base.join("readyz")?).send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Ok(()));
        }
        let body: Value = serde_json::from_str(&response.text().await.unwrap_or_default()).unwrap_or_default();
        Ok(Err(body["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned)))
    }
}

/// The archive that a command asks.
pub(super) enum Archive {
    Local(Box<CheckedSchema>),
    Remote(Remote),
}

impl Archive {
    /// The remote instance, or else the archive on this machine with its index up to date, also that of the text inside files if it is
    /// `with_contents`.
    pub async fn open(remote: Option<Remote>, settings: Settings, with_contents: bool) -> anyhow::Result<Self> {
        if let Some(remote) = remote {
            return Ok(Self::Remote(remote));
        }
        let app = super::open(settings).await?;
        // Without a server nothing else updates the index.
        jobs::catch_up(&app).await?;
        if with_contents {
            jobs::catch_up_content(&app).await?;
        }
        let queries = Queries::new(app.clone());
        Ok(Self::Local(Box::new(graphql::schema(&app, &queries))))
    }

    /// The data of a query; its error is the error of the command.
    pub async fn query(&self, document: &str, variables: Value) -> anyhow::Result<Value> {
        let mut answer = match self {
            Self::Remote(remote) => remote.query(document, variables).await?,
            Self::Local(schema) => {
                let request = Request::new(document).variables(Variables::from_json(variables));
                serde_json::from_slice(&graphql::to_json(&schema.execute(request).await)?)?
            }
        };
        if let Some(message) = answer["errors"][0]["message"].as_str() {
            bail!("{message}");
        }
        Ok(take(&mut answer, "data"))
    }
}

/// A field of an object, which is not in it afterwards; null where there is none.
pub(super) fn take(object: &mut Value, field: &str) -> Value {
    object.get_mut(field).map_or(Value::Null, Value::take)
}
