use serde_json::{Value, json};

use crate::harness::{Db, TOKEN, TestApp};

fn sound() -> Value {
    json!({
        "nome": "Acomph", "processo": "Acompanhamento", "dataProduto": "09/05/2025", "macroProcesso": "Programação",
        "periodicidade": "2025-05-09T00:00:00", "periodicidadeFinal": "2025-05-09T23:59:59",
        "url": "http://127.0.0.1:9/x?token=a.b.c"
    })
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut body = sound();
    change(&mut body);
    body.to_string()
}

fn without(fields: &[&str]) -> String {
    with(|body| fields.iter().for_each(|field| drop(body.as_object_mut().expect("an object").remove(*field))))
}

async fn count(app: &TestApp, status: &str) -> u64 {
    let data = app.query(&format!("{{ notifications(filter: {{ status: [{status}] }}) {{ totalCount }} }}")).await;
    data["notifications"]["totalCount"].as_u64().expect("a count")
}

#[tokio::test]
async fn what_cannot_be_understood_is_kept_and_told() {
    for db in Db::all() {
        let app = TestApp::on(db).await;
        let cases = [
            (without(&["nome"]), "`nome` is missing"),
            (with(|body| body["nome"] = json!("  ")), "`nome` is missing"),
            (with(|body| body["nome"] = json!(7)), "`nome` is `7`, not a text"),
            (without(&["url"]), "`url` (or `Uri`) is missing"),
            (with(|body| body["url"] = json!("nowhere")), "`url` is no absolute address"),
            (
                without(&["dataProduto", "periodicidade", "periodicidadeFinal"]),
                "`dataProduto` and `periodicidade` are missing",
            ),
            (
                with(|body| body["periodicidade"] = json!("2025-13-45T00:00:00")),
                "`periodicidade` is `2025-13-45T00:00:00`",
            ),
            (with(|body| body["periodicidadeFinal"] = json!("2025-05-08T23:59:59")), "the period ends"),
            (
                with(|body| {
                    body["dataProduto"] = json!("31/02/2025");
                    body["periodicidade"] = Value::Null;
                }),
                "`dataProduto` is `31/02/2025`",
            ),
        ];
        for (i, (body, reason)) in cases.iter().enumerate() {
            let (status, answer) = app.notify(body).await;
            assert_eq!(status, 422, "{body}");
            assert!(answer["detail"].as_str().expect("a detail").contains(reason), "{reason}: {answer}");
            assert_eq!(count(&app, "REJECTED").await, i as u64 + 1);
            let id = answer["id"].as_str().expect("an id");
            let kept = app.query(&format!("{{ notification(id: \"{id}\") {{ status error body }} }}")).await;
            assert_eq!(kept["notification"]["status"], "REJECTED");
            assert!(kept["notification"]["error"].as_str().expect("an error").contains(reason));
            assert!(kept["notification"]["body"].is_object());
        }
    }
}

#[tokio::test]
async fn what_is_no_notification_is_not_kept() {
    let app = TestApp::start().await;
    for (body, status) in [("{", 400), ("[]", 400), ("", 400), ("\"text\"", 400), ("{} {}", 400), ("null", 400)] {
        assert_eq!(app.notify(body).await.0, status, "{body}");
    }
    assert_eq!(app.send(vec![b'x'; 1 << 20], "application/json").await.0, 413);
    assert_eq!(app.send(vec![b' '; (256 << 10) + 1], "application/json").await.0, 413);
    assert_eq!(app.send(b"Acomph".to_vec(), "text/plain").await.0, 415);
    assert_eq!(app.send(sound().to_string().into_bytes(), "application/xml").await.0, 415);
    let all = app.query("{ notifications { totalCount } }").await;
    assert_eq!(all["notifications"]["totalCount"], 0);
}

#[tokio::test]
async fn credentials_open_in_every_form_and_nothing_else_does() {
    let app = TestApp::start().await;
    let basic = "Basic dXNlcjpuaW5ndWVtc2FiZQ==";
    let cases = [
        ("authorization", TOKEN.to_owned(), 202),
        ("authorization", format!("Bearer {TOKEN}"), 202),
        ("x-token", TOKEN.to_owned(), 202),
        ("authorization", "errado".to_owned(), 401),
        ("authorization", format!("{TOKEN}x"), 401),
        ("authorization", basic.to_owned(), 401),
        ("authorization", crate::harness::KEY.to_owned(), 401),
        ("x-other", TOKEN.to_owned(), 401),
    ];
    for (name, value, status) in cases {
        let request = app.client.post(format!("{}/webhook", app.url)).header(name, &value).json(&sound());
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), status, "{name}: {value}");
    }
    // The receiver's token opens nothing else.
    let asked = app.client.get(format!("{}/graphql?query={{status{{version}}}}", app.url)).bearer_auth(TOKEN);
    assert_eq!(asked.send().await.expect("an answer").status().as_u16(), 401);
}

#[tokio::test]
async fn basic_credentials_and_sources_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, "[receiver.sources.mesa]\nusername = \"ons\"\npassword = \"segredo\"\n").expect("a file");
    let overrides = acervo::config::Overrides {
        config: Some(file),
        values: vec![
            ("data_dir".into(), folder.path().join("d").display().to_string()),
            ("receiver.token".into(), TOKEN.into()),
        ],
    };
    let settings = acervo::config::load(&overrides, &|_| None).expect("sound settings");
    let app =
        acervo::app::App::open(settings, acervo::app::Role::Server, Default::default()).await.expect("an archive");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { acervo::http::serve(listener, &app, std::future::pending()).await });
    let client = reqwest::Client::new();
    let post = |path: &str| client.post(format!("{url}{path}")).json(&sound());
    let status =
        |request: reqwest::RequestBuilder| async { request.send().await.expect("an answer").status().as_u16() };
    assert_eq!(status(post("/webhook/mesa").basic_auth("ons", Some("segredo"))).await, 202);
    assert_eq!(status(post("/webhook/mesa").basic_auth("ons", Some("outro"))).await, 401);
    assert_eq!(status(post("/webhook/mesa").header("authorization", TOKEN)).await, 401);
    assert_eq!(status(post("/webhook/outra").header("authorization", TOKEN)).await, 202);
    assert_eq!(status(post("/webhook").basic_auth("ons", Some("segredo"))).await, 401);
    assert_eq!(status(post("/webhook/a.b").header("authorization", TOKEN)).await, 404);
}

#[tokio::test]
async fn looking_in_is_harmless() {
    let app = TestApp::start().await;
    for method in [reqwest::Method::GET, reqwest::Method::HEAD, reqwest::Method::OPTIONS] {
        let answer = app.client.request(method, format!("{}/webhook", app.url)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }
    let answer = app.client.delete(format!("{}/webhook", app.url)).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 405);
    assert_eq!(app.query("{ notifications { totalCount } }").await["notifications"]["totalCount"], 0);
}

#[tokio::test]
async fn every_spelling_says_the_same() {
    let app = TestApp::start().await;
    let pascal = json!({
        "Nome": "Acomph", "Processo": "Acompanhamento", "DataProduto": "09/05/2025", "MacroProcesso": "Programação",
        "Periodicidade": "2025-05-09T03:00:00.000Z", "PeriodicidadeFinal": "2025-05-10T02:59:59.000Z",
        "Uri": "http://127.0.0.1:9/x", "Extra": { "kept": true }
    });
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in sound().as_object().expect("an object") {
        form.append_pair(key, value.as_str().expect("a text"));
    }
    let latin: Vec<u8> = sound().to_string().replace("Acomph", "Previsão").chars().map(|c| c as u8).collect();
    assert_eq!(app.notify(&sound().to_string()).await.0, 202);
    assert_eq!(app.notify(&pascal.to_string()).await.0, 202);
    assert_eq!(app.send(form.finish().into_bytes(), "application/x-www-form-urlencoded").await.0, 202);
    assert_eq!(app.send(latin, "application/json").await.0, 202);
    let query = "{ notifications { nodes { name process macroProcess referenceDate periodStart periodEnd body } } publications { totalCount } }";
    let data = app.until(query, |data| data["publications"]["totalCount"] == 2).await;
    let nodes = data["notifications"]["nodes"].as_array().expect("a list");
    assert_eq!(nodes[0]["name"], "Previsão");
    for node in &nodes[1..] {
        assert_eq!(node["name"], "Acomph");
        assert_eq!(node["macroProcess"], "Programação");
        assert_eq!(node["periodStart"], "2025-05-09T00:00:00");
        assert_eq!(node["periodEnd"], "2025-05-09T23:59:59");
    }
    assert_eq!(nodes[2]["body"]["Extra"]["kept"], true);
    assert_eq!(nodes[2]["body"]["Uri"], "[link]");
}

#[tokio::test]
async fn missing_dates_follow_from_each_other() {
    let app = TestApp::start().await;
    let cases = [
        (json!({ "dataProduto": "09/05/2025" }), ["09/05/2025", "2025-05-09T00:00:00", "2025-05-09T23:59:59", "DAY"]),
        (json!({ "dataProduto": "02/2024" }), ["02/2024", "2024-02-01T00:00:00", "2024-02-29T23:59:59", "MONTH"]),
        (
            json!({ "dataProduto": "06/09/2025 - 12/09/2025" }),
            ["06/09/2025 - 12/09/2025", "2025-09-06T00:00:00", "2025-09-12T23:59:59", "WEEK"],
        ),
        (
            json!({ "periodicidade": "2025-05-09T00:00:00" }),
            ["09/05/2025", "2025-05-09T00:00:00", "2025-05-09T23:59:59", "DAY"],
        ),
        (
            json!({ "periodicidade": "2025-02-01T00:00:00", "periodicidadeFinal": "2025-02-28T23:59:59" }),
            ["02/2025", "2025-02-01T00:00:00", "2025-02-28T23:59:59", "MONTH"],
        ),
        (
            json!({ "periodicidade": "2025-01-03T00:00:00", "periodicidadeFinal": "2025-01-05T23:59:59" }),
            ["03/01/2025 - 05/01/2025", "2025-01-03T00:00:00", "2025-01-05T23:59:59", "OTHER"],
        ),
        (
            json!({ "dataProduto": "Semana 3", "periodicidade": "2025-01-18T00:00:00" }),
            ["Semana 3", "2025-01-18T00:00:00", "2025-01-18T23:59:59", "DAY"],
        ),
        (
            json!({ "dataProduto": "06/09/2025 - 12/09/2025", "periodicidade": "2025-09-06T00:00:00" }),
            ["06/09/2025 - 12/09/2025", "2025-09-06T00:00:00", "2025-09-12T23:59:59", "WEEK"],
        ),
    ];
    for (i, (mut body, [reference, start, end, granularity])) in cases.into_iter().enumerate() {
        body["nome"] = json!(format!("produto {i}"));
        body["url"] = json!("http://127.0.0.1:9/x");
        assert_eq!(app.notify(&body.to_string()).await.0, 202, "{body}");
        let query = "query($n: String!) { publications(filter: { name: { eq: $n } }) { nodes { referenceDate periodStart periodEnd granularity process } } }";
        let name = json!({ "n": format!("produto {i}") });
        let began = std::time::Instant::now();
        let node = loop {
            let node = app.query_with(query, name.clone()).await["publications"]["nodes"][0].clone();
            if node.is_object() {
                break node;
            }
            assert!(began.elapsed() < crate::harness::PATIENCE);
            tokio::task::yield_now().await;
        };
        assert_eq!(
            node,
            json!({ "referenceDate": reference, "periodStart": start, "periodEnd": end, "granularity": granularity, "process": "" })
        );
    }
}
