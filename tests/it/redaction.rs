use std::time::Duration;

use acervo::portal::Faults;
use serde_json::json;

use crate::harness::links::FileServer;
use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::{EMAIL, product};
use crate::harness::{KEY, Options, TOKEN, TestApp, holding, portal, until};

/// Every piece of a link that may be seen nowhere.
fn secrets(link: &str) -> Vec<String> {
    let token = link.split("token=").nth(1).expect("a token");
    let mut all: Vec<String> = token.split('.').skip(1).map(str::to_owned).collect();
    all.push(EMAIL.to_owned());
    all
}

/// All that a service answers to bodies that it rejects and to queries, and its metrics and exports.
async fn responses(served: &Served, link: &str) -> String {
    let client = reqwest::Client::new();
    // Rejected bodies and wrong paths that contain one.
    let odd = [
        json!({ "url": link }),
        json!({ "nome": "x", "dataProduto": link, "url": link }),
        json!({ "nome": "x", "periodicidade": format!("por {EMAIL}"), "url": link }),
        json!({ "nome": "x", "url": "x", "outro": { "copia": link } }),
    ];
    let mut seen = String::new();
    for body in &odd {
        let answer = client
            .post(format!("{}/webhook", served.url))
            .header("authorization", TOKEN)
            .json(body)
            .send()
            .await
            .expect("a response");
        assert_eq!(answer.status(), 422);
        seen += &answer.text().await.expect("text");
    }
    let everything =
        "{ notifications(first: 1000) { nodes { error body name referenceDate } } products { nodes { name listPath } }
        revisions(first: 1000) { nodes { fileName warnings fileUrl } } status { version } }";
    let answer = client.post(format!("{}/graphql", served.url)).bearer_auth(KEY).json(&json!({ "query": everything }));
    seen += &answer.send().await.expect("a response").text().await.expect("text");
    seen += &client
        .get(format!("{}/metrics?key={KEY}", served.url))
        .send()
        .await
        .expect("a response")
        .text()
        .await
        .expect("text");
    for table in ["publications", "revisions", "notifications"] {
        let rows =
            client.get(format!("{}/export/{table}.ndjson?key={KEY}", served.url)).send().await.expect("a response");
        seen += &rows.text().await.expect("text");
    }
    seen
}

#[tokio::test]
async fn no_link_is_in_the_log_at_the_finest_level_nor_in_a_response() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    // The first attempt of all panics, with a secret in its words.
    let mut command = acervo(folder.path());
    command.env("FAILPOINTS", format!("fetch=1*panic({EMAIL})->off")).env("ACERVO_FETCH_STALL", "200ms");
    let mut served = Served::spawn(command, folder.path().join("log.txt"), port, "trace");
    let portal = portal(&format!("{}/webhook", served.url), Default::default()).await;
    let mut links = Vec::new();
    for (number, faults) in [
        (1, Faults::default()),
        (2, Faults { status: Some(404), times: Some(1), ..Faults::default() }),
        (3, Faults { redirects: 2, ..Faults::default() }),
        (4, Faults { redirects: 9, times: Some(1), ..Faults::default() }),
        (6, Faults { drip_ms: 500, times: Some(1), ..Faults::default() }),
        (7, Faults { latency_ms: 500, times: Some(1), ..Faults::default() }),
        (5, Faults { cut_after: Some(1), times: Some(1), ..Faults::default() }),
    ] {
        let number = portal.add(product(number, &format!("Produto {number}"), "a.csv", format!("conteúdo {number}")));
        portal.set_faults(faults);
        let product = portal.products().into_iter().find(|p| p.number == number).expect("the product");
        links.push(portal.link(&product).expect("a link"));
        let delivery = portal.enviar(number).await.expect("a product");
        assert_eq!(delivery.status, Some(202));
        let open = "{ notifications(filter: { status: [QUEUED, FETCHING, RETRYING] }) { totalCount } }";
        served.until(open, |data| data["notifications"]["totalCount"] == 0).await;
    }
    let mut seen = responses(&served, &links[0]).await;
    served.terminate();
    seen += &served.logged();
    assert!(seen.contains("archived"), "there is no log to check");
    assert!(seen.contains("panicked here") && seen.contains("an attempt panicked"), "nothing panicked");
    assert!(seen.contains("timed out"), "nothing took too long");
    for secret in links.iter().flat_map(|link| secrets(link)).chain([TOKEN.to_owned()]) {
        assert!(!seen.contains(&secret), "{secret} was seen");
    }
    assert!(!seen.contains(&format!("key={KEY}")));
}

/// A text with each character escaped in the given way.
fn dressed(text: &str, way: usize) -> String {
    let escape = |c: char| match way {
        // A backslash is an escape in JSON already.
        0 | 5 if c == '\\' => "\\\\".to_owned(),
        0 => c.to_string(),
        1 => format!("\\u{:04x}", c as u32),
        2 => format!("%{:02X}", c as u32),
        3 => format!("&#{};", c as u32),
        4 => format!("%25{:02x}", c as u32),
        _ if c == '/' => "\\/".to_owned(),
        _ if c == '@' || c == '.' => format!("\\u{:04x}", c as u32),
        _ => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[tokio::test]
async fn secrets_are_redacted_however_they_are_written_and_the_body_stays_json() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let links = FileServer::start().await;
    let user = "PORTAL\\joao.canario";
    let claims = json!({ "URL": "/sites/7/39/Produtos/1/a.pdf", "IsFile": "True", "username": user });
    let link = links.link(&claims);
    let token = link.split("token=").nth(1).expect("a token");
    for secret in [EMAIL, token, &link, user] {
        for way in 0..=5 {
            let dressed = dressed(secret, way);
            let body = format!(
                r#"{{"nome":"Produto","dataProduto":"09/05/2025","url":"{link}","x":"a\n{dressed}","y":{{"{dressed}":["{dressed} "]}},"z":"{}"}}"#,
                dressed.replace('\\', "\\\\")
            );
            let (status, answer) = app.notify(&body).await;
            assert_eq!(status, 202, "{body}: {answer}");
            let id = answer["id"].as_str().expect("an id");
            let node =
                app.query(&format!("{{ notification(id: \"{id}\") {{ body name }} }}")).await["notification"].clone();
            let texts = [&node["body"]["x"], &node["body"]["z"]].map(|text| text.as_str().expect("a text").to_owned());
            assert!(
                texts[0].strip_prefix("a\n").is_some_and(|rest| rest.bytes().all(|b| b == b'*')),
                "{secret}, {way}: {node}"
            );
            assert!(texts[1].bytes().all(|b| b == b'*'), "{secret}, {way}: {node}");
            let (key, values) = node["body"]["y"].as_object().expect("an object").iter().next().expect("a field");
            assert!(key.bytes().all(|b| b == b'*'), "{node}");
            assert!(values[0].as_str().expect("a text").trim_end().bytes().all(|b| b == b'*'), "{node}");
        }
    }
    let form =
        format!("nome=Produto&dataProduto=09%2F05%2F2025&url={}&outro=por+{}", dressed(&link, 2), dressed(EMAIL, 2));
    let (status, answer) = app.send(form.into_bytes(), "application/x-www-form-urlencoded").await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["id"].as_str().expect("an id");
    let body = app.query(&format!("{{ notification(id: \"{id}\") {{ body }} }}")).await["notification"]["body"].clone();
    assert_eq!(body["outro"], format!("por {}", "*".repeat(EMAIL.len())));
    // In the files too: nothing of them is there in any form.
    for way in 0..=5 {
        let secret = dressed(EMAIL, way);
        let files = holding(app.folder.path(), secret.as_bytes());
        assert!(files.is_empty(), "{secret} is in {files:?}");
    }
}

#[tokio::test]
async fn an_expired_or_used_link_is_in_no_file() {
    let app = TestApp::start().await;
    let done = app.portal.add(product(1, "Produto 1", "a.csv", &b"x"[..]));
    let expired = app.portal.add(product(2, "Produto 2", "b.csv", &b"y"[..]));
    app.archive(done).await;
    app.portal.set_faults(Faults { status: Some(500), ..Faults::default() });
    app.portal.enviar(expired).await;
    // Fixed parts of every token of this portal: the header is no secret, the subscriber's name in the payload is one.
    let holds_link = || !holding(app.folder.path(), b"webhook?token=").is_empty();
    app.until("{ status { retrying } }", |data| data["status"]["retrying"] == 1).await;
    assert!(holds_link(), "the link of a notification still to be fetched must be there");
    app.app.clock.advance(Duration::from_secs(86_700));
    app.until("{ status { expired } }", |data| data["status"]["expired"] == 1).await;
    until("no expired link", async || (!holds_link()).then_some(())).await;
    app.settled(2).await;
}

/// A control character in a user name, and a name that only the token knows, in fields of every kind.
#[tokio::test]
async fn the_user_of_a_token_is_redacted_by_every_part_of_the_name() {
    let app = TestApp::with(Options { without_jobs: true, ..Options::default() }).await;
    let links = FileServer::start().await;
    for (user, texts) in [
        ("jo\u{1}ao.canario@example.com.br", ["joao.canario", "JO\u{7}AO.CANARIO@example.com.br", "jo\nao%2Ecanario"]),
        ("canario@example.com.br", ["canario", "Y2FuYXJpb0BleGFtcGxlLmNvbS5icg", "canario＠example．com．br"]),
    ] {
        let link = links.link(&json!({ "URL": "/sites/7/39/Produtos/1/a.pdf", "username": user }));
        let token = link.split("token=").nth(1).expect("a token");
        let payload = token.split('.').nth(1).expect("a payload");
        for text in texts.into_iter().chain([&payload[5..], &payload[9..40], &token[token.len() - 20..]]) {
            let body = json!({
                "nome": format!("Carga de {text}"), "dataProduto": "09/05/2025", "url": link, "x": text,
                "y": { text: [format!("por {text}, hoje")] },
            });
            let (status, answer) = app.notify(&body.to_string()).await;
            assert_eq!(status, 202, "{body}: {answer}");
            let id = answer["id"].as_str().expect("an id");
            let node =
                app.query(&format!("{{ notification(id: \"{id}\") {{ body name }} }}")).await["notification"].clone();
            let stars = |text: &str, before: &str, after: &str| {
                let inside = text.strip_prefix(before).and_then(|text| text.strip_suffix(after));
                assert!(inside.is_some_and(|text| text.bytes().all(|b| b == b'*')), "{user}, {body}: {node}");
            };
            stars(node["body"]["x"].as_str().expect("a text"), "", "");
            stars(node["name"].as_str().expect("a name"), "Carga de ", "");
            let (key, values) = node["body"]["y"].as_object().expect("an object").iter().next().expect("a field");
            stars(key, "", "");
            stars(values[0].as_str().expect("a text"), "por ", ", hoje");
        }
    }
}

/// The target of a redirect is repeated in the error, and may contain what the link contains.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_of_a_redirect_shows_no_secret() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("links whose redirect is refused are tried again");
    let user = "joao.canario@example.com.br";
    let links = FileServer::start().await;
    let claims = json!({ "URL": "/sites/1/Produtos/1/a.zip", "username": user });
    let payload = links.link(&claims).split('.').nth_back(1).expect("a payload").to_owned();
    for host in [
        "joao.canario.example.com".to_owned(),
        format!("{}.example.com", payload[..60].to_lowercase()),
        "am9hby5jYW5hcmlv.example.com".to_owned(),
        format!("{}example.com", "canario.".repeat(20)),
    ] {
        let target = format!("https://{host}/");
        let portal = axum::Router::new().fallback(move || {
            let target = target.clone();
            async move { (axum::http::StatusCode::FOUND, [("location", target)]) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, portal).await });
        let token = links.link(&claims).split_once("token=").expect("a token").1.to_owned();
        let body = json!({
            "nome": format!("Produto {host}"), "dataProduto": "20/02/2025",
            "url": format!("http://{address}/webhook?token={token}"),
        });
        let (status, answer) = app.notify(&body.to_string()).await;
        assert_eq!(status, 202, "{answer}");
        let query = format!("{{ notification(id: {}) {{ error }} }}", answer["id"]);
        let data = app.until(&query, |data| data["notification"]["error"].is_string()).await;
        let error = data["notification"]["error"].as_str().expect("an error").to_owned();
        assert!(error.contains("redirected") && error.contains("fetch.allowed_hosts"), "{error}");
        assert!(!error.to_lowercase().contains("joao") && !error.contains(&host), "{error}");
        assert!(!error.contains(&payload[..20].to_lowercase()), "{error}");
    }
}

/// Every text of a body is recorded unchanged: redaction finds nothing but the link.
#[test]
fn nothing_else_of_a_body_is_redacted() {
    finds_nothing_but_the_link(&std::fs::read_to_string(crate::bodies::MADE).expect("the fixture"));
}

pub fn finds_nothing_but_the_link(lines: &str) {
    for line in lines.lines() {
        let notice = acervo::domain::ParsedNotification::from_json(line.as_bytes()).expect("an object");
        let sent: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let kept: serde_json::Value = serde_json::from_slice(&notice.body).expect("JSON");
        for (key, value) in sent.as_object().expect("an object").iter().filter(|(key, _)| *key != "url") {
            assert_eq!(&kept[key], value);
        }
        assert!(notice.warnings.is_empty(), "{:?}", notice.warnings);
        let claims = crate::harness::links::claims_of(sent["url"].as_str().expect("a link"));
        assert_eq!(notice.claims.path.as_deref(), claims["URL"].as_str());
        // A shared mailbox of the sector takes no words away.
        let path = claims["URL"].as_str().expect("a path");
        for user in ["carga@example.com.br", "previsao@x.com", "operacao@x.com.br", "ons@x.com", "usuario@x.com"] {
            let secrets = acervo::domain::Secrets::of_user(user);
            for text in [path, sent["nome"].as_str().expect("a name"), sent["processo"].as_str().expect("a process")] {
                assert_eq!(secrets.redact(text), None, "{user}");
            }
        }
    }
}

#[test]
fn names_of_products_are_not_redacted() {
    for product in acervo::portal::builtin(44, jiff::Timestamp::now()) {
        assert_eq!(acervo::domain::redacted(&product.name), product.name);
    }
}

/// The names of files and of members are shown to all callers: an address or a token in them is overwritten as in a
/// body.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_files_and_members_hold_no_secret() {
    let app = TestApp::start().await;
    let server = FileServer::start().await;
    let link = server.link(&json!({ "URL": "/sites/1/Produtos/1/a.zip", "username": EMAIL }));
    let token = link.split_once("token=").expect("a token").1.to_owned();
    let name = format!("envio de {EMAIL} {}.zip", token.split('.').next().expect("a part"));
    let zip = crate::harness::samples::zip(&[(&*format!("para {EMAIL}.txt"), b"dados")]);
    server.offer("/sites/1/Produtos/1/a.zip", &zip, Some(format!("attachment; filename=\"{name}\"")));
    let body = json!({ "nome": "Produto", "dataProduto": "20/02/2025", "url": link });
    assert_eq!(app.notify(&body.to_string()).await.0, 202);
    app.settled(1).await;
    let data = app.query("{ revisions { nodes { id fileName members { nodes { path url } } } } }").await;
    let revision = &data["revisions"]["nodes"][0];
    let member = &revision["members"]["nodes"][0];
    assert!(revision["fileName"].as_str().is_some_and(|name| name.starts_with("envio de ") && name.ends_with(".zip")));
    assert!(!data.to_string().contains(EMAIL), "{data}");
    let bytes = app.get(member["url"].as_str().expect("a url")).await;
    let headers = format!("{:?}", bytes.headers());
    assert!(!headers.contains(EMAIL), "{headers}");
    assert_eq!(bytes.bytes().await.expect("a body"), "dados");
    let file = app.get(&format!("/files/{}", revision["id"].as_str().expect("an id"))).await;
    assert!(!format!("{:?}", file.headers()).contains(EMAIL));
    let folder = app.stop().await;
    for path in holding(folder.path(), EMAIL.as_bytes()) {
        // The file itself has the published bytes.
        let is_archive = path.components().any(|part| part.as_os_str() == "archive");
        assert!(is_archive, "{}", path.display());
    }
}
