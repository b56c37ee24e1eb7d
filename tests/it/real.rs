use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::harness::links::{FileServer, claims_of};
use crate::harness::{Db, TestApp, bytes_in, files_in, samples, sha256};

/// The real bodies, pointed at a server of ours, each with a real file.
struct Real {
    bodies: Vec<Value>,
    links: FileServer,
    files: Vec<Vec<u8>>,
}

impl Real {
    async fn load() -> Option<Self> {
        let (payloads, corpus) = (samples::folder("ACERVO_TEST_PAYLOADS")?, samples::folder("ACERVO_TEST_CORPUS")?);
        let text = std::fs::read_to_string(payloads.join("payloads.ndjson")).expect("the real bodies");
        let bodies: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a body")).collect();
        let files = files_in(&corpus).into_iter().filter(|path| path.extension().is_none_or(|e| e != "md"));
        let files: Vec<Vec<u8>> = files.map(|path| std::fs::read(path).expect("a file")).collect();
        let links = FileServer::start().await;
        for (i, body) in bodies.iter().enumerate() {
            let path = claims_of(body["url"].as_str().expect("a link"))["URL"].as_str().expect("a path").to_owned();
            let name = path.rsplit('/').next().expect("a name").to_owned();
            let disposition = (i % 2 == 0)
                .then(|| format!("attachment; filename=\"{}\"", name.replace(|c: char| !c.is_ascii(), "_")));
            links.offer(&path, &files[i % files.len()], disposition);
        }
        Some(Self { bodies, links, files })
    }

    /// The body with a link that lives, and the file behind it.
    fn body(&self, i: usize) -> (Value, &[u8]) {
        let mut body = self.bodies[i].clone();
        let mut claims = claims_of(body["url"].as_str().expect("a link"));
        claims["username"] = json!(samples::EMAIL);
        body["url"] = json!(self.links.link(&claims));
        // The same path is the same file, whichever body announces it: the last one offered.
        let path = claims["URL"].clone();
        let same = |j: &usize| claims_of(self.bodies[*j]["url"].as_str().expect("a link"))["URL"] == path;
        let last = (0..self.bodies.len()).rev().find(same).expect("itself");
        (body, &self.files[last % self.files.len()])
    }
}

/// Product, reference date and period of a body: what makes a publication.
fn key(body: &Value) -> String {
    let claims = claims_of(body["url"].as_str().expect("a link"));
    let path = claims["URL"].as_str().expect("a path").replace("https://sintegre.ons.org.br", "");
    let at = path.find("/Produtos/").expect("a list");
    let list: String = path[at + 10..].chars().take_while(char::is_ascii_digit).collect();
    format!(
        "{}/Produtos/{list} {} {} {}",
        &path[..at],
        body["dataProduto"],
        body["periodicidade"],
        body["periodicidadeFinal"]
    )
}

#[tokio::test]
async fn every_real_body_is_archived_byte_for_byte_in_every_spelling() {
    let Some(real) = Real::load().await else { return };
    let pascal = |body: &Value| {
        let names = [
            ("nome", "Nome"),
            ("processo", "Processo"),
            ("dataProduto", "DataProduto"),
            ("macroProcesso", "MacroProcesso"),
            ("periodicidade", "Periodicidade"),
            ("periodicidadeFinal", "PeriodicidadeFinal"),
            ("url", "Uri"),
        ];
        Value::Object(names.into_iter().map(|(from, to)| (to.to_owned(), body[from].clone())).collect())
    };
    for spelling in 0..3 {
        let app = TestApp::start().await;
        for i in 0..real.bodies.len() {
            let (body, _) = real.body(i);
            let status = match spelling {
                0 => app.notify(&body.to_string()).await.0,
                1 => app.notify(&pascal(&body).to_string()).await.0,
                _ => {
                    let mut form = url::form_urlencoded::Serializer::new(String::new());
                    for (key, value) in body.as_object().expect("an object") {
                        form.append_pair(key, value.as_str().expect("a text"));
                    }
                    app.send(form.finish().into_bytes(), "application/x-www-form-urlencoded").await.0
                }
            };
            assert_eq!(status, 202, "{i}");
            // In order: two of them announce different files for one publication, and the last is the one shown.
            app.settled(i as u64 + 1).await;
        }
        let all = app.query("{ notifications(first: 1000) { nodes { warnings } } }").await;
        let told = all["notifications"]["nodes"].as_array().expect("a list").iter();
        let told: Vec<&Value> = told.filter(|node| node["warnings"] != json!([])).collect();
        assert!(told.is_empty(), "real bodies are in order: {told:?}");
        let rejected = app.query("{ notifications(filter: { status: [ARCHIVED, UNCHANGED] }) { totalCount } }").await;
        assert_eq!(rejected["notifications"]["totalCount"].as_u64(), Some(real.bodies.len() as u64));
        let last: BTreeMap<String, usize> = real.bodies.iter().enumerate().map(|(i, body)| (key(body), i)).collect();
        let total = app.query("{ publications { totalCount } }").await["publications"]["totalCount"].as_u64();
        assert_eq!(total, Some(last.len() as u64));
        for i in last.into_values() {
            found(&app, &real, i).await;
        }
    }
}

async fn found(app: &TestApp, real: &Real, i: usize) {
    let (body, file) = real.body(i);
    let query = "query($n: String!, $p: String!, $from: LocalDate!, $to: LocalDate!) {
        publications(filter: { name: { eq: $n }, process: { eq: $p }, period: { from: $from, to: $to } }) {
            nodes { referenceDate periodStart periodEnd sha256 size status fileUrl } } }";
    let day = |field: &str| body[field].as_str().expect("a date")[..10].to_owned();
    let variables = json!({ "n": body["nome"].as_str().expect("a name").to_uppercase(), "p": body["processo"], "from": day("periodicidade"), "to": day("periodicidadeFinal") });
    let nodes = app.query_with(query, variables).await["publications"]["nodes"].clone();
    let own = |node: &&Value| node["referenceDate"] == body["dataProduto"];
    let node =
        nodes.as_array().expect("a list").iter().find(own).unwrap_or_else(|| panic!("{} is not found", body["nome"]));
    assert_eq!(node["status"], "ARCHIVED");
    assert_eq!(node["periodStart"], body["periodicidade"]);
    assert_eq!(node["periodEnd"], body["periodicidadeFinal"]);
    assert_eq!(node["sha256"], sha256(file), "{}", body["nome"]);
    let bytes = app.get(node["fileUrl"].as_str().expect("a url")).await.bytes().await.expect("bytes");
    assert!(bytes == *file);
}

#[tokio::test]
async fn three_times_the_same_adds_no_byte() {
    let Some(real) = Real::load().await else { return };
    for db in Db::all() {
        let app = TestApp::on(db).await;
        let mut sent = 0;
        let mut stored = 0;
        let mut revisions = 0;
        for pass in 0..3 {
            for i in 0..real.bodies.len() {
                assert_eq!(app.notify(&real.body(i).0.to_string()).await.0, 202);
                sent += 1;
                app.settled(sent).await;
            }
            let count =
                app.query("{ revisions { totalCount } }").await["revisions"]["totalCount"].as_u64().expect("a count");
            let bytes = bytes_in(&app.folder.path().join("data/archive"));
            if pass > 0 {
                assert_eq!(bytes, stored, "the archive grew");
                // Contents come back where two bodies announce different files for one publication, and only there.
                let doubled = real.bodies.len() - real.bodies.iter().map(key).collect::<HashSet<_>>().len();
                let different = 2 * doubled as u64;
                assert!(count - revisions <= different, "{} more revisions", count - revisions);
            }
            (stored, revisions) = (bytes, count);
        }
        let all = app.query("{ notifications { totalCount } }").await;
        assert_eq!(all["notifications"]["totalCount"].as_u64(), Some(3 * real.bodies.len() as u64));
    }
}

#[tokio::test]
async fn a_renamed_product_is_one_product_with_its_aliases() {
    let Some(real) = Real::load().await else { return };
    let app = TestApp::start().await;
    for i in 0..real.bodies.len() {
        app.notify(&real.body(i).0.to_string()).await;
    }
    app.settled(real.bodies.len() as u64).await;
    let lists: HashSet<String> =
        real.bodies.iter().map(|body| key(body).split(' ').next().expect("a list").to_owned()).collect();
    let data = app
        .query("{ products(first: 1000) { totalCount nodes { name listPath aliases { name } publicationCount } } }")
        .await;
    assert_eq!(data["products"]["totalCount"].as_u64(), Some(lists.len() as u64));
    for product in data["products"]["nodes"].as_array().expect("a list") {
        let path = product["listPath"].as_str().expect("a path");
        assert!(lists.contains(path), "{path}");
        let names: HashSet<&str> = real
            .bodies
            .iter()
            .filter(|b| key(b).split(' ').next() == Some(path))
            .filter_map(|b| b["nome"].as_str())
            .collect();
        let aliases: HashSet<&str> =
            product["aliases"].as_array().expect("a list").iter().filter_map(|a| a["name"].as_str()).collect();
        assert_eq!(aliases, names);
        assert!(names.contains(product["name"].as_str().expect("a name")));
    }
}
