//! Messages by e-mail.
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{Delivered, Message, SendError};
use crate::config::{MailServer, Mailbox, SmtpTls};
use crate::domain::redacted;
use crate::engine::outgoing::{GuardedResolver, PrivateAddress, causes};

/// Sends messages to some mailboxes, through one mail server.
pub(super) struct MailSender {
    mailbox: Mailbox,
    timeout: Duration,
}

impl MailSender {
    pub fn new(mailbox: &Mailbox, timeout: Duration) -> Self {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { mailbox: mailbox.clone(), timeout }
    }

    pub async fn send(&self, message: &Message, now: Timestamp) -> Result<Delivered, SendError> {
        let mail = self.mail(message, now)?;
        let sent = tokio::time::timeout(self.timeout, self.send_mail(mail)).await;
        sent.map_err(|_| SendError::TimedOut { timeout: self.timeout })??;
        Ok(Delivered { status: None })
    }

    async fn send_mail(&self, mail: lettre::Message) -> Result<(), SendError> {
        let transport = self.transport().await?;
        transport.send(mail).await.map(|_| ()).map_err(|e| match e.status() {
            Some(code) => SendError::Mail { code: code.to_string() },
            None => SendError::Network(redacted(&causes(&e))),
        })
    }

    fn mail(&self, message: &Message, now: Timestamp) -> Result<lettre::Message, SendError> {
        let invalid = |_| SendError::SetUp("the mail cannot be written".to_owned());
        let from = self.mailbox.from.expose();
        let mut mail = lettre::Message::builder()
            .from(from.clone())
            .subject(message.subject.as_deref().unwrap_or("Acervo"))
            .date(UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)))
            // The same for each attempt, so that a mail that arrives twice is recognised.
            .message_id(Some(format!("<{}@{}>", message.id, from.email.domain())));
        for to in &self.mailbox.to {
            mail = mail.to(to.expose().clone());
        }
        mail.header(ContentType::TEXT_PLAIN).body(message.body.clone()).map_err(invalid)
    }

    /// Connects to an address that was checked: the server's name is not resolved again.
    async fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SendError> {
        let MailServer { host, port, tls, allow_private } = &self.mailbox.server;
        let resolver = GuardedResolver::new(*allow_private, None, super::ALLOW_PRIVATE);
        let addresses = resolver.addresses(host).await.map_err(|e| match PrivateAddress::cause_of(&*e) {
            Some(reason) => SendError::Guarded(reason),
            None => SendError::Network(causes(&*e)),
        })?;
        let address = addresses.first().ok_or_else(|| SendError::Network(format!("`{host}` has no address")))?;
        let parameters = || {
            TlsParameters::new(host.clone())
                .map_err(|e| SendError::SetUp(format!("TLS cannot be set up: {}", causes(&e))))
        };
        let tls = match tls {
            SmtpTls::Implicit => Tls::Wrapper(parameters()?),
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
            .port(*port)
            .tls(tls)
            .hello_name(ClientId::Domain("acervo".to_owned()))
            .timeout(Some(self.timeout));
        if let Some((user, password)) = &self.mailbox.credentials {
            transport = transport
                .credentials(Credentials::new(user.expose_secret().to_owned(), password.expose_secret().to_owned()));
        }
        Ok(transport.build())
    }
}
