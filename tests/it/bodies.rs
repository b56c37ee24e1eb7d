//! Notification bodies in the forms that SINtegre sends, each with the file behind its link.
//!
//! `tests/fixtures/notifications.ndjson` contains bodies that were written for these tests: products that are files, folders, or both in
//! turn; names with double spaces, dashes, capitals and missing accents; a renamed product; the same file announced
//! again with a new token; another file for the same period. `real.rs` checks the same with real bodies.
use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::harness::links::{FileServer, claims_of};
use crate::harness::notice::form;
use crate::harness::process::imported;
use crate::harness::samples::{EMAIL, text, zip};
use crate::harness::{Db, TestApp, bytes_in, on_each_database, sha256};

/// The bodies of our own making, one a line.
pub const MADE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notifications.ndjson");

/// Bodies pointed at a server of ours.
pub struct Bodies {
    bodies: Vec<Value>,
    links: FileServer,
    files: Vec<Bytes>,
}

fn link_of(body: &Value) -> Value {
    claims_of(body["url"].as_str().expect("a link"))
}

/// The path in a body's link: bodies with the same path announce the same file.
fn path_of(body: &Value) -> String {
    link_of(body)["URL"].as_str().expect("a path").to_owned()
}

/// A file of the type that its extension says, different for each number.
fn file_named(name: &str, number: usize) -> Bytes {
    let mut bytes = format!("file {number}\r\n").into_bytes();
    bytes.extend(text(3_000 + 500 * number));
    match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
        Some("pdf") => [b"%PDF-1.7\n", &bytes[..], b"\n%%EOF\n"].concat(),
        Some("xls") => [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", &bytes[..]].concat(),
        Some("txt" | "dat") => bytes,
        Some("xlsx") => zip(&[("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", &bytes)]),
        // A zip, or a folder, which the portal sends as one.
        _ => zip(&[("dados.dat", &bytes)]),
    }
    .into()
}

impl Bodies {
    async fn made() -> Self {
        let text = std::fs::read_to_string(MADE).expect("the fixture");
        Self::new(&text, |path, number| file_named(path.rsplit('/').next().unwrap_or_default(), number)).await
    }

    /// Bodies as lines of JSON, each with the file that is made for its path and its number.
    pub async fn new(lines: &str, file: impl Fn(&str, usize) -> Bytes) -> Self {
        let bodies: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a body")).collect();
        let links = FileServer::start().await;
        let mut by_path: HashMap<String, Bytes> = HashMap::new();
        for (i, path) in bodies.iter().map(path_of).enumerate() {
            let bytes = by_path.entry(path.clone()).or_insert_with(|| file(&path, i));
            let name = path.rsplit('/').next().expect("a name").replace(|c: char| !c.is_ascii(), "_");
            let disposition = (i % 2 == 0).then(|| format!("attachment; filename=\"{name}\""));
            links.offer(&path, bytes, disposition);
        }
        let files = bodies.iter().map(|body| by_path[&path_of(body)].clone()).collect();
        Self { bodies, links, files }
    }

    fn len(&self) -> usize {
        self.bodies.len()
    }

    /// The body with a link that works now.
    fn body(&self, i: usize) -> Value {
        let mut body = self.bodies[i].clone();
        let mut claims = link_of(&body);
        claims["username"] = json!(EMAIL);
        body["url"] = json!(self.links.link(&claims));
        body
    }
}

/// The list in the path of a body's link, which identifies its product.
fn list_of(body: &Value) -> String {
    let path = path_of(body).replace("https://sintegre.ons.org.br", "");
    let at = path.find("/Produtos/").expect("a list");
    let number: String = path[at + 10..].chars().take_while(char::is_ascii_digit).collect();
    format!("{}/Produtos/{number}", &path[..at])
}

/// Product, reference date and period, which identify a publication.
fn publication_of(body: &Value) -> String {
    format!("{} {} {} {}", list_of(body), body["dataProduto"], body["periodicidade"], body["periodicidadeFinal"])
}

/// The ways to write a body.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Json,
    PascalCase,
    Form,
}

async fn send(app: &TestApp, body: &Value, spelling: Spelling) -> u16 {
    match spelling {
        Spelling::Json => app.notify(&body.to_string()).await.0,
        Spelling::PascalCase => app.notify(&pascal(body).to_string()).await.0,
        Spelling::Form => app.send(form(body), "application/x-www-form-urlencoded").await.0,
    }
}

/// A body with the keys that the portal's guide has.
fn pascal(body: &Value) -> Value {
    let renamed = |(key, value): (&String, &Value)| {
        let name = if key == "url" { "Uri".to_owned() } else { key[..1].to_uppercase() + &key[1..] };
        (name, value.clone())
    };
    Value::Object(body.as_object().expect("an object").iter().map(renamed).collect())
}

#[tokio::test]
async fn bodies_are_archived_byte_for_byte_in_every_spelling() {
    are_archived_in_every_spelling(&Bodies::made().await).await;
}

pub async fn are_archived_in_every_spelling(all: &Bodies) {
    for spelling in [Spelling::Json, Spelling::PascalCase, Spelling::Form] {
        let app = TestApp::start().await;
        let mut latest: HashMap<String, &Bytes> = HashMap::new();
        for i in 0..all.len() {
            assert_eq!(send(&app, &all.body(i), spelling).await, 202, "{spelling:?} {i}");
            // In order: some announce different files for one publication, and the last is the one latest.
            app.settled(i as u64 + 1).await;
            let before = latest.insert(publication_of(&all.bodies[i]), &all.files[i]);
            let status = if before == Some(&all.files[i]) { "UNCHANGED" } else { "ARCHIVED" };
            let data = app.query("{ notifications(first: 1) { nodes { name status warnings } } }").await;
            let node = &data["notifications"]["nodes"][0];
            assert_eq!((&node["status"], &node["warnings"]), (&json!(status), &json!([])), "{spelling:?}: {node}");
        }
        let last: BTreeMap<String, usize> = (0..all.len()).map(|i| (publication_of(&all.bodies[i]), i)).collect();
        let total = app.query("{ publications { totalCount } }").await["publications"]["totalCount"].clone();
        assert_eq!(total, last.len(), "{spelling:?}");
        for i in last.into_values() {
            is_found(&app, &all.bodies[i], &all.files[i]).await;
        }
    }
}

/// Queries a publication by its name and its days, and downloads its file.
async fn is_found(app: &TestApp, body: &Value, file: &Bytes) {
    let query = "query($n: String!, $p: String!, $from: LocalDate!, $to: LocalDate!) {
        publications(filter: { name: { eq: $n }, process: { eq: $p }, period: { from: $from, to: $to } }) {
            nodes { referenceDate periodStart periodEnd sha256 size status fileUrl } } }";
    let day = |field: &str| body[field].as_str().expect("a date")[..10].to_owned();
    let variables = json!({
        "n": body["nome"].as_str().expect("a name").to_uppercase(), "p": body["processo"],
        "from": day("periodicidade"), "to": day("periodicidadeFinal"),
    });
    let nodes = app.query_with(query, variables).await["publications"]["nodes"].clone();
    let own = |node: &&Value| node["referenceDate"] == body["dataProduto"];
    let node = nodes.as_array().expect("a list").iter().find(own);
    let node = node.unwrap_or_else(|| panic!("{} is not found", body["nome"]));
    assert_eq!(node["status"], "ARCHIVED");
    assert_eq!(node["periodStart"], body["periodicidade"]);
    assert_eq!(node["periodEnd"], body["periodicidadeFinal"]);
    assert_eq!(node["sha256"], sha256(file), "{}", body["nome"]);
    let bytes = app.get(node["fileUrl"].as_str().expect("a url")).await.bytes().await.expect("bytes");
    assert!(bytes == *file, "{}", body["nome"]);
}

on_each_database!(bodies_sent_three_times_add_no_byte);
async fn bodies_sent_three_times_add_no_byte(db: Db) {
    add_no_byte_when_sent_again(db, &Bodies::made().await).await;
}

pub async fn add_no_byte_when_sent_again(db: Db, all: &Bodies) {
    let app = TestApp::on(db).await;
    let (mut sent, mut stored) = (0, 0);
    // The current content of each publication, and how many revisions there must be. A content returns only if two bodies
    // announce different files for one publication.
    let mut latest: HashMap<String, &Bytes> = HashMap::new();
    let mut revisions = 0;
    for pass in 0..3 {
        for i in 0..all.len() {
            assert_eq!(app.notify(&all.body(i).to_string()).await.0, 202);
            sent += 1;
            app.settled(sent).await;
            let before = latest.insert(publication_of(&all.bodies[i]), &all.files[i]);
            revisions += u64::from(before != Some(&all.files[i]));
        }
        let data = app.query("{ revisions { totalCount } notifications { totalCount } }").await;
        assert_eq!(data["revisions"]["totalCount"], revisions, "{db:?}, pass {pass}");
        assert_eq!(data["notifications"]["totalCount"], sent, "{db:?}, pass {pass}");
        let bytes = bytes_in(&app.folder.path().join("data/archive"));
        assert!(pass == 0 || bytes == stored, "{db:?}, pass {pass}: the archive grew from {stored} to {bytes} bytes");
        stored = bytes;
    }
}

#[tokio::test]
async fn a_renamed_product_is_one_product_with_its_aliases() {
    let renamed = have_one_product_for_each_list(&Bodies::made().await).await;
    assert!(renamed > 0, "no product is renamed");
}

/// Gives how many products have several names.
pub async fn have_one_product_for_each_list(all: &Bodies) -> usize {
    let app = TestApp::start().await;
    let mut names: HashMap<String, HashSet<String>> = HashMap::new();
    for i in 0..all.len() {
        assert_eq!(app.notify(&all.body(i).to_string()).await.0, 202);
        let name = all.bodies[i]["nome"].as_str().expect("a name").to_owned();
        names.entry(list_of(&all.bodies[i])).or_default().insert(name);
    }
    app.settled(all.len() as u64).await;
    let query = "{ products(first: 1000) { totalCount nodes { name listPath aliases { name } publicationCount } } }";
    let data = app.query(query).await;
    assert_eq!(data["products"]["totalCount"], names.len());
    for product in data["products"]["nodes"].as_array().expect("a list") {
        let own = &names[product["listPath"].as_str().expect("a path")];
        let text = |value: &Value| value.as_str().expect("a name").to_owned();
        let aliases = product["aliases"].as_array().expect("a list").iter().map(|alias| text(&alias["name"]));
        assert_eq!(aliases.collect::<HashSet<_>>(), *own);
        assert!(own.contains(&text(&product["name"])));
    }
    names.values().filter(|names| names.len() > 1).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_with_expired_links_are_imported_once() {
    are_imported_once(MADE, "2025-04-01T11:02:57.000Z").await;
}

/// `newest` is when the last of the bodies was sent, by its token.
pub async fn are_imported_once(path: &str, newest: &str) {
    let app = TestApp::start().await;
    let count = std::fs::read_to_string(path).expect("bodies").lines().count();
    let (code, out, err) = imported(&app, &[path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with(&format!("{count} notifications read\n0 queued")), "{out}");
    assert!(out.contains(&format!("{count} recorded as expired")), "{out}");
    let (_, out, _) = imported(&app, &[path]);
    assert!(out.contains(&format!("{count} skipped")), "{out}");
    app.settled(count as u64).await;
    // Without a time of receipt, the time at which a token was made is the best there is.
    let data = app.query("{ notifications(first: 1) { nodes { receivedAt } } }").await;
    assert_eq!(data["notifications"]["nodes"][0]["receivedAt"], newest);
}
