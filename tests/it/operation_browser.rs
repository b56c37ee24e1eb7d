//! Log-in, the operator's view and the editor in a browser.
use acervo::portal::Faults;
use fantoccini::key::Key;
use serde_json::json;

use crate::harness::browser::{Browser, BrowserOptions};
use crate::harness::notice::Notice;
use crate::harness::polling::Polling;
use crate::harness::samples::product;
use crate::harness::{KEY, Options, TestApp};

async fn logged_in(app: &TestApp, path: &str, options: BrowserOptions) -> Browser {
    let browser = Browser::start(options).await;
    browser.open(&format!("{}{path}", app.url)).await;
    browser.find("#key").await.send_keys(KEY).await.expect("a field");
    browser.click(".login button").await;
    browser
}

fn english() -> BrowserOptions {
    BrowserOptions { language: "en-US", ..BrowserOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn a_person_logs_in_and_out() {
    let app = TestApp::start().await;
    for javascript in [true, false] {
        let browser = Browser::start(BrowserOptions { javascript, ..BrowserOptions::default() }).await;
        browser.open(&format!("{}/operation", app.url)).await;
        browser.find("#key").await.send_keys("errada").await.expect("a field");
        browser.click(".login button").await;
        browser.sees("A chave não é conhecida aqui.").await;
        browser.find("#key").await.send_keys(KEY).await.expect("a field");
        browser.click(".login button").await;
        browser.sees("Precisa de atenção").await;
        assert_eq!(browser.client.current_url().await.expect("an address").path(), "/operation");
        let cookies = browser.client.get_all_cookies().await.expect("cookies");
        let cookie = cookies.iter().find(|cookie| cookie.name() == "acervo_session").expect("a session");
        assert_eq!(cookie.http_only(), Some(true));
        browser.click(".visitor button").await;
        browser.wait(".login").await;
        browser.open(&format!("{}/operation", app.url)).await;
        browser.wait(".login").await;
    }
}

/// A browser sends no cookie with a link from another site; the page asks again by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn a_link_from_another_site_finds_the_session() {
    let app = TestApp::start().await;
    let browser = logged_in(&app, "/query", english()).await;
    browser.sees("GraphQL query").await;
    let link = format!("{}/operation", app.url);
    browser.open(&format!("data:text/html,<a href=\"{link}\">there</a>")).await;
    browser.follow("there").await;
    browser.sees("Needs a hand").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn an_expired_notification_is_tried_again_and_the_button_is_named() {
    // A log-in must outlast the link.
    let values = vec![("api.session_lifetime", "168h".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    app.notify(&Notice::full("Vento").to_string()).await;
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    let browser = logged_in(&app, "/operation", english()).await;
    browser.sees("Links that expire next").await;
    // The view follows: nobody reloads it.
    app.app.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    browser.sees("1 publication is lost").await;
    browser.click("#lost form[action='/operation/retry'] button").await;
    browser.sees("The link has expired. Press “Enviar” for the product on the portal.").await;
    browser.click("#lost form[action='/operation/acknowledge'] button").await;
    browser.sees("1 loss is acknowledged.").await;
}

/// A table with more columns than fit is scrolled in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn the_operators_view_fits_a_phone() {
    let app = TestApp::start().await;
    app.notify(&Notice::full("Vento").to_string()).await;
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    let browser = logged_in(&app, "/operation", BrowserOptions { width: 390, ..english() }).await;
    browser.sees("Links that expire next").await;
    app.leaves_work_unsettled("the link does not expire");
    let widths = browser
        .run("const { scrollWidth, clientWidth } = document.documentElement; return [scrollWidth, clientWidth];")
        .await;
    assert_eq!(widths[0], widths[1], "{widths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn the_bar_of_a_burst_moves_and_the_first_steps_turn_green() {
    let values = vec![("fetch.concurrency", "1".to_owned()), ("fetch.concurrency_per_host", "1".to_owned())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    for number in 1..=25 {
        app.portal.add(product(number, &format!("Produto {number}"), &format!("{number}.csv"), format!("a;{number}")));
    }
    let browser = logged_in(&app, "/", BrowserOptions::default()).await;
    browser.sees("Primeiros passos").await;
    browser.find("#step-test:not([data-done])").await;
    app.portal.enviar(1).await.expect("a product");
    browser.wait("#step-file[data-done]").await;
    app.portal.set_faults(Faults { latency_ms: 150, ..Faults::default() });
    assert_eq!(app.portal.enviar_tudo().await.delivered, 25);
    browser.open(&format!("{}/operation", app.url)).await;
    // Every value that the bar has had.
    let watch = "window.seen = [];
        new MutationObserver(() => {
            const bar = document.querySelector('#bursts progress');
            if (bar && window.seen.at(-1) !== bar.value) window.seen.push(bar.value);
        }).observe(document.querySelector('#operation'), { childList: true, subtree: true, attributes: true });";
    browser.run(watch).await;
    let polling = Polling::start();
    loop {
        let seen = browser.run("return [window.seen, document.querySelector('#bursts progress')?.max];").await;
        let values = seen[0].as_array().expect("a list").len();
        if values > 2 && seen[0].as_array().and_then(|all| all.last()) == Some(&seen[1]) {
            let mut sorted: Vec<f64> =
                seen[0].as_array().expect("a list").iter().filter_map(|one| one.as_f64()).collect();
            sorted.dedup();
            assert!(sorted.is_sorted(), "{seen}");
            break;
        }
        polling.pause(|| format!("{seen}")).await;
    }
    app.settled(26).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn the_editor_completes_runs_and_copies() {
    let app = TestApp::start().await;
    app.portal.add(product(1, "Carga", "carga.csv", "a;b\r\n"));
    app.archive(1).await;
    let browser = logged_in(&app, "/query", english()).await;
    browser.wait("#editor[data-schema=loaded]").await;
    let query = browser.find("#query").await;
    browser.run("document.querySelector('#query').value = ''; document.querySelector('#variables').value = '';").await;
    query.send_keys("{ publ").await.expect("keys");
    browser.wait("#completions:not([hidden])").await;
    let first = browser.find("#completion-0").await.text().await.expect("text");
    assert!(first.starts_with("publicationStats") || first.starts_with("publication"), "{first}");
    query.send_keys("ications").await.expect("keys");
    query.send_keys("(fir").await.expect("keys");
    browser.wait("#completions:not([hidden])").await;
    query.send_keys(&Key::Enter.to_string()).await.expect("keys");
    query.send_keys("1, orderBy: SIZE").await.expect("keys");
    browser.sees("SIZE_DESC").await;
    query.send_keys(&Key::Tab.to_string()).await.expect("keys");
    query.send_keys(") { nodes { refer").await.expect("keys");
    browser.wait("#completions:not([hidden])").await;
    browser.sees("dataProduto").await;
    query.send_keys(&Key::Enter.to_string()).await.expect("keys");
    query.send_keys(" name } } }").await.expect("keys");
    let written = browser.run("return document.querySelector('#query').value;").await;
    assert_eq!(written, "{ publications(first: 1, orderBy: SIZE_DESC) { nodes { referenceDate name } } }");
    browser
        .run("document.querySelector('#query').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, bubbles: true }));")
        .await;
    browser.wait("#result[data-state=done]").await;
    browser.sees("\"Carga\"").await;
    browser.click("input[name=shape][value=table]").await;
    let head = browser.find("#shown thead").await.text().await.expect("text");
    assert_eq!(head, "referenceDate name");
    for (form, part) in
        [("curl", "curl -sS '"), ("python", "urllib.request"), ("powerquery", "Json.Document(Web.Contents(")]
    {
        browser.run(&format!("document.querySelector('#copy-form').value = '{form}';")).await;
        browser.click("#copy").await;
        browser.sees(part).await;
    }
    let shown = browser.text().await;
    assert!(!shown.contains(KEY), "no key is on the page: {shown}");
    // Escape leaves the field.
    query.send_keys(&Key::Escape.to_string()).await.expect("keys");
    query.send_keys(&Key::Escape.to_string()).await.expect("keys");
    assert_eq!(browser.run("return document.activeElement.id;").await, json!("run"));
}
