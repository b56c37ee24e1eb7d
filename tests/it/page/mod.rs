//! The page over HTTP: what every view keeps to, and the search. In a browser: `browser`.
mod browser;
mod views;
mod words;

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::harness::samples::product;
use crate::harness::{KEY, Options, TestApp};

/// A response with its text.
struct Shown {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Shown {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The text without its tags, entities and white space: as it is read.
    fn words(&self) -> String {
        let mut text = String::new();
        for piece in self.text.split('<') {
            text.push(' ');
            text.push_str(piece.split_once('>').map_or("", |(_, after)| after));
        }
        let text = html_escape::decode_html_entities(&text).into_owned();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The addresses of links that begin so.
    fn links(&self, start: &str) -> Vec<String> {
        let hrefs = self.text.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"'));
        let decoded = hrefs.map(|(href, _)| html_escape::decode_html_entities(href).into_owned());
        decoded.filter(|href| href.starts_with(start)).collect()
    }
}

async fn show(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Shown {
    let response = app.get_with(path, headers).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Shown { status, headers, text: response.text().await.expect("text") }
}

const PT: [(&str, &str); 1] = [("accept-language", "pt-BR,pt;q=0.9,en;q=0.8")];
const EN: [(&str, &str); 1] = [("accept-language", "en")];

/// Ids of messages, such as `search-title`, without those of one word, which occur in pages as words.
fn message_ids() -> BTreeSet<&'static str> {
    let ids = include_str!("../../../src/lang/en/page.ftl").lines().filter_map(|line| line.split_once(" ="));
    ids.map(|(id, _)| id).filter(|id| id.contains('-') && !id.starts_with(['#', ' ', '['])).collect()
}

/// What every view keeps to: its policy, nothing from elsewhere, nothing inline, one language.
fn check_view(shown: &Shown, path: &str, lang: &str) {
    assert_eq!(shown.header("content-type"), "text/html; charset=utf-8", "{path}");
    let policy = shown.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(shown.header("x-content-type-options"), "nosniff", "{path}");
    assert!(shown.text.contains(&format!("<html lang=\"{lang}\">")), "{path}");
    for tag in shown.text.split('<').skip(1).filter_map(|piece| piece.split_once('>')).map(|(tag, _)| tag) {
        // Without the values.
        let names = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        assert!(!names.starts_with("style") && !names.contains(" style=") && !names.contains(" on"), "{path}: {tag}");
        assert!(!tag.contains("\"javascript:"), "{path}: {tag}");
    }
    let scripts = shown.text.matches("<script").count();
    assert_eq!((scripts, shown.text.matches("<script src=\"/assets/").count()), (1, 1), "{path}");
    for source in shown.text.split(" src=\"").skip(1) {
        assert!(source.starts_with('/'), "{path}: {}", &source[..source.len().min(60)]);
    }
    for id in message_ids() {
        let places = [format!(">{id}<"), format!("\"{id}\""), format!(" {id} ")];
        assert!(!places.iter().any(|place| shown.text.contains(place)), "{path} shows the id {id}");
    }
}

/// Names that must be shown and never interpreted.
fn hostile_names() -> [String; 4] {
    [
        "<script>alert(1)</script> & \"aspas\" 'simples'".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "fatura\u{202e}fdp.exe \u{200f}مرحبا".to_owned(),
        "Ç".repeat(300),
    ]
}

async fn with_products(names: &[&str]) -> TestApp {
    let app = TestApp::start().await;
    for (number, name) in (1..).zip(names) {
        app.portal.add(product(number, name, &format!("{number}.csv"), format!("a;b\r\n{number};2\r\n")));
        app.archive(number).await;
    }
    app
}

#[tokio::test]
async fn the_search_finds_counts_and_links_in_the_language_of_the_visitor() {
    let app = with_products(&["Carga Diária", "Previsão de Vazões"]).await;
    let shown = show(&app, "/?search=vaz%C3%B5es", &PT).await;
    check_view(&shown, "/", "pt-BR");
    let words = shown.words();
    assert!(words.contains("1 publicação") && words.contains("Previsão de Vazões"), "{words}");
    assert!(words.contains("1 de 1") && words.contains("20/02/2025") && words.contains("agora"), "{words}");
    assert!(!words.contains("Carga Diária ") || words.contains("1 publicação"), "{words}");
    let download = shown.links("/files/");
    assert_eq!(download.len(), 1);
    let bytes = app.get(&download[0]).await.bytes().await.expect("bytes");
    assert_eq!(&bytes[..], b"a;b\r\n2;2\r\n");

    let shown = show(&app, "/?search=vazoes", &EN).await;
    check_view(&shown, "/", "en");
    assert!(shown.words().contains("1 publication") && shown.words().contains("2025-02-20"), "{}", shown.words());
    let nothing = show(&app, "/?search=inexistente", &PT).await;
    assert!(nothing.words().contains("Nada encontrado"), "{}", nothing.words());
}

#[tokio::test]
async fn a_language_that_was_chosen_is_remembered() {
    let app = with_products(&[]).await;
    let chosen = show(&app, "/?lang=en", &PT).await;
    assert!(chosen.text.contains("<html lang=\"en\">"));
    assert!(chosen.header("set-cookie").starts_with("lang=en; Path=/; "), "{}", chosen.header("set-cookie"));
    let later = show(&app, "/", &[PT[0], ("cookie", "other=1; lang=en")]).await;
    assert!(later.text.contains("<html lang=\"en\">") && later.header("set-cookie").is_empty());
    let first = show(&app, "/", &[]).await;
    assert!(first.text.contains("<html lang=\"pt-BR\">"), "Portuguese unless something else is asked for");
}

#[tokio::test]
async fn facets_narrow_down_and_count_what_choosing_them_would_find() {
    let app = TestApp::start().await;
    for (number, name, file, process) in [
        (1, "Carga", "a.csv", "Programação"),
        (2, "Vento", "b.csv", "Programação"),
        (3, "Vazões", "c.txt", "Operação & \"Tempo\" <Real>"),
    ] {
        let mut one = product(number, name, file, format!("{number}"));
        one.process = process.to_owned();
        app.portal.add(one);
        app.archive(number).await;
    }
    let shown = show(&app, "/", &PT).await;
    let words = shown.words();
    assert!(words.contains("Programação 2") && words.contains(".csv 2") && words.contains(".txt 1"), "{words}");
    assert!(words.contains("Arquivada 3"), "{words}");
    // A value with signs of HTML and of addresses.
    let link = shown.links("/?process=Opera").remove(0);
    let narrowed = show(&app, &link, &PT).await;
    let words = narrowed.words();
    assert!(words.contains("1 publicação") && words.contains("Operação & \"Tempo\" <Real>"), "{words}");
    // Its own facet counts what else could be chosen, the others what is left.
    assert!(words.contains("Programação 2") && words.contains(".txt 1") && !words.contains(".csv "), "{words}");
    // The condition is lifted by a link.
    assert!(narrowed.links("/").contains(&"/".to_owned()));
    let product = shown.links("/?productId=").remove(0);
    assert!(show(&app, &product, &PT).await.words().contains("1 publicação"));
    let both = show(&app, "/?extension=csv&extension=txt&status=ARCHIVED&granularity=DAY", &PT).await;
    assert!(both.words().contains("3 publicações"), "{}", both.words());
}

#[tokio::test]
async fn every_state_of_a_search_is_an_address() {
    let app = TestApp::start().await;
    let mut one = product(1, "Carga", "carga.csv", "1");
    one.versions[0].file_name = "carga.csv".to_owned();
    app.portal.add(one);
    app.archive(1).await;
    for (query, found) in [
        ("periodFrom=2025-02-20&periodTo=2025-02-20", true),
        ("periodFrom=2025-02-21", false),
        ("periodTo=2025-02-19", false),
        ("period=last-year&periodFrom=2025-02-20", true),
        ("asOf=2001-01-01", false),
        ("asOf=2999-01-01T00:00:00Z", true),
        ("orderBy=NAME_ASC", true),
        ("search=carga&in=NAMES", true),
        ("search=carga&in=CONTENT", false),
        ("search=&periodFrom=&periodTo=&asOf=&orderBy=PERIOD_DESC&utm=1", true),
    ] {
        let shown = show(&app, &format!("/?{query}"), &PT).await;
        check_view(&shown, query, "pt-BR");
        assert_eq!(shown.words().contains("1 publicação"), found, "{query}: {}", shown.words());
    }
    for query in [
        "periodFrom=20/02/2025",
        "asOf=ontem",
        "orderBy=NEWEST",
        "status=GONE",
        "in=WORDS",
        "productId=1",
        "period=soon",
    ] {
        let shown = show(&app, &format!("/?{query}"), &PT).await;
        check_view(&shown, query, "pt-BR");
        let value = query.split_once('=').expect("a value").1;
        assert_eq!(shown.status, 400, "{query}");
        assert!(shown.words().contains(&format!("“{value}”")), "{query}: {}", shown.words());
    }
    let shown = show(&app, "/?after=%3Cb%3E", &PT).await;
    check_view(&shown, "after", "pt-BR");
    assert_eq!(shown.status, 400);
}

#[tokio::test]
async fn pages_lead_on_and_back() {
    let app = TestApp::start().await;
    for number in 1..=30 {
        app.portal.add(product(number, &format!("Produto {number:02}"), "a.csv", format!("{number}")));
    }
    app.portal.enviar_tudo().await;
    app.settled(30).await;
    let titles = |shown: &Shown| {
        let words = shown.text.split("data-row><bdi>").skip(1).filter_map(|rest| rest.split_once("</bdi>"));
        words.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let first = show(&app, "/?orderBy=NAME_ASC", &PT).await;
    assert_eq!(titles(&first).len(), 25);
    let turns = |shown: &Shown, name: &str| {
        let links = shown.links("/").into_iter();
        links.filter(|href| href.contains(name) && !href.contains("lang=")).collect::<Vec<_>>()
    };
    let next = turns(&first, "after=").remove(0);
    let second = show(&app, &next, &PT).await;
    assert_eq!(titles(&second), ["26", "27", "28", "29", "30"].map(|number| format!("Produto {number}")));
    let previous = turns(&second, "before=").remove(0);
    let back = show(&app, &previous, &PT).await;
    assert_eq!(titles(&back), titles(&first));
    assert_eq!((turns(&first, "before="), turns(&second, "after=")), (vec![], vec![]));
}

#[tokio::test]
async fn a_result_is_exported_by_the_same_conditions() {
    let app = with_products(&["Carga Diária", "Previsão de Vazões"]).await;
    let shown = show(&app, "/?search=carga&extension=csv&periodFrom=2025-01-01&orderBy=NAME_ASC", &PT).await;
    let exports = shown.links("/export/");
    assert_eq!(exports.len(), 6, "{exports:?}");
    for export in &exports {
        let response = app.get(export).await;
        assert_eq!(response.status(), 200, "{export}");
    }
    let csv = exports.iter().find(|href| href.starts_with("/export/publications.csv?") && !href.contains("bom"));
    let csv = app.get(csv.expect("CSV")).await.text().await.expect("text");
    assert!(csv.contains("Carga Diária") && !csv.contains("Vazões"), "{csv}");
    let graphql = shown.links("/graphql?").remove(0);
    let data: Value = app.get(&graphql).await.json().await.expect("JSON");
    assert_eq!(data["data"]["publications"]["totalCount"], 1, "{data}");
    // What is copied runs elsewhere: it has the whole address.
    assert!(shown.words().contains(&format!("Web.Contents(\"{}/export/publications.csv?", app.url)), "{}", app.url);
}

#[tokio::test]
async fn names_from_outside_are_shown_and_never_run() {
    let names = hostile_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let app = with_products(&names).await;
    for path in ["/", "/?search=script", "/?search=%3Cscript%3E%22%27"] {
        let shown = show(&app, path, &PT).await;
        check_view(&shown, path, "pt-BR");
        assert!(!shown.text.contains("<img src=x") && !shown.text.contains("<script>"), "{path}");
        assert!(!shown.text.contains('\u{202e}'), "{path}: what changes the direction is escaped");
    }
    let words = show(&app, "/", &PT).await.words();
    assert!(words.contains(names[0]) && words.contains("\\u202e") && words.contains(names[3]), "{words}");
    let found = app.get("/suggest?prefix=scri").await;
    assert_eq!(found.headers()["content-type"], "application/json");
    let found: Value = found.json().await.expect("JSON");
    assert_eq!(found[0]["text"], names[0], "{found}");
}

#[tokio::test]
async fn suggestions_name_their_kind_and_lead_to_a_search() {
    let app = with_products(&["Previsão de Vazões"]).await;
    let response = app.get_with("/suggest?prefix=previs", &PT).await;
    let found: Value = response.json().await.expect("JSON");
    assert_eq!((&found[0]["text"], &found[0]["kind"]), (&"Previsão de Vazões".into(), &"produto".into()), "{found}");
    let href = found[0]["href"].as_str().expect("an address");
    assert!(show(&app, href, &PT).await.words().contains("Previsão de Vazões"));
    let none: Value = app.get("/suggest?prefix=").await.json().await.expect("JSON");
    assert_eq!(none, serde_json::json!([]));
}

#[tokio::test]
async fn without_a_key_the_page_says_that_one_is_needed() {
    let app = with_products(&[]).await;
    let response =
        app.client.get(format!("{}/", app.url)).header("accept-language", "pt").send().await.expect("a response");
    let shown = Shown {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("text"),
    };
    check_view(&shown, "/", "pt-BR");
    assert_eq!(shown.status, 401);
    assert!(shown.words().contains("É preciso uma chave"), "{}", shown.words());
    let challenges: Vec<_> = shown.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer"], "a browser would ask for a password by itself");
    // Its style is there all the same.
    let style = shown.links("/assets/").remove(0);
    let asset = app.client.get(format!("{}{style}", app.url)).send().await.expect("a response");
    assert_eq!(
        (asset.status().as_u16(), &asset.headers()["content-type"]),
        (200, &"text/css; charset=utf-8".parse().expect("a value"))
    );
}

#[tokio::test]
async fn a_foreign_host_sees_nothing_of_an_open_archive() {
    let values = vec![("api.token", String::new())];
    let app = TestApp::with(Options { values, ..Options::default() }).await;
    let get = |host: &'static str| app.client.get(format!("{}/", app.url)).header("host", host).send();
    assert_eq!(get("evil.example").await.expect("a response").status(), 403);
    assert_eq!(get("localhost").await.expect("a response").status(), 200);
}

#[tokio::test]
async fn the_first_page_is_small_and_assets_stay_in_the_browser() {
    let app = TestApp::start().await;
    for number in 1..=25 {
        let name = format!("Produto {number} com um nome tão longo como os da ONS costumam ser, v{}", number * 7919);
        app.portal.add(product(number, &name, &format!("Arquivo_{number}.zip"), format!("{number}")));
    }
    app.portal.enviar_tudo().await;
    app.settled(25).await;
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().expect("a client");
    let compressed = async |path: &str| {
        let request = client.get(format!("{}{path}", app.url)).bearer_auth(KEY).header("accept-encoding", "gzip");
        request.send().await.expect("a response")
    };
    let response = compressed("/").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let page = response.bytes().await.expect("bytes").len();
    let shown = show(&app, "/", &[]).await;
    let mut assets = shown.links("/assets/");
    assets.extend(shown.text.split("src=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    let assets: BTreeSet<String> = assets.into_iter().collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    let mut sum = page;
    for asset in &assets {
        let response = compressed(asset).await;
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        sum += response.bytes().await.expect("bytes").len();
    }
    assert!(sum < 60_000, "{sum} bytes, {page} of them for the page itself");
    assert_eq!(app.get("/assets/0123456789abcdef.css").await.status(), 404);
}
