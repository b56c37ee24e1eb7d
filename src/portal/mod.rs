//! portal: a simulated SINtegre, as faithful as the known facts allow.
//!
//! It has a catalogue of products, signed links that expire, the three buttons, a delivery state for each product and faults
//! on demand. It knows nothing about the archive and posts to any webhook. For the demo, for tests and for trying out a
//! configuration; never for real traffic.
mod catalogue;
mod content;
mod deliver;
mod faults;
mod product;
mod server;
mod token;
mod validators;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::domain::Clock;

pub use catalogue::{builtin, from_folder};
pub use content::{Content, Deck};
pub use deliver::{Delivery, SendResult};
pub use faults::Faults;
pub use product::{Periodicity, Product, Version};
pub use validators::Validators;

/// How long real links are valid: 24 h and a minute.
pub const LINK_LIFE: Duration = Duration::from_secs(86_640);

/// The portal's form for the webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub credentials: Credentials,
}

/// How the portal authenticates.
#[derive(Clone, Debug)]
pub enum Credentials {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    /// Bare in `Authorization`, without a scheme.
    Token(SecretString),
}

/// The settings of the portal.
#[derive(Clone, Debug)]
pub struct PortalSettings {
    pub webhook: Webhook,
    pub link_life: Duration,
    /// The subscriber named in every token.
    pub subscriber: String,
    pub clock: Clock,
}

/// A running portal; clones share it.
#[derive(Clone)]
pub struct Portal {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Mutex<PortalSettings>,
    /// `http://127.0.0.1:1234`.
    address: String,
    products: Mutex<Vec<Product>>,
    faults: Mutex<Faults>,
    /// The body for `Faults::bomb`.
    bomb: Mutex<bytes::Bytes>,
    downloads: Mutex<Vec<String>>,
    /// How many of the downloads had a body.
    bodies: AtomicU64,
    validators: Mutex<Validators>,
    key: ring::hmac::Key,
    client: reqwest::Client,
}

impl Portal {
    /// Serves a catalogue until the process ends.
    pub fn start(listener: TcpListener, settings: PortalSettings, products: Vec<Product>) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let secret: [u8; 32] = rand::random();
        let portal = Self {
            inner: Arc::new(Inner {
                settings: Mutex::new(settings),
                address: format!("http://{}", listener.local_addr()?),
                products: Mutex::new(products),
                faults: Mutex::default(),
                bomb: Mutex::default(),
                downloads: Mutex::default(),
                bodies: AtomicU64::default(),
                validators: Mutex::default(),
                key: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret),
                client: reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(100)).build()?,
            }),
        };
        let router = server::router(portal.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(portal)
    }

    /// The URL of the portal.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Changes the webhook.
    pub fn set_webhook(&self, webhook: Webhook) {
        lock(&self.inner.settings).webhook = webhook;
    }

    pub fn set_link_life(&self, life: Duration) {
        lock(&self.inner.settings).link_life = life;
    }

    /// Sets the faults of the downloads from now on.
    pub fn set_faults(&self, faults: Faults) {
        if faults.bomb > 0 {
            // Prepared now, since compressing takes a while.
            *lock(&self.inner.bomb) = server::compressed_zeros(faults.bomb).into();
        }
        *lock(&self.inner.faults) = faults;
    }

    /// Adds a product and returns its number.
    pub fn add(&self, product: Product) -> u32 {
        let number = product.number;
        lock(&self.inner.products).push(product);
        number
    }

    /// Changes a product.
    pub fn change(&self, number: u32, change: impl FnOnce(&mut Product)) -> Option<()> {
        lock(&self.inner.products).iter_mut().find(|product| product.number == number).map(change)
    }

    pub fn products(&self) -> Vec<Product> {
        lock(&self.inner.products).clone()
    }

    /// Sets which validators the portal sends from now on.
    pub fn set_validators(&self, validators: Validators) {
        *lock(&self.inner.validators) = validators;
    }

    /// How many files were sent.
    pub fn bodies(&self) -> u64 {
        self.inner.bodies.load(Ordering::SeqCst)
    }

    /// The paths of all files that were requested, in order.
    pub fn downloads(&self) -> Vec<String> {
        lock(&self.inner.downloads).clone()
    }
}

/// Locks a mutex, even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
