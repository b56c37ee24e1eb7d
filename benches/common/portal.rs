//! A simulated portal in this process.
use acervo::domain::Clock;
use acervo::portal::{Content, Credentials, Portal, PortalSettings, Webhook, builtin};
use rand::RngExt;

/// A portal whose products are files of `size` bytes, and the numbers of these products.
pub async fn portal(address: &str, files: usize, bytes: usize) -> (Portal, Vec<u32>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let clock = Clock::default();
    let now = clock.now();
    let settings = PortalSettings {
        webhook: Webhook { url: format!("http://{address}/webhook"), credentials: Credentials::None },
        link_life: acervo::portal::LINK_LIFE,
        subscriber: "x@example.com".to_owned(),
        clock,
    };
    let mut products = builtin(files, now);
    for product in &mut products {
        // All files are texts: a text with the name of a zip would be inspected and fetched twice.
        product.is_file = true;
        for version in &mut product.versions {
            version.file_name = format!("deck_{}.txt", product.number);
            version.content = Content::Bytes(deck(bytes).into());
        }
    }
    let numbers = products.iter().map(|product| product.number).collect();
    (Portal::start(listener, settings, products).expect("a portal"), numbers)
}

/// Fixed-width text with random numbers, similar to decks.
fn deck(bytes: usize) -> Vec<u8> {
    let mut random = rand::rng();
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        text.push_str(&format!(
            "{:>5} USINA{:<12}{:>10.2}{:>10.2}\r\n",
            text.len(),
            "FURNAS",
            random.random_range(0.0..9e3),
            random.random_range(0.0..9e3)
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}
