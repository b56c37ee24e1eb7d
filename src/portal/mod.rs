//! portal: a stand-in for SINtegre, as faithful as what is known of it allows.
//!
//! A catalogue of products, links that are signed and die, the three buttons, delivery by product, faults on demand.
//! It knows nothing of the archive: it speaks to whatever listens at the webhook's address. For the demo, for tests and
//! for trying out a configuration; never for real traffic.
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
pub use deliver::{Delivery, Sent};
pub use faults::Faults;
pub use product::{Periodicity, Product, Version};
pub use validators::Validators;

/// How real links live: 24 h and a minute.
pub const LINK_LIFE: Duration = Duration::from_secs(86_640);

/// What the webhook's form on the portal holds.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub credentials: Credentials,
}

/// How the portal shows who it is.
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

/// How the portal is set up.
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
    /// What `Faults::bomb` sends.
    bomb: Mutex<bytes::Bytes>,
    downloads: Mutex<Vec<String>>,
    /// Of these, how many were answered with a body.
    bodies: AtomicU64,
    validators: Mutex<Validators>,
    key: ring::hmac::Key,
    client: reqwest::Client,
}

impl Portal {
    /// Serves a catalogue at a listener until the process ends.
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

    /// Where the portal is.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Puts another webhook in the form.
    pub fn set_webhook(&self, webhook: Webhook) {
        held(&self.inner.settings).webhook = webhook;
    }

    pub fn set_link_life(&self, life: Duration) {
        held(&self.inner.settings).link_life = life;
    }

    /// What goes wrong with downloads from now on.
    pub fn set_faults(&self, faults: Faults) {
        if faults.bomb > 0 {
            // Made before it is asked for: it takes its time.
            *held(&self.inner.bomb) = server::packed_nothing(faults.bomb).unwrap_or_default().into();
        }
        *held(&self.inner.faults) = faults;
    }

    /// Adds a product and gives its number.
    pub fn add(&self, product: Product) -> u32 {
        let number = product.number;
        held(&self.inner.products).push(product);
        number
    }

    /// Changes a product.
    pub fn change(&self, number: u32, change: impl FnOnce(&mut Product)) -> Option<()> {
        held(&self.inner.products).iter_mut().find(|product| product.number == number).map(change)
    }

    pub fn products(&self) -> Vec<Product> {
        held(&self.inner.products).clone()
    }

    /// What the portal says of its files from now on, to be asked with.
    pub fn set_validators(&self, validators: Validators) {
        *held(&self.inner.validators) = validators;
    }

    /// How many files were sent, and not only asked for.
    pub fn bodies(&self) -> u64 {
        self.inner.bodies.load(Ordering::SeqCst)
    }

    /// The paths of all files that were asked for, in order.
    pub fn downloads(&self) -> Vec<String> {
        held(&self.inner.downloads).clone()
    }
}

/// A lock whose holder panicked holds what it held: the stand-in goes on.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
