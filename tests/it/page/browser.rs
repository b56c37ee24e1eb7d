//! The page in Chromium, as readers use it. `axe` checks accessibility where ACERVO_TEST_AXE names `axe.min.js`.
use fantoccini::key::Key;
use serde_json::Value;

use crate::harness::browser::{Browser, BrowserOptions};
use crate::harness::samples::{product, replace, zip};
use crate::harness::{Options, TestApp, sha256};

/// An archive that needs no key, with 30 products, one of them with two revisions.
async fn archive() -> TestApp {
    let values = vec![("api.token", String::new())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    for number in 2..=30 {
        let name = format!("Previsão de Vazões {number:02}");
        let content = format!("posto;vazão\r\n{number};12,5\r\n");
        app.portal.add(product(number, &name, &format!("vazoes_{number}.csv"), content));
    }
    app.portal.enviar_tudo().await;
    let deck = |value: &str| {
        zip(&[
            ("dadger.rv0", format!("UH  1    1      {value}\r\nUH  2    1      20.00\r\n").as_bytes()),
            ("relatorio/pagina.html", b"<!doctype html><script>document.title = 'run'</script>"),
        ])
    };
    app.portal.add(product(1, "Decks do DECOMP", "deck.zip", deck("34.39")));
    app.archive(1).await;
    app.portal.change(1, |product| replace(product, deck("34.40")));
    app.archive(1).await;
    app.settled(31).await;
    app
}

/// No violation on the view that is open, by the rules of axe-core.
async fn check_accessibility(browser: &Browser, name: &str) {
    let Some(path) = std::env::var_os("ACERVO_TEST_AXE") else {
        eprintln!("axe-core: ACERVO_TEST_AXE does not name it, so {name} was not checked");
        return;
    };
    let axe = std::fs::read_to_string(path).expect("axe-core");
    browser.run(&axe).await;
    let script = "const done = arguments[arguments.length - 1];
        axe.run().then(found => done(found.violations.map(one =>
            `${one.id}: ${one.nodes.map(node => node.html + ' ' + node.failureSummary).slice(0, 3).join(' | ')}`)))";
    let found = browser.client.execute_async(script, Vec::new()).await.expect("axe");
    assert_eq!(found, Value::Array(Vec::new()), "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn a_reader_searches_narrows_down_pages_and_downloads() {
    let app = archive().await;
    let browser = Browser::start(BrowserOptions::default()).await;
    browser.open(&app.url).await;
    browser.sees("30 publicações").await;
    check_accessibility(&browser, "search").await;

    // By keyboard alone: `/`, words with accents in pieces, a completion.
    browser.find("body").await.send_keys("/").await.expect("keys");
    browser.client.active_element().await.expect("the box").send_keys("previsão de vaz").await.expect("keys");
    browser.wait(".suggestions li").await;
    browser.client.active_element().await.expect("the box").send_keys(&Key::Enter.to_string()).await.expect("keys");
    browser.sees("29 publicações").await;
    let box_ = browser.find("#search").await;
    box_.send_keys(&Key::Down.to_string()).await.expect("keys");
    let row = browser.client.active_element().await.expect("a row");
    assert!(row.text().await.expect("text").starts_with("Previsão de Vazões"));

    browser.click("a[rel=next]").await;
    browser.wait("a[rel=prev]").await;
    assert_eq!(browser.run("return document.querySelectorAll('tbody tr').length").await, 4);

    // A facet, and the condition that it became.
    browser.open(&app.url).await;
    browser.click(".facet a[href*='extension=zip']").await;
    browser.sees("1 publicação").await;
    browser.wait(".chosen a").await;
    check_accessibility(&browser, "facet").await;

    // The file that the link leads to is the one that was published.
    let script = "const done = arguments[arguments.length - 1];
        fetch(document.querySelector('a.download').href).then(it => it.arrayBuffer())
            .then(bytes => crypto.subtle.digest('SHA-256', bytes))
            .then(digest => done([...new Uint8Array(digest)].map(b => b.toString(16).padStart(2, '0')).join('')))";
    let digest = browser.client.execute_async(script, Vec::new()).await.expect("a digest");
    let data = app.query("{ publications(search: \"deck\") { nodes { sha256 } } }").await;
    assert_eq!(digest, data["publications"]["nodes"][0]["sha256"]);

    // The archive before it had anything.
    browser.open(&format!("{}/?asOf=2001-01-01", app.url)).await;
    browser.sees("Nada encontrado").await;
    browser.follow("EN").await;
    browser.sees("Nothing matches").await;
    browser.open(&app.url).await;
    browser.sees("30 publications").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn a_reader_sees_a_product_its_revisions_and_what_changed() {
    let app = archive().await;
    let browser = Browser::start(BrowserOptions::default()).await;
    browser.open(&format!("{}/products?name=decomp", app.url)).await;
    check_accessibility(&browser, "products").await;
    browser.follow("Decks do DECOMP").await;
    browser.wait(".calendar svg path.s-archived").await;
    browser.wait(".plots svg").await;
    check_accessibility(&browser, "product").await;
    browser.follow("20/02/2025").await;
    browser.sees("Revisão 2").await;
    check_accessibility(&browser, "publication").await;
    browser.click("form.compare button").await;
    browser.sees("1 alterado").await;
    check_accessibility(&browser, "compare").await;
    browser.follow("dadger.rv0").await;
    browser.sees("+UH  1    1      34.40").await;
    check_accessibility(&browser, "lines").await;
    browser.follow("deck.zip").await;
    browser.sees("2 membros").await;
    browser.follow("dadger.rv0").await;
    browser.sees("UH  2    1      20.00").await;
    check_accessibility(&browser, "file").await;
    // A published page is shown as text.
    browser.follow("pagina.html").await;
    browser.sees("document.title = 'run'").await;
    assert_ne!(browser.client.title().await.expect("a title"), "run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn views_fit_a_phone_and_need_no_javascript() {
    let app = archive().await;
    let options = BrowserOptions { width: 390, height: 844, javascript: false, ..BrowserOptions::default() };
    let browser = Browser::start(options).await;
    // No view is wider than the screen. Scripts of the driver run where those of pages do not.
    let fits = async |name: &str| {
        let wide = browser.run("return document.documentElement.scrollWidth > innerWidth").await;
        assert_eq!(
            wide,
            false,
            "{name}: {}",
            browser.run("return [document.documentElement.scrollWidth, innerWidth]").await
        );
    };
    browser.open(&app.url).await;
    fits("search").await;
    browser.find("#search").await.send_keys("decomp").await.expect("keys");
    browser.click("form.search button").await;
    browser.sees("1 publicação").await;
    assert!(browser.run("return document.querySelector('.suggestions')").await.is_null());
    browser.follow("Decks do DECOMP").await;
    browser.sees("Revisão 2").await;
    fits("publication").await;
    browser.click("form.compare button").await;
    browser.sees("1 alterado").await;
    fits("compare").await;
    browser.follow("deck.zip").await;
    browser.follow("dadger.rv0").await;
    browser.sees("34.39").await;
    fits("file").await;
    browser.click(".crumbs a").await;
    browser.wait(".calendar svg").await;
    fits("product").await;
    let href = browser.find("a.download").await.attr("href").await.expect("an attribute").expect("an address");
    let bytes = app.get(&href).await.bytes().await.expect("bytes");
    let data = app.query("{ publications(search: \"deck\") { nodes { sha256 } } }").await;
    assert_eq!(sha256(&bytes), data["publications"]["nodes"][0]["sha256"]);
}

/// Without JavaScript: a form that narrows a long list, words that unfold their meaning, and an address that leads nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn a_reader_filters_members_and_unfolds_what_words_mean() {
    let values = vec![("api.token", String::new())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    let names: Vec<String> = (1..=40).map(|number| format!("Casos/rel_{number:02}.dat")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"UH 1\r\n"[..])).collect();
    app.portal.add(product(1, "Casos do estudo", "casos.zip", zip(&members)));
    let revision = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    let file = format!("{}/revisions/{revision}", app.url);
    for javascript in [false, true] {
        let options = BrowserOptions { width: 390, height: 844, javascript, ..BrowserOptions::default() };
        let browser = Browser::start(options).await;
        browser.open(&file).await;
        browser.sees("40 membros").await;
        browser.find("#search").await.send_keys("rel_07").await.expect("keys");
        browser.click("form.filter button").await;
        browser.sees("1 de 40 membros").await;
        browser.follow("rel_07.dat").await;
        browser.sees("UH 1").await;
        browser.sees("1 de 40 membros").await;
        let wide = browser.run("return document.documentElement.scrollWidth > innerWidth").await;
        assert_eq!(wide, false);
        if javascript {
            check_accessibility(&browser, "filter").await;
        }
        browser.follow("Mostrar todos").await;
        browser.sees("40 membros").await;
        browser.open(&format!("{}/products", app.url)).await;
        browser.click(".states summary").await;
        browser.sees("O arquivo costuma ter chegado a esta hora.").await;
        if javascript {
            check_accessibility(&browser, "states").await;
        }
        browser.open(&format!("{}/nada/aqui", app.url)).await;
        browser.sees("Não encontrado").await;
        if javascript {
            check_accessibility(&browser, "nothing").await;
        }
    }
}
