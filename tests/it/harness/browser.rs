//! A real browser: Chromium without a window, driven over WebDriver.
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::polling::Polling;

/// A browser with one window. Dropping it kills the driver, and with it the browser.
pub struct Browser {
    driver: Child,
    pub client: Client,
    _profile: tempfile::TempDir,
}

/// How the browser is set up.
#[derive(Clone, Copy)]
pub struct BrowserOptions {
    pub language: &'static str,
    pub width: u32,
    pub height: u32,
    pub javascript: bool,
}

impl Default for BrowserOptions {
    fn default() -> Self {
        Self { language: "pt-BR", width: 1280, height: 900, javascript: true }
    }
}

impl Browser {
    pub async fn start(options: BrowserOptions) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let (driver, port) = start_driver();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            format!("--lang={}", options.language),
            format!("--window-size={},{}", options.width, options.height),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let scripts = if options.javascript { 1 } else { 2 };
        let preferences = json!({
            "intl.accept_languages": options.language,
            "profile.managed_default_content_settings.javascript": scripts,
        });
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments, "prefs": preferences } });
        let Value::Object(capabilities) = capabilities else { panic!("an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.expect("a session");
        if options.width < 500 {
            // Windows are not that narrow; screens are.
            client.set_window_size(options.width, options.height).await.expect("a window");
        }
        Self { driver, client, _profile: profile }
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    pub async fn find(&self, selector: &str) -> Element {
        let found = self.client.find(Locator::Css(selector)).await;
        match found {
            Ok(found) => found,
            Err(e) => panic!("{selector}: {e}: {}", self.text().await),
        }
    }

    /// Waits until an element is there.
    pub async fn wait(&self, selector: &str) -> Element {
        let polling = Polling::start();
        loop {
            if let Ok(found) = self.client.find(Locator::Css(selector)).await {
                return found;
            }
            polling.pause(|| selector.to_owned()).await;
        }
    }

    /// Waits until an element is there, and clicks it.
    pub async fn click(&self, selector: &str) {
        self.click_on(Locator::Css(selector)).await;
    }

    /// Waits for the link with exactly this text, and follows it.
    pub async fn follow(&self, text: &str) {
        self.click_on(Locator::LinkText(text)).await;
    }

    /// A page that follows the archive may replace an element between finding and clicking it.
    async fn click_on(&self, locator: Locator<'_>) {
        let polling = Polling::start();
        loop {
            let clicked = match self.client.find(locator).await {
                Ok(found) => found.click().await,
                Err(e) => Err(e),
            };
            let Err(e) = clicked else { return };
            let shown = self.shown().await;
            polling.pause(|| format!("a click on {locator:?}: {e}: {shown:?}")).await;
        }
    }

    /// What a reader sees.
    pub async fn text(&self) -> String {
        let polling = Polling::start();
        loop {
            match self.shown().await {
                Ok(text) => return text,
                Err(e) => polling.pause(|| format!("the text of the page: {e}")).await,
            }
        }
    }

    /// The text of the page; an error while one page gives way to the next.
    async fn shown(&self) -> Result<String, CmdError> {
        self.client.find(Locator::Css("body")).await?.text().await
    }

    /// Waits until a reader sees this.
    pub async fn sees(&self, wanted: &str) {
        let polling = Polling::start();
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return;
            }
            polling.pause(|| format!("`{wanted}` in: {text}")).await;
        }
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it is asked to end.
        let _ = Command::new("kill").arg(self.driver.id().to_string()).status();
        let _ = self.driver.wait();
    }
}

/// The driver and its port. It ends at once if another process takes the port that it has chosen, on any of its addresses.
fn start_driver() -> (Child, u16) {
    for _ in 0..10 {
        let mut command = Command::new("chromedriver");
        let mut driver =
            command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("chromedriver");
        match port_of(&mut driver) {
            Some(port) => return (driver, port),
            None => driver.wait().expect("its end"),
        };
    }
    panic!("chromedriver has ended without a port ten times")
}

fn port_of(driver: &mut Child) -> Option<u16> {
    let output = BufReader::new(driver.stdout.take().expect("its output"));
    for line in output.lines() {
        let line = line.expect("a line");
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Some(port.trim_end_matches('.').parse().expect("a port"));
        }
    }
    None
}
