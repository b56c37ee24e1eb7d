use serde_json::{Value, json};

use crate::harness::notice::{Notice, form};
use crate::harness::{Db, Options, TOKEN, TestApp, on_each_database, until};

fn valid() -> Value {
    Notice::full("Acomph").json()
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut body = valid();
    change(&mut body);
    body.to_string()
}

fn without(fields: &[&str]) -> String {
    Notice::full("Acomph").without(fields).to_string()
}

async fn count(app: &TestApp, status: &str) -> u64 {
    let data = app.query(&format!("{{ notifications(filter: {{ status: [{status}] }}) {{ totalCount }} }}")).await;
    data["notifications"]["totalCount"].as_u64().expect("a count")
}

on_each_database!(notifications_that_cannot_be_read_are_rejected_with_the_reason);
async fn notifications_that_cannot_be_read_are_rejected_with_the_reason(db: Db) {
    let app = TestApp::on(db).await;
    let cases = [
        (without(&["nome"]), "`nome` is missing"),
        (with(|body| body["nome"] = json!("  ")), "`nome` is missing"),
        (with(|body| body["nome"] = json!(7)), "`nome` is `7`, not a text"),
        (without(&["url"]), "`url` (or `Uri`) is missing"),
        (with(|body| body["url"] = json!("nowhere")), "`url` is not an absolute URL"),
        (
            without(&["dataProduto", "periodicidade", "periodicidadeFinal"]),
            "`dataProduto` and `periodicidade` are missing",
        ),
        (
            with(|body| {
                body["periodicidade"] = json!("2025-13-45T00:00:00");
                body["dataProduto"] = Value::Null;
            }),
            "`periodicidade` is `2025-13-45T00:00:00`",
        ),
        (with(|body| body["url"] = json!("http://127.0.0.1:9/x\u{0}y")), "`url` holds a control character"),
        (with(|body| body["url"] = json!(format!("http://127.0.0.1:9/{}", "x".repeat(8_001)))), "at most 8000"),
        (with(|body| body["url"] = json!(format!("http://{}ons.org.br/", "x.".repeat(200)))), "at most 253"),
        (with(|body| body["nome"] = json!("\u{200b}\u{feff} ")), "`nome` is missing"),
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

/// The notification that a body became: its fields as the API shows them.
async fn taken(app: &TestApp, body: &str) -> Value {
    let (status, answer) = app.notify(body).await;
    assert_eq!(status, 202, "{body}: {answer}");
    recorded(app, &answer).await
}

async fn recorded(app: &TestApp, answer: &Value) -> Value {
    let id = answer["id"].as_str().expect("an id");
    let fields = "status name process referenceDate periodStart periodEnd warnings error body";
    app.query(&format!("{{ notification(id: \"{id}\") {{ {fields} }} }}")).await["notification"].clone()
}

fn warnings(node: &Value) -> Vec<String> {
    node["warnings"].as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

async fn quiet(db: Db) -> TestApp {
    let database_url = crate::harness::postgres::database(db);
    TestApp::with(Options { without_jobs: true, database_url, ..Options::default() }).await
}

/// Periods that cannot be read, or are unset.
const UNREADABLE: [&str; 13] = [
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00.0000000",
    "0001-01-01T00:00:00.0000000Z",
    "0001-01-01T00:00:00-03:00",
    "9999-12-31T23:59:59.9999999",
    "1900-01-01T00:00:00",
    "/Date(1740020400000)/",
    "/Date(-62135596800000)/",
    "20/02/2025 00:00:00",
    "2025-13-45T00:00:00",
    "fevereiro",
    "",
    "  ",
];

on_each_database!(an_unreadable_period_with_a_reference_date_is_a_warning);
async fn an_unreadable_period_with_a_reference_date_is_a_warning(db: Db) {
    let app = quiet(db).await;
    for (reference, start, end) in [
        ("20/02/2025", "2025-02-20T00:00:00", "2025-02-20T23:59:59"),
        ("03/2025", "2025-03-01T00:00:00", "2025-03-31T23:59:59"),
        ("06/09/2025 - 12/09/2025", "2025-09-06T00:00:00", "2025-09-12T23:59:59"),
    ] {
        for text in UNREADABLE {
            for fields in [&["periodicidade"][..], &["periodicidadeFinal"], &["periodicidade", "periodicidadeFinal"]] {
                let body = with(|body| {
                    body["dataProduto"] = json!(reference);
                    (body["periodicidade"], body["periodicidadeFinal"]) = (json!(start), json!(end));
                    fields.iter().for_each(|field| body[*field] = json!(text));
                });
                let node = taken(&app, &body).await;
                assert_eq!([&node["periodStart"], &node["periodEnd"]], [start, end], "{body}");
                let reported = warnings(&node);
                assert_eq!(reported.len(), fields.len(), "{reported:?}");
                for field in fields {
                    assert!(reported.iter().any(|text| text.starts_with(&format!("`{field}` is "))), "{reported:?}");
                }
                assert_eq!((&node["status"], &node["error"]), (&json!("QUEUED"), &Value::Null));
            }
        }
    }
    let numbers = with(|body| body["periodicidade"] = json!(1_740_020_400_000_i64));
    assert_eq!(taken(&app, &numbers).await["periodStart"], "2025-05-09T00:00:00");
    // Valid values and missing ones cause no warning.
    for body in [with(|_| ()), without(&["periodicidade", "periodicidadeFinal"]), without(&["periodicidadeFinal"])] {
        assert_eq!(taken(&app, &body).await["warnings"], json!([]), "{body}");
    }
    // In every form of answer: exports, and what SQL tools read.
    let rows = app.get(&format!("/export/notifications.ndjson?key={}", crate::harness::KEY)).await;
    let rows = rows.text().await.expect("text");
    let reported = rows.lines().filter(|line| line.contains("`periodicidade` is `fevereiro`")).count();
    assert_eq!(reported, 6, "{rows}");
}

#[tokio::test]
async fn dates_in_other_forms_are_used_where_nothing_better_is_given() {
    let app = quiet(Db::Sqlite).await;
    let day = ["2025-02-20T00:00:00", "2025-02-20T23:59:59"];
    let cases = [
        (json!({ "periodicidade": "/Date(1740020400000)/", "periodicidadeFinal": "/Date(1740106799000-0300)/" }), day),
        (json!({ "periodicidade": "20/02/2025 00:00:00", "periodicidadeFinal": "20/02/2025 23:59:59" }), day),
        (json!({ "periodicidade": "20/02/2025", "periodicidadeFinal": "20/02/2025" }), day),
        (json!({ "periodicidade": "2/20/2025 12:00:00 AM", "periodicidadeFinal": "2/20/2025 11:59:59 PM" }), day),
        (json!({ "periodicidade": "Thu, 20 Feb 2025 03:00:00 GMT" }), day),
        (json!({ "periodicidade": "2025-02-20T00:00:00", "periodicidadeFinal": "2025-02-19T23:59:59" }), day),
        (json!({ "periodicidade": "2025-02-20T00:00:00", "periodicidadeFinal": "0001-01-01T00:00:00" }), day),
        (json!({ "dataProduto": "2025-02-20" }), day),
        (json!({ "dataProduto": "20/02/2025 00:00:00", "periodicidade": "0001-01-01T00:00:00" }), day),
        (json!({ "dataProduto": "20/2/2025" }), day),
        (json!({ "dataProduto": "06/09/2025 a 12/09/2025" }), ["2025-09-06T00:00:00", "2025-09-12T23:59:59"]),
        (json!({ "dataProduto": "06/09/2025-12/09/2025" }), ["2025-09-06T00:00:00", "2025-09-12T23:59:59"]),
        (json!({ "dataProduto": "2025-03" }), ["2025-03-01T00:00:00", "2025-03-31T23:59:59"]),
        (
            json!({ "dataProduto": "20/02/2025", "periodicidade": "2025-02-20T00:00:00", "periodicidadeFinal": "2025-02-19T00:00:00" }),
            day,
        ),
        (json!({ "dataProduto": 7, "periodicidade": "2025-02-20T00:00:00" }), day),
    ];
    for (mut body, expected) in cases {
        body["nome"] = json!("Acomph");
        body["url"] = json!("http://127.0.0.1:9/x");
        let node = taken(&app, &body.to_string()).await;
        assert_eq!([&node["periodStart"], &node["periodEnd"]], expected, "{body}: {node}");
        assert!(!warnings(&node).is_empty(), "{body}: {node}");
    }
    for none in ["0001-01-01T00:00:00", "1900-01-01T00:00:00", "13/13/2025 00:00:00", "amanhã"] {
        let body = Notice::new("x").without(&["dataProduto"]).with("periodicidade", none);
        let (status, answer) = app.notify(&body.to_string()).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer["detail"].as_str().expect("a detail").contains(none), "{answer}");
    }
}

on_each_database!(texts_are_bounded_alike_on_both_databases);
async fn texts_are_bounded_alike_on_both_databases(db: Db) {
    let app = quiet(db).await;
    // What no compression makes small.
    let text = |chars: usize| -> String {
        (0..chars).map(|i| char::from(b'a' + (acervo::domain::Digest::of(&i.to_le_bytes()).0[0] % 26))).collect()
    };
    let fields = ["nome", "processo", "macroProcesso", "dataProduto"];
    for field in fields {
        for (chars, status) in [(2_000, 202), (2_001, 422), (2_800, 422), (240_000, 422)] {
            let (answered, answer) = app.notify(&with(|body| body[field] = json!(text(chars)))).await;
            assert_eq!(answered, status, "{field} of {chars}: {answer}");
            let node = recorded(&app, &answer).await;
            if status == 202 {
                assert_eq!(warnings(&node).len(), 1, "{node}");
            } else {
                let reason = node["error"].as_str().expect("a reason");
                assert_eq!(reason, format!("`{field}` has {chars} characters; at most 2000 are accepted"));
                assert_eq!(node["status"], "REJECTED");
            }
            for field in ["name", "process", "referenceDate"] {
                assert!(node[field].as_str().expect("a text").chars().count() <= 500);
            }
        }
    }
    // Letters that folding makes eighteen of, and letters of four bytes.
    for wide in ["\u{fdfa}", "𒐫", "é"] {
        let node = taken(&app, &with(|body| body["nome"] = json!(wide.repeat(600)))).await;
        assert_eq!(warnings(&node).len(), 1, "{node}");
    }
    // In the token: the path is a key of the database too.
    let links = crate::harness::links::FileServer::start().await;
    for path in [format!("/{}/Produtos/1/x.pdf", text(3_000)), "/sites/9\u{0}/Produtos/2/\u{0}".to_owned()] {
        let link = links.link(&json!({ "URL": path, "IsFile": "True", "username": "x@example.com" }));
        taken(&app, &with(|body| body["url"] = json!(link))).await;
    }
    // Control characters must not lose a file.
    let node = taken(&app, &with(|body| body["nome"] = json!("A\u{0}b\u{1b}[31mc\nd"))).await;
    assert_eq!(node["name"], "Ab[31mc d");
    assert_eq!(warnings(&node), ["`nome` holds control characters; removed them"]);
    control_characters_are_refused_in_filters(&app).await;
}

async fn control_characters_are_refused_in_filters(app: &TestApp) {
    for query in [
        r#"{ notifications(filter: { name: { contains: "a\u0000b" } }) { totalCount } }"#,
        r#"{ notifications(filter: { name: { eq: "\u0000" } }) { totalCount } }"#,
        r#"{ notifications(filter: { source: ["\u0000"] }) { totalCount } }"#,
        r#"{ publications(filter: { name: { startsWith: "\u0000" }, process: { in: ["\u0000"] } }) { totalCount } }"#,
    ] {
        let answer = app.ask(query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query}: {answer}");
        let message = answer["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("U+0000"), "{query}: {message}");
    }
}

on_each_database!(names_are_compared_without_white_space_and_zero_width_characters);
async fn names_are_compared_without_white_space_and_zero_width_characters(db: Db) {
    let app = TestApp::on(db).await;
    app.leaves_work_unsettled("the links lead nowhere");
    for name in ["Relatório\nMensal", "Relatório\u{a0}\u{200b}Mensal\u{feff}", "Rela\u{ad}tório\t\r\nMensal"] {
        taken(&app, &with(|body| body["nome"] = json!(name))).await;
    }
    let query = r#"{ publications { totalCount }
        searched: publications(search: "mensal") { totalCount }
        equal: publications(filter: { name: { eq: "RELATORIO  MEN\u200bSAL" } }) { totalCount }
        received: notifications(filter: { name: { eq: "relatorio mensal" } }) { totalCount } }"#;
    let data = app.until(query, |data| data["publications"]["totalCount"] == 1).await;
    assert_eq!(
        [&data["searched"], &data["equal"], &data["received"]].map(|found| found["totalCount"].as_u64()),
        [Some(1), Some(1), Some(3)]
    );
}

#[tokio::test]
async fn values_that_json_readers_cannot_hold_are_replaced_with_a_warning() {
    let app = quiet(Db::Sqlite).await;
    let deep = format!("{}7{}", "[".repeat(5_000), "]".repeat(5_000));
    let start = valid().to_string();
    let start = start.strip_suffix('}').expect("an object");
    let cases = [
        (format!(r#"{start},"nome":"Acomph \ud800 x"}}"#), "surrogate"),
        (format!(r#"{start},"extra":"\udfff\ud83d\ude00"}}"#), "surrogate"),
        (format!(r#"{start},"\ud800":1}}"#), "surrogate"),
        (format!(r#"{start},"extra":1e999}}"#), "1e999"),
        (format!(r#"{start},"extra":{deep}}}"#), "nested"),
        (format!(r#"{start},"extra":1,"extra":2}}"#), "`extra` more than once"),
        (format!(r#"{start},"Nome":"Outro"}}"#), "`nome` occurs more than once"),
        (format!("{start},\"extra\":\"a\nb\"}}"), ""),
        (format!("\u{feff}{start}}}"), ""),
        (format!(r#"{start},"big":123456789012345678901234567890}}"#), ""),
    ];
    for (body, reported) in cases {
        let node = taken(&app, &body).await;
        let warnings = warnings(&node);
        assert_eq!(warnings.is_empty(), reported.is_empty(), "{body}: {warnings:?}");
        assert!(warnings.iter().any(|text| text.contains(reported)) || reported.is_empty(), "{reported}: {warnings:?}");
        assert!(node["body"].is_object(), "{body}");
        assert_eq!(node["body"]["url"], "[link]");
    }
    // Every digit, in the response as it is sent.
    let query = format!("{}/graphql?query={{notifications{{nodes{{body}}}}}}", app.url);
    let answer = app.client.get(query).bearer_auth(crate::harness::KEY).send().await.expect("a response");
    let text = answer.text().await.expect("text");
    assert!(text.contains("\"big\":123456789012345678901234567890"), "{text}");
    assert!(text.contains("\u{fffd}\u{1f600}") && text.contains("\"1e999\"") && text.contains("[[7]]"), "{text}");
    // Bytes of other encodings.
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(format!("{start}}}").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut broken = with(|body| body["nome"] = json!("Previsão à noite #")).into_bytes();
    let at = broken.iter().position(|b| *b == b'#').expect("a place");
    broken[at] = 0xff;
    for (body, name) in [(utf16, "Acomph"), (broken, "Previsão à noite \u{fffd}")] {
        let (status, answer) = app.send(body, "application/json").await;
        assert_eq!(status, 202, "{answer}");
        let node = recorded(&app, &answer).await;
        assert_eq!(node["name"], name);
        assert!(warnings(&node).iter().any(|text| text.contains("not UTF-8")), "{node}");
    }
}

#[tokio::test]
async fn requests_that_are_not_a_notification_are_not_recorded() {
    let app = TestApp::start().await;
    for (body, status) in [("{", 400), ("[]", 400), ("", 400), ("\"text\"", 400), ("{} {}", 400), ("null", 400)] {
        assert_eq!(app.notify(body).await.0, status, "{body}");
    }
    assert_eq!(app.send(vec![b'x'; 1 << 20], "application/json").await.0, 413);
    assert_eq!(app.send(vec![b' '; (256 << 10) + 1], "application/json").await.0, 413);
    assert_eq!(app.send(b"Acomph".to_vec(), "text/plain").await.0, 415);
    assert_eq!(app.send(b"<nome>Acomph</nome>".to_vec(), "application/xml").await.0, 415);
    let all = app.query("{ notifications { totalCount } }").await;
    assert_eq!(all["notifications"]["totalCount"], 0);
}

#[tokio::test]
async fn receiver_credentials_work_in_every_form() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
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
        let request = app.client.post(format!("{}/webhook", app.url)).header(name, &value).json(&valid());
        assert_eq!(request.send().await.expect("a response").status().as_u16(), status, "{name}: {value}");
    }
    // The receiver's token opens nothing else.
    let asked = app.client.get(format!("{}/graphql?query={{status{{version}}}}", app.url)).bearer_auth(TOKEN);
    assert_eq!(asked.send().await.expect("a response").status().as_u16(), 401);
}

#[tokio::test]
async fn sources_have_their_own_basic_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acervo.toml");
    std::fs::write(&file, "[receiver.sources.mesa]\nusername = \"ons\"\npassword = \" segredo \"\n").expect("a file");
    let overrides = acervo::config::Overrides {
        config: Some(file),
        values: vec![
            ("data_dir".into(), folder.path().join("d").display().to_string()),
            ("receiver.token".into(), TOKEN.into()),
        ],
    };
    let settings = acervo::config::load(&overrides, &|_| None).expect("valid settings");
    let app =
        acervo::app::App::open(settings, acervo::app::Role::Server, Default::default()).await.expect("an archive");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { acervo::http::serve(listener, &app, std::future::pending()).await });
    let client = reqwest::Client::new();
    let post = |path: &str| client.post(format!("{url}{path}")).json(&valid());
    let status =
        |request: reqwest::RequestBuilder| async { request.send().await.expect("a response").status().as_u16() };
    assert_eq!(status(post("/webhook/mesa").basic_auth("ons", Some(" segredo "))).await, 202);
    assert_eq!(status(post("/webhook/mesa").basic_auth("ons", Some("segredo"))).await, 401);
    assert_eq!(status(post("/webhook/mesa").basic_auth("ons", Some("outro"))).await, 401);
    assert_eq!(status(post("/webhook/mesa").header("authorization", TOKEN)).await, 401);
    assert_eq!(status(post("/webhook/outra").header("authorization", TOKEN)).await, 202);
    assert_eq!(status(post("/webhook").basic_auth("ons", Some("segredo"))).await, 401);
    assert_eq!(status(post("/webhook/a.b").header("authorization", TOKEN)).await, 404);
}

#[tokio::test]
async fn get_head_and_options_record_nothing() {
    let app = TestApp::start().await;
    for method in [reqwest::Method::GET, reqwest::Method::HEAD, reqwest::Method::OPTIONS] {
        let answer = app.client.request(method, format!("{}/webhook", app.url)).send().await.expect("a response");
        assert_eq!(answer.status().as_u16(), 200);
    }
    let answer = app.client.delete(format!("{}/webhook", app.url)).send().await.expect("a response");
    assert_eq!(answer.status().as_u16(), 405);
    assert_eq!(app.query("{ notifications { totalCount } }").await["notifications"]["totalCount"], 0);
}

#[tokio::test]
async fn every_spelling_of_a_body_is_read_alike() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    let pascal = json!({
        "Nome": "Acomph", "Processo": "Acompanhamento", "DataProduto": "09/05/2025", "MacroProcesso": "Programação",
        "Periodicidade": "2025-05-09T03:00:00.000Z", "PeriodicidadeFinal": "2025-05-10T02:59:59.000Z",
        "Uri": "http://127.0.0.1:9/x", "Extra": { "kept": true }
    });
    let latin: Vec<u8> = valid().to_string().replace("Acomph", "Previsão").chars().map(|c| c as u8).collect();
    assert_eq!(app.notify(&valid().to_string()).await.0, 202);
    assert_eq!(app.notify(&pascal.to_string()).await.0, 202);
    assert_eq!(app.send(form(&valid()), "application/x-www-form-urlencoded").await.0, 202);
    assert_eq!(app.send(latin, "application/json").await.0, 202);
    let query = "{ notifications { nodes { name process macroProcess referenceDate periodStart periodEnd body } }
        publications { totalCount } }";
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

/// The dates that a body has; and its reference date, its period, and how long that is.
fn derived() -> [(Value, [&'static str; 4]); 8] {
    [
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
    ]
}

#[tokio::test]
async fn missing_dates_are_derived_from_each_other() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    for (i, (mut body, [reference, start, end, granularity])) in derived().into_iter().enumerate() {
        body["nome"] = json!(format!("produto {i}"));
        body["url"] = json!("http://127.0.0.1:9/x");
        assert_eq!(app.notify(&body.to_string()).await.0, 202, "{body}");
        let query = "query($n: String!) { publications(filter: { name: { eq: $n } }) {
            nodes { referenceDate periodStart periodEnd granularity process } } }";
        let name = json!({ "n": format!("produto {i}") });
        let node = until("the publication in the index", async || {
            let node = app.query_with(query, name.clone()).await["publications"]["nodes"][0].clone();
            node.is_object().then_some(node)
        })
        .await;
        assert_eq!(
            node,
            json!({ "referenceDate": reference, "periodStart": start, "periodEnd": end, "granularity": granularity, "process": "" })
        );
    }
}
