//! What a portal sends instead of a file, and files in unusual forms.
use serde_json::{Value, json};

use crate::harness::links::FileServer;
use crate::harness::notice::Notice;
use crate::harness::samples::zip;
use crate::harness::{Db, TestApp, bytes_in, on_each_database, sha256};

const EXCEL: &str = "application/vnd.ms-excel";
const SHEET: &[u8] = b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><body><table><tr><td>Usina";
const TABLE: &[u8] = b"<table><tr><td>Usina</td></tr></table>";

/// Announces one file of a product for a day, as this type and these bytes.
async fn announce(
    app: &TestApp,
    links: &FileServer,
    product: u32,
    name: &str,
    day: u32,
    sent: (&str, &[u8]),
) -> String {
    let path = format!("/sites/9/1/Produtos/{product}/{day}/{name}");
    links.offer_as(&path, sent.1, sent.0);
    let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
    let body = Notice::new(format!("Produto {product}")).reference(format!("{day:02}/02/2025")).link(link);
    let (status, answer) = app.notify(&body.to_string()).await;
    assert_eq!(status, 202);
    answer["id"].as_str().expect("an id").to_owned()
}

/// The notification's end, or its first failed attempt.
async fn outcome(app: &TestApp, id: &str) -> Value {
    let query =
        format!("{{ notification(id: \"{id}\") {{ status error attempts revision {{ sha256 fileName warnings }} }} }}");
    let is_over = |data: &Value| {
        let node = &data["notification"];
        let failed = node["status"] == "RETRYING" && node["revision"].is_null();
        failed || ["ARCHIVED", "UNCHANGED", "FAILED", "EXPIRED"].iter().any(|status| node["status"] == *status)
    };
    app.until(&query, is_over).await["notification"].clone()
}

#[tokio::test]
async fn an_html_page_instead_of_a_file_is_never_archived() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("a page instead of a file is fetched again");
    let links = FileServer::start().await;
    let wide: Vec<u8> = "\u{feff}<html></html>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let comment = format!("<!-- {} -->\n<html>", "x".repeat(30_000));
    let pages: Vec<(&str, &str, &[u8])> = vec![
        ("a.pdf", "application/octet-stream", b"<!-- erro --><html><body>Erro</body></html>"),
        ("a.xlsx", "application/octet-stream", b"<?xml version=\"1.0\"?><!DOCTYPE html><html></html>"),
        ("a.zip", "application/zip", b"<BODY>Erro</BODY>"),
        ("a.csv", "text/csv", b"<script>location='/login'</script>"),
        ("a.pdf", "application/pdf", &wide),
        ("a.pdf", "text/html; charset=utf-8", b"Token expirado"),
        ("a.txt", "text/html", b"Token expirado"),
        ("a.dat", "application/octet-stream", comment.as_bytes()),
        ("a.xls", EXCEL, b"<html><body><form action=/login><table><tr><td><input type=password>"),
        ("a.xls", "text/html", TABLE),
        ("a.xlsx", EXCEL, SHEET),
    ];
    for (n, (name, content_type, bytes)) in (1..).zip(pages) {
        let id = announce(&app, &links, n, name, 1, (content_type, bytes)).await;
        let end = outcome(&app, &id).await;
        assert_eq!(end["status"], "RETRYING", "{n} {name}: {end}");
        assert_eq!(end["error"], "the portal sent an HTML page instead of a file", "{n} {name}");
    }
    assert_eq!(bytes_in(&app.folder.path().join("data/archive")), 0);
}

#[tokio::test]
async fn files_in_an_unusual_form_are_archived_with_a_warning() {
    let app = TestApp::start().await;
    let links = FileServer::start().await;
    let pdf = b"%PDF-1.7\nconteudo\n%%EOF\n";
    let intact = zip(&[("[Content_Types].xml", b"<Types/>")]);
    // The name, the type, the bytes, the attempts, a part of the warning.
    let files: Vec<(&str, &str, &[u8], i64, &str)> = vec![
        ("a.xls", EXCEL, SHEET, 1, "written as HTML or XML"),
        ("a.xls", "application/octet-stream", SHEET, 1, "written as HTML or XML"),
        ("a.xls", EXCEL, TABLE, 1, "written as HTML or XML"),
        (
            "a.xls",
            EXCEL,
            b"<?xml version=\"1.0\"?><?mso-application progid=\"Excel.Sheet\"?><Workbook/>",
            1,
            "HTML or XML",
        ),
        ("a.xls", EXCEL, b"Usina\tMW\r\n", 1, "it is a text"),
        ("a.pdf", "text/html", pdf, 1, ""),
        ("a.html", "text/html", b"<html></html>", 1, ""),
        ("a.json", "application/json", b"{\"a\": 1}", 1, ""),
        ("a.xml", "text/xml", b"<dados/>", 1, ""),
        ("a.xlsx", "application/octet-stream", &intact, 1, ""),
        ("a.pdf", "application/pdf", &pdf[..15], 2, "no end (%%EOF)"),
        ("a.xlsx", "application/octet-stream", &intact[..40], 2, "no zip directory"),
        ("a.pdf", "application/pdf", b"{\"error\": \"expired\"}", 2, "JSON"),
        ("a.xlsx", "application/xml", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", 2, "XML"),
        ("a.zip", "application/json", b"{\"error\": \"expired\"}", 2, "JSON"),
        ("a.gz", "application/octet-stream", b"erro interno", 2, "it is a text"),
        ("a.png", "application/octet-stream", b"erro interno", 2, "it is a text"),
    ];
    for (n, (name, content_type, bytes, attempts, warning)) in (1..).zip(files) {
        let id = announce(&app, &links, n, name, 1, (content_type, bytes)).await;
        let end = outcome(&app, &id).await;
        assert_eq!(
            (end["status"].as_str(), end["attempts"].as_i64()),
            (Some("ARCHIVED"), Some(attempts)),
            "{n}: {end}"
        );
        assert_eq!(end["revision"]["sha256"], sha256(bytes), "{n}");
        let warnings = end["revision"]["warnings"].as_array().expect("a list");
        let is_warned = warnings.iter().any(|own| own.as_str().is_some_and(|own| own.contains(warning)));
        assert!(if warning.is_empty() { warnings.is_empty() } else { is_warned }, "{n}: {end}");
    }
    app.settled(17).await;
}

on_each_database!(earlier_files_of_a_product_decide_about_the_next_one);
async fn earlier_files_of_a_product_decide_about_the_next_one(db: Db) {
    let app = TestApp::on(db).await;
    let links = FileServer::start().await;
    let first = announce(&app, &links, 1, "a.xls", 1, (EXCEL, SHEET)).await;
    assert_eq!(outcome(&app, &first).await["status"], "ARCHIVED");
    // The same product, now with the type that its server writes on everything.
    let second = announce(&app, &links, 1, "a.xls", 2, ("text/html", TABLE)).await;
    let end = outcome(&app, &second).await;
    assert_eq!((end["status"].as_str(), end["attempts"].as_i64()), (Some("ARCHIVED"), Some(1)), "{end}");
    // A log-in page is not a file, and what this product publishes says nothing about another product or extension.
    app.leaves_work_unsettled("a page instead of a file is fetched again");
    let login = b"<html><form><table><input type=password>";
    for (product, name, day, bytes) in [(1, "a.xls", 3, &login[..]), (2, "a.xls", 1, TABLE), (1, "a.xlsx", 4, SHEET)] {
        let id = announce(&app, &links, product, name, day, ("text/html", bytes)).await;
        let end = outcome(&app, &id).await;
        assert_eq!(end["status"], "RETRYING", "{product} {name} {day}: {end}");
    }
}

#[tokio::test]
async fn a_truncated_file_is_fetched_again() {
    let app = TestApp::start().await;
    let links = FileServer::start().await;
    let whole: &[u8] = b"%PDF-1.7\nconteudo\n%%EOF\n";
    let path = "/sites/9/1/Produtos/1/a.pdf";
    links.offer_in_turn(path, &[&whole[..15], whole], "application/pdf");
    let link = links.link(&json!({ "URL": path, "IsFile": "True" }));
    let body = Notice::new("Produto").reference("01/02/2025").link(link);
    assert_eq!(app.notify(&body.to_string()).await.0, 202);
    app.settled(1).await;
    let data = app.query("{ publications { nodes { sha256 revisionCount } } }").await;
    assert_eq!(data["publications"]["nodes"], json!([{ "sha256": sha256(whole), "revisionCount": 2 }]));
    let data = app.query("{ revisions(orderBy: ARCHIVED_ASC) { nodes { warnings } } }").await;
    let warned =
        data["revisions"]["nodes"].as_array().expect("a list").iter().map(|node| node["warnings"] != json!([]));
    assert_eq!(warned.collect::<Vec<_>>(), [true, false], "{data}");
}
