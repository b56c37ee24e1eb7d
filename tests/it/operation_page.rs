//! The operator's views: what they show, what their forms do and for whom; the first steps; the editor of queries.
use std::collections::BTreeSet;
use std::time::Duration;

use acervo::config::hash_of_key;
use reqwest::Response;
use serde_json::json;

use crate::harness::notice::Notice;
use crate::harness::samples::{product, replace};
use crate::harness::visitor::Visitor;
use crate::harness::{Db, Options, PATIENCE, TestApp, on_each_database, postgres};

const DAY: Duration = Duration::from_secs(2 * 86_400);
const EN: (&str, &str) = ("accept-language", "en");

/// A service with a key of each role, named after it.
async fn service(values: Vec<(&'static str, String)>, db: Db) -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let key =
        |role: &str| format!("[[api.keys]]\nname = \"{role}\"\nrole = \"{role}\"\nhash = \"{}\"\n", hash_of_key(role));
    let config = folder.path().join("keys.toml");
    std::fs::write(&config, format!("{}{}{}", key("reader"), key("operator"), key("admin"))).expect("a file");
    let options = Options { values, config: Some(config), database_url: postgres::database(db), ..Options::default() };
    (TestApp::with(options).await, folder)
}

/// The text of a page without its tags.
fn words(page: &str) -> String {
    let mut text = String::new();
    for piece in page.split('<') {
        text.push(' ');
        text.push_str(piece.split_once('>').map_or("", |(_, after)| after));
    }
    let text = html_escape::decode_html_entities(&text).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What every view keeps to: nothing inline, nothing from elsewhere, one language and no id of a message.
async fn view(visitor: &Visitor, path: &str, lang: &str) -> String {
    let response = visitor.get_with(path, &[("accept-language", lang)]).await;
    assert_eq!(response.status(), 200, "{path}");
    let policy = response.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("script-src 'self'; style-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let page = response.text().await.expect("text");
    assert!(page.contains(&format!("<html lang=\"{lang}\">")), "{path}");
    for tag in page.split('<').skip(1).filter_map(|piece| piece.split_once('>')).map(|(tag, _)| tag) {
        let names = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        assert!(!names.starts_with("style") && !names.contains(" style=") && !names.contains(" on"), "{path}: {tag}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/assets/").count(), "{path}");
    let ids = [include_str!("../../src/lang/en/operation.ftl"), include_str!("../../src/lang/en/page.ftl")];
    let ids: BTreeSet<&str> = ids
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split_once(" =").map(|(id, _)| id))
        .filter(|id| id.contains('-') && !id.starts_with([' ', '#', '[']))
        .collect();
    for id in ids {
        assert!(!page.contains(&format!(">{id}<")) && !page.contains(&format!(" {id} ")), "{path} shows the id {id}");
    }
    page
}

/// Texts of one language alone that views have.
fn check_language(page: &str, lang: &str) {
    let (own, other) = match lang {
        "en" => (include_str!("../../src/lang/en/operation.ftl"), include_str!("../../src/lang/pt-BR/operation.ftl")),
        _ => (include_str!("../../src/lang/pt-BR/operation.ftl"), include_str!("../../src/lang/en/operation.ftl")),
    };
    let texts = |file: &'static str| {
        let texts = file.lines().filter_map(|line| line.split_once(" = ")).map(|(_, text)| text);
        texts.filter(|text| !text.contains(['{', '}'])).collect::<BTreeSet<&str>>()
    };
    for foreign in texts(other).difference(&texts(own)) {
        assert!(!page.contains(&format!(">{foreign}<")), "{lang}: {foreign}");
    }
}

/// Announces products by links that lead nowhere, until they have expired.
async fn lose(app: &TestApp, names: &[&str]) {
    for name in names {
        assert_eq!(app.notify(&Notice::full(*name).to_string()).await.0, 202);
    }
    let query = "{ status { unresolved retrying } }";
    app.until(query, |data| data["status"]["unresolved"] == 0 && data["status"]["retrying"] == names.len()).await;
    app.app.clock.advance(DAY);
    app.until("{ status { lost } }", |data| data["status"]["lost"] == names.len()).await;
}

fn location(response: &Response) -> &str {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().expect("text")
}

/// The id in the form of the first row with this name that does something.
fn id_in(page: &str, section: &str, name: &str, does: &str) -> String {
    let section = page.split(&format!("<section class=\"card\" id=\"{section}\"")).nth(1).expect("a section");
    let row = section.split("<tr>").find(|row| row.contains(name)).unwrap_or_else(|| panic!("no {name}: {section}"));
    let form = row.split(&format!("action=\"/operation/{does}\"")).nth(1).unwrap_or_else(|| panic!("no form: {row}"));
    let id = form.split("name=\"id\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    id.unwrap_or_else(|| panic!("no form: {row}")).to_owned()
}

on_each_database!(losses_and_retries);
async fn losses_and_retries(db: Db) {
    let (app, _folder) = service(Vec::new(), db).await;
    lose(&app, &["Carga <b>", "Vento"]).await;
    let operator = Visitor::with_key(&app, "operator").await;
    for lang in ["pt-BR", "en"] {
        let page = view(&operator, "/operation", lang).await;
        check_language(&page, lang);
        assert!(page.contains("Carga &lt;b&gt;") && !page.contains("Carga <b>"), "{page}");
    }
    let page = view(&operator, "/operation", "pt-BR").await;
    let text = words(&page);
    assert!(text.contains("2 publicações estão perdidas") && text.contains("Pressione “Enviar”"), "{text}");
    // A link that has expired: the page says what helps.
    let token = operator.form_token("/operation").await;
    // A loss is listed once, with what can be done about it.
    assert!(text.contains("Outras notificações sem arquivo Não há nenhuma."), "{text}");
    let id = id_in(&page, "lost", "Vento", "retry");
    let response = operator.post("/operation/retry", &[("token", &token), ("id", &id)], &[]).await;
    assert_eq!(location(&response), "/operation?done=retry&matched=1&queued=0&dead=1");
    let text = words(&view(&operator, location(&response), "pt-BR").await);
    assert!(text.contains("O link expirou. Pressione “Enviar” para o produto no portal."), "{text}");
    // One is acknowledged, and then all.
    let id = id_in(&page, "lost", "Vento", "acknowledge");
    let response = operator.post("/operation/acknowledge", &[("token", &token), ("id", &id)], &[]).await;
    assert_eq!(location(&response), "/operation?done=acknowledge&count=1#lost");
    let response = operator.post("/operation/acknowledge", &[("token", &token), ("all", "true")], &[]).await;
    assert_eq!(location(&response), "/operation?done=acknowledge&count=1#lost");
    let status = app.query("{ status { lost lostPublications { acknowledgedBy } } }").await["status"].clone();
    assert_eq!((&status["lost"], &status["lostPublications"][0]["acknowledgedBy"]), (&json!(0), &json!("operator")));
    let text = words(&view(&operator, "/operation", "en").await);
    assert!(text.contains("No publication is lost.") && text.contains("and 2 acknowledged"), "{text}");
    assert!(text.contains("Other notifications without a file There are none."), "{text}");
}

on_each_database!(holds_and_their_end);
async fn holds_and_their_end(db: Db) {
    let (app, _folder) = service(Vec::new(), db).await;
    app.portal.add(product(1, "Carga", "carga.csv", "a;b\r\n"));
    let id = app.archive(1).await["revision"]["id"].as_str().expect("an id").to_owned();
    let operator = Visitor::with_key(&app, "operator").await;
    let token = operator.form_token("/operation").await;
    let hold = async |id: &str, reason: &str| {
        operator.post("/operation/hold", &[("token", &token), ("id", id), ("reason", reason)], &[]).await
    };
    for (wrong, reason, code) in
        [(id.as_str(), " ", 400), ("x", "sim", 400), ("01890000-0000-7000-8000-000000000000", "sim", 404)]
    {
        assert_eq!(hold(wrong, reason).await.status().as_u16(), code, "{wrong} {reason}");
    }
    assert_eq!(location(&hold(&id, "processo <judicial>").await), "/operation?done=hold#holds");
    let page = view(&operator, "/operation", "pt-BR").await;
    assert!(page.contains("processo &lt;judicial&gt;") && words(&page).contains("– operator"), "{page}");
    assert_eq!(id_in(&page, "holds", "carga.csv", "release"), id);
    let response = operator.post("/operation/release", &[("token", &token), ("id", &id)], &[]).await;
    assert_eq!(location(&response), "/operation?done=release#holds");
    let text = words(&view(&operator, "/operation?done=release", "pt-BR").await);
    assert!(text.contains("Nenhuma revisão está protegida") && text.contains("não está mais protegida"), "{text}");
    app.indexed().await;
}

/// A run of retention is undone by an administrator alone.
#[tokio::test]
async fn undoing_a_run_needs_the_role_admin() {
    let folder = tempfile::tempdir().expect("a folder");
    let key =
        |role: &str| format!("[[api.keys]]\nname = \"{role}\"\nrole = \"{role}\"\nhash = \"{}\"\n", hash_of_key(role));
    let policy = "[[retention.policy]]\nname = \"uma\"\nkeep_last = 1\n";
    let config = folder.path().join("acervo.toml");
    std::fs::write(&config, format!("{}{}{policy}", key("operator"), key("admin"))).expect("a file");
    let app = TestApp::with(Options { config: Some(config), ..Options::default() }).await;
    app.portal.add(product(1, "Carga", "carga.csv", "a"));
    app.archive(1).await;
    app.portal.change(1, |one| replace(one, "b")).expect("a product");
    app.portal.enviar(1).await.expect("a product");
    app.settled(2).await;
    let run = app.query("mutation { runRetention(dryRun: false) { id removed } }").await["runRetention"].clone();
    assert_eq!(run["removed"], 1, "{run}");
    let id = run["id"].as_str().expect("an id");
    let (operator, admin) = (Visitor::with_key(&app, "operator").await, Visitor::with_key(&app, "admin").await);
    assert!(!view(&operator, "/operation", "en").await.contains("/operation/undo"));
    let plan = words(&view(&operator, "/operation?plan=1", "en").await);
    assert!(plan.contains("1 revisions stay, 0 would be removed"), "{plan}");
    let token = operator.form_token("/operation").await;
    assert_eq!(operator.post("/operation/undo", &[("token", &token), ("id", id)], &[]).await.status(), 403);
    let page = view(&admin, "/operation", "en").await;
    assert!(page.contains("/operation/undo") && words(&page).contains("can be undone until"), "{page}");
    let token = admin.form_token("/operation").await;
    let response = admin.post("/operation/undo", &[("token", &token), ("id", id)], &[]).await;
    assert_eq!(location(&response), "/operation?done=undo#retention");
    app.until("{ retentionRuns { nodes { undoneAt } } }", |data| {
        data["retentionRuns"]["nodes"][0]["undoneAt"].is_string()
    })
    .await;
    app.indexed().await;
}

/// A reader sees no operator's view and changes nothing; a form needs its token and our own page.
#[tokio::test]
async fn forms_are_for_operators_and_for_our_own_page() {
    let (app, _folder) = service(Vec::new(), Db::Sqlite).await;
    lose(&app, &["Vento"]).await;
    let (reader, operator) = (Visitor::with_key(&app, "reader").await, Visitor::with_key(&app, "operator").await);
    let response = reader.get_with("/operation", &[EN]).await;
    assert_eq!(response.status(), 403);
    let page = response.text().await.expect("text");
    assert!(!page.contains("Vento") && page.contains("<html lang=\"en\">"), "{page}");
    let search = reader.get("/").await.text().await.expect("text");
    assert!(!search.contains("href=\"/operation\"") && search.contains("href=\"/query\""), "{search}");
    assert_eq!(reader.get("/start").await.status(), 403);
    let all = ("all", "true");
    let token = reader.form_token("/").await;
    assert_eq!(reader.post("/operation/acknowledge", &[("token", &token), all], &[]).await.status(), 403);
    let token = operator.form_token("/operation").await;
    let own = app.url.as_str();
    for (fields, headers, code) in [
        (vec![all], vec![], 403),
        (vec![("token", ""), all], vec![], 403),
        (vec![("token", "x"), all], vec![], 403),
        (vec![("token", token.as_str()), all], vec![("origin", "https://evil.example")], 403),
        (vec![("token", token.as_str()), all], vec![("origin", "null")], 403),
        (vec![("token", token.as_str()), all], vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("token", token.as_str()), all], vec![("sec-fetch-site", "same-site")], 403),
        (vec![("token", token.as_str()), all], vec![("host", "evil.example")], 401),
        (vec![("token", token.as_str()), all], vec![("content-type", "text/plain")], 415),
        (vec![("token", token.as_str()), ("id", "x")], vec![], 400),
        (vec![("token", token.as_str()), all], vec![("origin", own), ("sec-fetch-site", "same-origin")], 303),
    ] {
        let code_is = operator.post("/operation/acknowledge", &fields, &headers).await.status().as_u16();
        assert_eq!(code_is, code, "{fields:?} {headers:?}");
        let lost = app.query("{ status { lost } }").await["status"]["lost"].clone();
        assert_eq!(lost, if code == 303 { json!(0) } else { json!(1) }, "{fields:?} {headers:?}");
    }
    // Another visitor's token is none.
    let other = Visitor::with_key(&app, "operator").await.form_token("/operation").await;
    assert_eq!(operator.post("/operation/acknowledge", &[("token", &other), all], &[]).await.status(), 403);
    assert_eq!(operator.post("/operation/nothing", &[("token", &token)], &[]).await.status(), 404);
    // Nobody at all.
    let nobody = Visitor::of(&app);
    assert_eq!(nobody.post("/operation/acknowledge", &[("token", &token), all], &[]).await.status(), 401);
}

/// Without a log-in a view is a form that leads back to it; one that came by a link of another site asks again by itself.
#[tokio::test]
async fn a_view_asks_for_a_log_in() {
    let (app, _folder) = service(Vec::new(), Db::Sqlite).await;
    let mut visitor = Visitor::of(&app);
    let response = visitor.get("/operation?plan=1&x=%22%3E%3Cscript%3E").await;
    assert_eq!(response.status(), 401);
    let challenges = response.headers().get_all("www-authenticate").iter().map(|value| value.to_str().expect("text"));
    assert_eq!(challenges.collect::<Vec<_>>(), ["Bearer"], "no browser asks for a password by itself");
    let page = response.text().await.expect("text");
    assert!(page.contains("name=\"next\" value=\"/operation?plan=1&amp;x=%22%3E%3Cscript%3E\""), "{page}");
    assert!(page.contains("<html lang=\"pt-BR\">") && !page.contains("http-equiv"), "{page}");
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let page = visitor.get_with("/operation", &link).await.text().await.expect("text");
    assert!(page.contains("http-equiv=\"refresh\" content=\"0; url=/login?next=%2Foperation\""), "{page}");
    // A wrong key: the form again, in the visitor's language.
    let form = [("key", "<errada>"), ("next", "/query")];
    let response = visitor.post("/login", &form, &[EN]).await;
    assert_eq!(response.status(), 401);
    let page = response.text().await.expect("text");
    assert!(page.contains("The key is not known here.") && page.contains("value=\"/query\""), "{page}");
    assert!(!page.contains("errada"), "{page}");
    assert_eq!(location(&visitor.log_in("reader", "/query").await), "/query");
    // Who is logged in is led on, and can log out.
    assert_eq!(location(&visitor.get("/login?next=%2Fquery").await), "/query");
    assert_eq!(location(&visitor.get("/login?next=https%3A%2F%2Fevil.example").await), "/");
    let token = visitor.form_token("/query").await;
    let response = visitor.post("/logout", &[("token", &token)], &[]).await;
    assert_eq!(location(&response), "/login");
    assert_eq!(visitor.get("/query").await.status(), 401);
}

/// The page is not answered under a foreign name, where it is open and where it is not.
#[tokio::test]
async fn the_page_is_not_read_by_dns_rebinding() {
    let open = vec![("api.token", String::new()), ("receiver.token", String::new())];
    for values in [open, vec![("api.open", "true".to_owned())]] {
        let app = TestApp::with(Options { values, without_jobs: true, ..Options::default() }).await;
        let visitor = Visitor::of(&app);
        for path in ["/", "/query", "/suggest?prefix=abc", "/live"] {
            for headers in [
                vec![("host", "evil.example")],
                vec![("host", "evil.example"), ("sec-fetch-site", "same-origin")],
                vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
                vec![("origin", "https://evil.example")],
            ] {
                let response = visitor.get_with(path, &headers).await;
                assert_eq!(response.status(), 403, "{path} {headers:?}");
            }
        }
        assert_eq!(visitor.get("/").await.status(), 200);
    }
    let (app, _folder) = service(Vec::new(), Db::Sqlite).await;
    let visitor = Visitor::with_key(&app, "operator").await;
    for path in ["/", "/operation", "/query", "/start", "/live"] {
        assert_eq!(visitor.get_with(path, &[("host", "evil.example")]).await.status(), 401, "{path}");
    }
    assert_eq!(visitor.get_with("/login", &[("host", "evil.example")]).await.status(), 403);
}

/// The next event of a stream, which must come in time.
async fn event(stream: &mut Response, wanted: &str) {
    let mut text = String::new();
    let read = async {
        while !text.contains(&format!("event: {wanted}\n")) {
            let chunk = stream.chunk().await.expect("a connection").expect("an event");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no {wanted}"));
}

/// An open page learns of changes and of the end of its session.
#[tokio::test]
async fn an_open_page_learns_of_changes_and_of_its_end() {
    let (app, _folder) = service(Vec::new(), Db::Sqlite).await;
    let visitor = Visitor::with_key(&app, "reader").await;
    let mut stream = visitor.get("/live").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    event(&mut stream, "change").await;
    app.notify(&Notice::full("Vento").to_string()).await;
    event(&mut stream, "change").await;
    let token = visitor.form_token("/query").await;
    visitor.post("/logout", &[("token", &token)], &[]).await;
    event(&mut stream, "end").await;
    app.leaves_work_unsettled("its link leads nowhere");
}

/// An empty archive leads through the first steps, which turn green.
#[tokio::test]
async fn the_first_steps_turn_green() {
    let values = vec![
        ("receiver.token", String::new()),
        ("receiver.username", "ons".to_owned()),
        ("receiver.password", "muito-secreta".to_owned()),
        ("public_url", "http://localhost".to_owned()),
        ("receiver.replay_at_least", "2".to_owned()),
    ];
    let (app, _folder) = service(values, Db::Sqlite).await;
    let operator = Visitor::with_key(&app, "operator").await;
    let done = async || {
        let page = operator.get("/start").await.text().await.expect("text");
        let steps = page.split("<li class=\"step\" id=\"step-").skip(1);
        steps.filter(|step| step.split('>').next().is_some_and(|tag| tag.contains("data-done"))).count()
    };
    for lang in ["pt-BR", "en"] {
        // In the place of a search that would find nothing.
        let page = view(&operator, "/", lang).await;
        check_language(&page, lang);
        let text = words(&page);
        for part in ["http://localhost/webhook", "ons", "receiver.password", "Enviar Tudo", "Meu Perfil"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!page.contains("muito-secreta"), "{page}");
    }
    assert_eq!(done().await, 1);
    // Wrong credentials are named.
    assert_eq!(app.notify(&Notice::full("Vento").to_string()).await.0, 401);
    let polling = crate::harness::polling::Polling::start();
    while !words(&operator.get_with("/start", &[EN]).await.text().await.expect("text")).contains("wrong credentials") {
        polling.pause(|| "the refused log-in is not shown".to_owned()).await;
    }
    // A reader finds nothing, and learns nothing of the configuration.
    let reader = Visitor::with_key(&app, "reader").await;
    let page = reader.get("/").await.text().await.expect("text");
    assert!(!page.contains("receiver.password"), "{page}");
}

/// The editor has what it needs, and its form works without a script.
#[tokio::test]
async fn the_editor_works_without_a_script() {
    let (app, _folder) = service(Vec::new(), Db::Sqlite).await;
    let reader = Visitor::with_key(&app, "reader").await;
    for lang in ["pt-BR", "en"] {
        let page = view(&reader, "/query", lang).await;
        check_language(&page, lang);
    }
    let page = view(&reader, "/query?query=%7Ba%3C%2Ftextarea%3E%7D&variables=%7B%7D", "en").await;
    assert!(page.contains("\n{a&lt;/textarea&gt;}</textarea>"), "{page}");
    let response = reader.get("/graphql?query=%7Bstatus%7Bversion%7D%7D&variables=").await;
    assert_eq!(response.status(), 200);
    // The script asks for the schema in one request, which is within the limits.
    let script = include_str!("../../src/web/assets/editor.js");
    let document =
        script.split("const INTROSPECTION = `").nth(1).and_then(|rest| rest.split('`').next()).expect("a document");
    let of = script.split("const OF = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a text");
    let answer: serde_json::Value = reader.ask(&document.replace("${OF}", of), &[]).await.json().await.expect("JSON");
    let types = answer["data"]["__schema"]["types"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert!(types.iter().any(|one| one["name"] == "Publication"));
    assert!(script.len() < 40_000);
}
