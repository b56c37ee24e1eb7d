//! Hooks that send e-mail.
use std::fmt;

use secrecy::SecretString;
use url::Url;

use super::required;
use crate::config::layers::Layers;
use crate::config::values::{self, Problem};
use crate::domain::{HookEvent, Template, TemplateFormat};

/// Mailboxes, and the server that takes mail for them.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub server: MailServer,
    pub credentials: Option<(SecretString, SecretString)>,
    pub from: MailAddress,
    pub to: Vec<MailAddress>,
    pub subject: Template,
    /// The text, if the hook has no template.
    pub text: Template,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// Loopback and private addresses are allowed.
    pub allow_private: bool,
}

/// How a connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From its beginning.
    Implicit,
    /// By STARTTLS, or not at all: then nothing is sent.
    StartTls,
    /// Never, for a server of the same machine or network.
    None,
}

/// The address of a person or a list, which is never shown.
#[derive(Clone)]
pub struct MailAddress(lettre::message::Mailbox);

impl MailAddress {
    /// The address, for the mail alone.
    pub fn expose(&self) -> &lettre::message::Mailbox {
        &self.0
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailAddress([REDACTED])")
    }
}

const SUBJECT: &str = "{% if data.name is defined %}{{ data.name }}{% else %}{{ data.source }}{% endif %}\
    {% if data.referenceDate is defined %} {{ data.referenceDate }}{% endif %}: {{ type }}";

const TEXT: &str =
    "{{ type }}, {{ timestamp|local }}\n\n{% for field in data|items %}{{ field[0] }}: {{ field[1] }}\n{% endfor %}";

/// `None` if something is missing or invalid, which has been noted.
pub(super) fn mailbox(layers: &mut Layers, key: &str, events: &[HookEvent]) -> Option<Mailbox> {
    let of = |name: &str| format!("{key}.{name}");
    let server = server(layers, key);
    let user = layers.secret(&of("smtp_user"), values::credential);
    let password = layers.secret_or_file(&of("smtp_password"), values::credential);
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user.into(), password.into())),
        (None, None) => None,
        (Some(_), None) => {
            layers
                .problems
                .push(Problem::new(&of("smtp_password"), "is missing; a user needs one, or smtp_password_file"));
            None
        }
        (None, Some(_)) => {
            layers.problems.push(Problem::new(&of("smtp_user"), "is missing; a password needs one"));
            None
        }
    };
    let from =
        required(layers, &of("from"), "give the address that mails come from", |layers, key| layers.get(key, address));
    let to = layers.list(&of("to"), address);
    if to.is_empty() && layers.problems.iter().all(|problem| problem.key != of("to")) {
        layers.problems.push(Problem::new(&of("to"), "is missing; give at least one address"));
    }
    let subject = super::template(layers, &of("subject"), TemplateFormat::Text, events);
    let subject = subject.or_else(|| Template::parse(SUBJECT, TemplateFormat::Text).ok());
    let text = Template::parse(TEXT, TemplateFormat::Text).ok();
    Some(Mailbox { server: server?, credentials, from: from?, to, subject: subject?, text: text? })
}

fn server(layers: &mut Layers, key: &str) -> Option<MailServer> {
    let of = |name: &str| format!("{key}.{name}");
    let allow_private = layers.get(&of("allow_private"), values::flag).unwrap_or_default();
    let starttls = layers.get(&of("starttls"), values::flag).unwrap_or(true);
    let url =
        required(layers, &of("smtp"), "give the mail server, such as \"smtps://mail.example.com\"", |layers, key| {
            layers.get(key, url)
        })?;
    let tls = match (url.scheme(), starttls) {
        ("smtps", _) => SmtpTls::Implicit,
        (_, true) => SmtpTls::StartTls,
        (_, false) => SmtpTls::None,
    };
    if tls == SmtpTls::None && !allow_private {
        let message = "is false, so mails would be sent unencrypted; that needs `allow_private = true`";
        layers.problems.push(Problem::new(&of("starttls"), message));
    }
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port().unwrap_or(if tls == SmtpTls::Implicit { 465 } else { 587 });
    Some(MailServer { host, port, tls, allow_private })
}

/// The messages do not repeat the value: it may contain a password.
fn url(value: &str) -> Result<Url, String> {
    let wrong = || {
        "is not a valid address; expected one such as \"smtps://mail.example.com\" or \"smtp://mail.example.com:587\""
            .to_owned()
    };
    let url = Url::parse(value).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "smtp" | "smtps") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user or a password; give them as smtp_user and smtp_password".to_owned());
    }
    Ok(url)
}

fn address(value: &str) -> Result<MailAddress, String> {
    let parsed = value.parse().map(MailAddress);
    parsed.map_err(|_| "is not a valid mail address; expected one such as \"Dados <dados@example.com>\"".to_owned())
}
