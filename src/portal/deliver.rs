//! The buttons: "Enviar", "Enviar Tudo", "Reenviar Pendentes".
use futures_util::StreamExt;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use super::token::{self, Claims};
use super::{Credentials, Portal, Product, lock};

/// The number of concurrent POSTs.
const CONCURRENCY: usize = 8;

/// The result of the last POST for a product, as "Exibir Detalhes" shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Absent if there was no response.
    pub status: Option<u16>,
    pub attempts: u32,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl Delivery {
    /// For the portal any 20x is a delivery, whether or not the file is fetched later.
    pub fn is_delivered(&self) -> bool {
        self.status.is_some_and(|status| (200..210).contains(&status))
    }
}

/// The result of a button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SendResult {
    pub sent: u32,
    pub delivered: u32,
}

impl Portal {
    /// Sends one product's last version. `None` if there is no such product, or no version of it.
    pub async fn enviar(&self, number: u32) -> Option<Delivery> {
        let product = self.products().into_iter().find(|product| product.number == number)?;
        let body = self.notification(&product)?;
        let status = self.post(&body).await;
        let mut products = lock(&self.inner.products);
        let product = products.iter_mut().find(|product| product.number == number)?;
        let attempts = product.delivery.as_ref().map_or(0, |delivery| delivery.attempts) + 1;
        let delivery = Delivery { at: self.now(), status, attempts };
        product.delivery = Some(delivery.clone());
        Some(delivery)
    }

    /// Sends the last version of every product.
    pub async fn enviar_tudo(&self) -> SendResult {
        self.send(self.products().iter().map(|product| product.number).collect()).await
    }

    /// Sends the products whose last POST did not get a 20x. For the portal a 202 is a delivery, whether or not the file was
    /// ever fetched.
    pub async fn reenviar_pendentes(&self) -> SendResult {
        let pending = |product: &&Product| product.delivery.as_ref().is_some_and(|delivery| !delivery.is_delivered());
        self.send(self.products().iter().filter(pending).map(|product| product.number).collect()).await
    }

    /// Publishes a product's next version and sends it.
    pub async fn publish(&self, number: u32) -> Option<Delivery> {
        let now = self.now();
        self.change(number, |product| product.publish(now))?;
        self.enviar(number).await
    }

    async fn send(&self, numbers: Vec<u32>) -> SendResult {
        let deliveries =
            futures_util::stream::iter(numbers).map(|number| self.enviar(number)).buffer_unordered(CONCURRENCY);
        deliveries
            .fold(SendResult::default(), |mut result, delivery| async move {
                result.sent += u32::from(delivery.is_some());
                result.delivered += u32::from(delivery.is_some_and(|delivery| delivery.is_delivered()));
                result
            })
            .await
    }

    /// The body that the portal sends for a product, with a new link.
    pub fn notification(&self, product: &Product) -> Option<String> {
        let version = product.latest()?;
        // In the order of the fields in real bodies.
        let body = json!({
            "nome": product.name,
            "processo": product.process,
            "dataProduto": version.period.reference_date(),
            "macroProcesso": product.macro_process,
            "periodicidade": version.period.start.to_string(),
            "periodicidadeFinal": version.period.end.to_string(),
            "url": self.link(product)?,
        });
        Some(body.to_string())
    }

    /// A link to a product's last version.
    pub fn link(&self, product: &Product) -> Option<String> {
        let (life, subscriber) = {
            let settings = lock(&self.inner.settings);
            (settings.link_life, settings.subscriber.clone())
        };
        let sent_at = self.now().as_second();
        let claims = Claims {
            url: product.claim_path(product.latest()?),
            username: subscriber,
            product: product.name.clone(),
            is_file: if product.is_file { "True" } else { "False" }.to_owned(),
            iss: "http://local.ons.org.br".to_owned(),
            aud: "http://local.ons.org.br".to_owned(),
            exp: sent_at.saturating_add_unsigned(life.as_secs()),
            nbf: sent_at,
        };
        let token = token::sign(&self.inner.key, &claims);
        Some(format!("{}/ONS.Sintegre.Proxy/webhook?token={token}", self.inner.address))
    }

    async fn post(&self, body: &str) -> Option<u16> {
        let webhook = lock(&self.inner.settings).webhook.clone();
        let request = self.inner.client.post(&webhook.url).header(CONTENT_TYPE, "application/json; charset=UTF-8");
        let request = match &webhook.credentials {
            Credentials::None => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password.expose_secret())),
            Credentials::Token(token) => request.header(AUTHORIZATION, token.expose_secret()),
        };
        let response = request.body(body.to_owned()).send().await;
        response.ok().map(|response| response.status().as_u16())
    }

    pub(super) fn now(&self) -> Timestamp {
        lock(&self.inner.settings).clock.now()
    }
}
