use std::io::Read;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::harness::process::{Served, acervo, free_port};
use crate::harness::samples::product;
use crate::harness::{Db, KEY, TestApp, on_each_database};

async fn bytes(app: &TestApp, export: &str) -> Vec<u8> {
    let answer = app.get(&format!("/export/{export}")).await;
    let status = answer.status();
    let bytes = answer.bytes().await.expect("a body").to_vec();
    assert_eq!(status, 200, "{export}: {}", String::from_utf8_lossy(&bytes));
    bytes
}

async fn text(app: &TestApp, export: &str) -> String {
    String::from_utf8(bytes(app, export).await).expect("text")
}

async fn one_product(app: &TestApp) {
    app.archive(app.portal.add(product(1, "Precipitação", "=chuva.csv", "1;2"))).await;
}

/// When the only publication was archived: in UTC, and the same on the wall clock of São Paulo, which is three hours behind.
async fn archived_at(app: &TestApp) -> (jiff::Timestamp, jiff::civil::DateTime) {
    let data = app.query("{ publications { nodes { archivedAt } } }").await;
    let at: jiff::Timestamp =
        data["publications"]["nodes"][0]["archivedAt"].as_str().expect("an instant").parse().expect("an instant");
    (at, jiff::tz::TimeZone::fixed(jiff::tz::offset(-3)).to_datetime(at))
}

on_each_database!(instants_are_written_in_a_zone);
async fn instants_are_written_in_a_zone(db: Db) {
    let app = TestApp::on(db).await;
    one_product(&app).await;
    let (at, local) = archived_at(&app).await;
    let columns = "columns=archivedAt,periodEnd";
    let millis = format!("{local:.3}");
    let zone = "tz=America/Sao_Paulo";
    let csv = text(&app, &format!("publications.csv?{columns}&{zone}")).await;
    assert_eq!(csv, format!("archivedAt,periodEnd\r\n{millis},2025-02-20T23:59:59\r\n"));
    let ndjson = text(&app, &format!("publications.ndjson?{columns}&{zone}")).await;
    assert_eq!(ndjson, format!("{{\"archivedAt\":\"{millis}\",\"periodEnd\":\"2025-02-20T23:59:59\"}}\n"));
    let plain = text(&app, &format!("publications.csv?{columns}")).await;
    assert!(plain.contains(&format!("{at:.3},2025")), "{plain}");
    // Dates that spreadsheets in Portuguese read as such.
    let brazilian = text(&app, &format!("publications.csv?{columns}&{zone}&dates=br&delimiter=;&headers=pt")).await;
    let written = local.strftime("%d/%m/%Y %H:%M:%S");
    assert_eq!(brazilian, format!("Arquivado em;Fim do período\r\n{written};20/02/2025 23:59:59\r\n"));
    // Parquet: a timestamp of the wall clock.
    let file =
        bytes::Bytes::from(bytes(&app, &format!("publications.parquet?columns=archivedAt&{zone}&headers=pt")).await);
    let reader = SerializedFileReader::new(file).expect("a file");
    let column = reader.metadata().file_metadata().schema_descr().column(0);
    assert_eq!(column.name(), "Arquivado em");
    assert_eq!(column.logical_type_ref(), Some(&LogicalType::timestamp(false, TimeUnit::MILLIS)));
    let row = reader.get_row_iter(None).expect("rows").next().expect("a row").expect("a row");
    let expected = jiff::tz::TimeZone::UTC.to_timestamp(local).expect("an instant").as_millisecond();
    assert!(format!("{row:?}").contains(&expected.to_string()), "{row:?}");
    for (wrong, word) in
        [("tz=Sao_Paulo", "`tz` is `Sao_Paulo`"), ("headers=fr", "`headers` is `fr`"), ("dates=us", "`dates` is `us`")]
    {
        let answer = app.get(&format!("/export/publications.csv?{wrong}")).await;
        assert_eq!(answer.status(), 400, "{wrong}");
        let problem: Value = answer.json().await.expect("JSON");
        assert!(problem["detail"].as_str().expect("text").contains(word), "{problem}");
    }
    // Another form is another file.
    let tag = async |export: &str| app.get(&format!("/export/{export}")).await.headers()["etag"].clone();
    assert_ne!(tag("publications.csv").await, tag("publications.csv?headers=pt").await);
}

/// A part of a workbook.
fn part(book: &[u8], name: &str) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(book)).expect("a zip");
    let mut text = String::new();
    zip.by_name(name).expect("a part").read_to_string(&mut text).expect("text");
    text
}

#[tokio::test]
async fn a_workbook_has_typed_cells() {
    let app = TestApp::start().await;
    one_product(&app).await;
    let (_, local) = archived_at(&app).await;
    let columns = "columns=fileName,size,archivedAt,periodEnd,revisionNumber";
    let export = format!("publications.xlsx?{columns}&tz=America/Sao_Paulo&headers=pt");
    let answer = app.get(&format!("/export/{export}")).await;
    let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!(kind, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
    assert!(answer.headers().contains_key("content-length") && answer.headers().contains_key("etag"));
    let book = answer.bytes().await.expect("a body").to_vec();
    let sheet = part(&book, "xl/worksheets/sheet1.xml");
    // A date is a number with a format; the end of the period is a second before midnight.
    let cell = |name: &str| {
        let rest = sheet.split(&format!("<c r=\"{name}\"")).nth(1).unwrap_or_else(|| panic!("{name}: {sheet}"));
        rest.split("</c>").next().expect("a cell").to_owned()
    };
    let number = |name: &str| -> f64 {
        let cell = cell(name);
        let value = cell.split("<v>").nth(1).and_then(|rest| rest.split("</v>").next()).expect("a value");
        assert!(!cell.contains("t="), "{name} is not a number: {cell}");
        value.parse().expect("a number")
    };
    assert_eq!(number("B2"), 3.0);
    assert_eq!(number("E2"), 1.0);
    assert!((number("D2") - (45_709.0 - 1.0 / 86_400.0)).abs() < 1e-6, "{}", cell("D2"));
    let days = jiff::tz::TimeZone::UTC.to_timestamp(local).expect("an instant").as_millisecond() as f64 / 86_400_000.0;
    assert!((number("C2") - 25_569.0 - days).abs() < 1e-6, "{}", cell("C2"));
    assert!(cell("C2").contains("s=\"") && part(&book, "xl/styles.xml").contains("dd/mm/yyyy hh:mm:ss"));
    // Text is text, also where it looks like a formula.
    assert!(sheet.contains("=chuva.csv") && sheet.contains("Arquivado em") && !sheet.contains("<f>"), "{sheet}");
    // The same rows give the same bytes.
    let again = bytes(&app, &format!("{export}&limit=10")).await;
    assert_eq!(part(&again, "xl/worksheets/sheet1.xml"), sheet);
    assert_eq!(part(&again, "docProps/core.xml"), part(&book, "docProps/core.xml"));
    for table in ["revisions", "notifications", "members"] {
        part(&bytes(&app, &format!("{table}.xlsx")).await, "xl/worksheets/sheet1.xml");
    }
}

/// More rows than a worksheet holds are an error before the first byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workbook_with_too_many_rows_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = acervo(folder.path());
    let port = free_port();
    command.env("FAILPOINTS", "worksheet-rows=return(2)");
    let served = tokio::task::block_in_place(|| Served::spawn(command, folder.path().join("log"), port, "info"));
    for number in 0..3 {
        assert_eq!(served.notify(&format!("{{ \"nome\": \"Produto {number}\" }}")).await.0, 422);
    }
    let request = |query: &str| {
        let url = format!("{}/export/notifications.xlsx?{query}", served.url);
        served.client.get(url).bearer_auth(KEY).send()
    };
    let refused = request("").await.expect("a response");
    assert_eq!(refused.status(), 400);
    let problem: Value = refused.json().await.expect("JSON");
    assert!(problem["detail"].as_str().expect("text").contains("worksheet"), "{problem}");
    assert_eq!(request("limit=2").await.expect("a response").status(), 200);
}
