//! Search for people: words in any order and form, and slips of the pen.
use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::harness::notice::Notice;

/// The names of the built-in catalogue.
fn names() -> Vec<String> {
    acervo::portal::builtin(44, jiff::Timestamp::now()).into_iter().map(|product| product.name).collect()
}

async fn announce(app: &TestApp, names: &[String]) {
    app.leaves_work_unsettled("the links lead nowhere");
    for name in names {
        assert_eq!(app.notify(&Notice::new(name).to_string()).await.0, 202);
    }
    let query = "{ products { totalCount } status { indexLag } }";
    app.until(query, |data| data["products"]["totalCount"] == names.len() && data["status"]["indexLag"] == 0).await;
}

/// The names that are found, the same by relevance as in another order, which needs no score.
async fn found(app: &TestApp, search: &str) -> BTreeSet<String> {
    let query = "query($s: String!) {
        best: publications(search: $s, orderBy: RELEVANCE, first: 1000) { nodes { name score } }
        plain: publications(search: $s, orderBy: NAME_ASC, first: 1000) { totalCount nodes { name } }
        scored: publications(search: $s, orderBy: NAME_ASC, first: 1000) { edges { node { name score } } } }";
    let data = app.query_with(query, json!({ "s": search })).await;
    let name = |node: &Value| node["name"].as_str().expect("a name").to_owned();
    let names = |nodes: &Value| nodes.as_array().expect("a list").iter().map(name).collect::<BTreeSet<_>>();
    let best = names(&data["best"]["nodes"]);
    assert_eq!(names(&data["plain"]["nodes"]), best, "`{search}` without a score");
    let edges = data["scored"]["edges"].as_array().expect("a list");
    assert_eq!(edges.len(), data["plain"]["totalCount"].as_u64().expect("a count") as usize, "`{search}`");
    assert!(edges.iter().all(|edge| edge["node"]["score"].as_f64().is_some_and(|score| score > 0.0)), "`{search}`");
    best
}

fn words(name: &str) -> Vec<String> {
    acervo::domain::words(name)
}

/// How people ask for a product, each way with its name.
fn ways(name: &str) -> Vec<(&'static str, String)> {
    let own = words(name);
    let mut ways = vec![("as it is", name.to_owned()), ("folded", own.join(" ")), ("upper case", name.to_uppercase())];
    let mut reversed = own.clone();
    reversed.reverse();
    ways.push(("the other way round", reversed.join(" ")));
    let last = own.last().cloned().unwrap_or_default();
    if last.len() > 4 {
        let mut begun = own.clone();
        begun.pop();
        begun.push(last[..last.len() - 2].to_owned());
        ways.push(("the last begun", begun.join(" ")));
    }
    let is_plain = |word: &&String| word.len() >= 7 && word.bytes().all(|b| b.is_ascii_lowercase());
    if let Some(long) = own.iter().filter(is_plain).max_by_key(|word| word.len()) {
        let (head, tail) = long.split_at(long.len() / 2);
        let swapped: String =
            tail.chars().take(2).collect::<Vec<_>>().into_iter().rev().chain(tail.chars().skip(2)).collect();
        ways.push(("two letters swapped", format!("{head}{swapped}")));
        ways.push(("a letter left out", format!("{head}{}", &tail[1..])));
        ways.push(("a letter too many", format!("{head}x{tail}")));
    }
    ways
}

/// What people write, a name, and whether it is found: forms of words, words without articles, short words.
const FORMS: &[(&str, &str, bool)] = &[
    ("previsao semanal", "Resultados preliminares consistidos (vazões semanais - PMO)", false),
    ("resultado final consistido", "Resultados finais consistidos (vazões diárias - PDP)", true),
    ("vazao diaria", "Resultados finais consistidos (vazões diárias - PDP)", true),
    ("previsões carga", "Arquivos de Previsão de Carga para o DESSEM", true),
    ("limite intercambio", "Relatório Mensal de Limites de Intercâmbio para o Modelo DECOMP", true),
    ("relatorios do limite", "Relatório Mensal de Limites de Intercâmbio para o Modelo DECOMP", true),
    ("nota tecnica", "Notas Técnicas - Medio Prazo", true),
    ("patamar carga", "Intervalos dos Patamares de Carga", true),
    ("nivel partida", "Níveis de Partida para o DESSEM", true),
    ("decks newave", "DECK NEWAVE DEFINITIVO", true),
    ("newave definitivos", "DECK NEWAVE DEFINITIVO", true),
    ("geração eolicas", "DECKS DA PREVISÃO DE GERAÇÃO EÓLICA SEMANAL WEOL-SM", true),
    ("precpitação satelite", "Precipitação por Satélite – ONS", true),
    ("precipitacao saltelite", "Precipitação por Satélite – ONS", true),
    ("hidrolojico acompanhamento", "Relatório de Acompanhamento Hidrológico", true),
    ("ferramenta auxiliar", "Ferramentas Auxiliares para o PMO", true),
];

#[tokio::test]
async fn products_are_found_however_people_write_them() {
    finds_however_people_write(&names()).await;
}

pub async fn finds_however_people_write(names: &[String]) {
    let app = TestApp::start().await;
    announce(&app, names).await;
    let mut searches = 0;
    for name in names {
        for (way, search) in ways(name) {
            let found = found(&app, &search).await;
            assert!(found.contains(name), "{way}: `{search}` does not find `{name}`: {found:?}");
            searches += 1;
        }
    }
    for (search, name, is_found) in FORMS {
        let found = found(&app, search).await;
        assert_eq!(found.contains(*name), *is_found, "`{search}`, `{name}`: {found:?}");
        searches += 1;
    }
    assert!(searches >= 100, "{searches}");
}

#[tokio::test]
async fn what_was_not_meant_is_not_found() {
    finds_nothing_else(&names()).await;
}

pub async fn finds_nothing_else(names: &[String]) {
    let app = TestApp::start().await;
    announce(&app, names).await;
    let mut pairs = 0;
    for term in
        ["newave", "decomp", "dessem", "gevazp", "ecmwf", "gefs", "eust", "rdh", "ipdo", "acomph", "dadvaz", "weol"]
    {
        let expected: BTreeSet<String> =
            names.iter().filter(|name| words(name).iter().any(|word| word.starts_with(term))).cloned().collect();
        let others = names.len() - expected.len();
        assert_eq!(found(&app, term).await, expected, "{term}");
        pairs += others;
    }
    for (search, name) in [
        ("carga", "Acomph"),
        ("deck newave", "Deck Preliminar DECOMP - Valor Esperado"),
        ("operador", "IPDO (Informativo Preliminar Diário da Operação)"),
        ("precipitação 2025", "Precipitação por Satélite – ONS"),
        ("mensal", "Resultados preliminares consistidos (vazões semanais - PMO)"),
        ("diário", "Resultados preliminares consistidos (vazões semanais - PMO)"),
    ] {
        assert!(!found(&app, search).await.contains(name), "`{search}` finds `{name}`");
        pairs += 1;
    }
    assert!(pairs >= 60, "{pairs}");
}

/// Months find by period, in every way of writing them, and still find names that have them as words.
#[tokio::test]
async fn months_in_words_find_by_period() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    let notices = [
        Notice::new("PMO outubro").reference("10/2025"),
        Notice::new("PMO novembro").reference("11/2025"),
        Notice::new("PMO antigo").reference("11/2024"),
        Notice::new("PMO semanal").reference("29/11/2025 - 05/12/2025"),
        // A month in its name says nothing of its period.
        Notice::new("Boletim de Março").reference("20/06/2025"),
        Notice::new("PMO março").reference("03/2025"),
    ];
    for notice in notices {
        let body = notice.to_string();
        let (status, answer) = app.notify(&body).await;
        assert_eq!(status, 202, "{answer}");
    }
    app.until("{ publications { totalCount } status { indexLag } }", |data| {
        data["publications"]["totalCount"] == 6 && data["status"]["indexLag"] == 0
    })
    .await;
    let november = ["PMO novembro", "PMO semanal"];
    for (text, names) in [
        ("novembro de 2025", &november[..]),
        ("Novembro 2025", &november),
        ("NOV/2025", &november),
        ("nov/25", &november),
        ("11/2025", &november),
        ("pmo novembro/2025", &november),
        ("novembro", &["PMO antigo", "PMO novembro", "PMO semanal"]),
        ("dezembro 2025", &["PMO semanal"]),
        ("março", &["Boletim de Março", "PMO março"]),
        ("MARCO 2025 pmo", &["PMO março"]),
        ("junho de 2025", &["Boletim de Março"]),
        ("boletim março", &["Boletim de Março"]),
        ("30 de novembro de 2025", &["PMO semanal"]),
        ("novembro de 2023", &[]),
    ] {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found(&app, text).await, names, "{text}");
    }
}

/// What matches as well is ordered by its period, the newest first, page by page.
#[tokio::test]
async fn where_relevance_ties_the_newest_period_comes_first() {
    let app = TestApp::start().await;
    app.leaves_work_unsettled("the links lead nowhere");
    // Announced in another order than that of their periods.
    for day in [12, 3, 25, 7, 18, 1, 30, 9] {
        let notice = Notice::new("Deck NEWAVE").reference(format!("{day:02}/06/2025"));
        let body = notice.to_string();
        assert_eq!(app.notify(&body).await.0, 202);
    }
    app.until("{ publications { totalCount } status { indexLag } }", |data| {
        data["publications"]["totalCount"] == 8 && data["status"]["indexLag"] == 0
    })
    .await;
    let query = "query($after: String, $first: Int) { publications(search: \"newave\", orderBy: RELEVANCE, first: $first, after: $after) {
        nodes { referenceDate score } pageInfo { hasNextPage endCursor } } }";
    let (mut walked, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = app.query_with(query, json!({ "after": after, "first": 3 })).await["publications"].clone();
        walked.extend(page["nodes"].as_array().expect("a list").clone());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let tied = walked.iter().all(|row| row["score"] == walked[0]["score"]);
    assert!(tied, "{walked:?}");
    let days: Vec<&str> = walked.iter().filter_map(|row| row["referenceDate"].as_str()?.get(..2)).collect();
    assert_eq!(days, ["30", "25", "18", "12", "09", "07", "03", "01"]);
}

/// `asOf` takes a day everywhere: the archive as it was at the end of that day in São Paulo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_of_takes_a_day() {
    use crate::harness::process::{imported, printed};
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    // One arrived in the last second of the 20th in São Paulo, which is the 21st in UTC; the other a second later.
    let mut lines = String::new();
    for (name, received_at) in [("Antes", "2025-02-21T02:59:59.900Z"), ("Depois", "2025-02-21T03:00:00.900Z")] {
        std::fs::write(folder.path().join(name), name).expect("a file");
        let line = json!({ "path": name, "nome": name, "dataProduto": "20/02/2025", "receivedAt": received_at });
        lines.push_str(&format!("{line}\n"));
    }
    let manifest = folder.path().join("m.ndjson");
    std::fs::write(&manifest, lines).expect("a manifest");
    let (code, out, err) =
        imported(&app, &[&folder.path().display().to_string(), "--manifest", &manifest.display().to_string()]);
    assert_eq!(code, Some(0), "{out}{err}");
    app.indexed().await;
    let names = |list: &Value| -> Vec<String> {
        let rows = list["nodes"].as_array().expect("a list").iter();
        rows.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    };
    for day in ["2025-02-19", "2025-02-20", "2025-02-21"] {
        let expected: &[&str] = match day {
            "2025-02-19" => &[],
            "2025-02-20" => &["Antes"],
            _ => &["Antes", "Depois"],
        };
        let written = format!("{{ publications(asOf: \"{day}\", orderBy: NAME_ASC) {{ nodes {{ name }} }} }}");
        assert_eq!(names(&app.query(&written).await["publications"]), expected, "{day}");
        let query = "query($t: DateTime) { publications(asOf: $t, orderBy: NAME_ASC) { nodes { name } }
            products(orderBy: NAME_ASC) { nodes { publications(asOf: $t) { nodes { name } } } } }";
        let data = app.query_with(query, json!({ "t": day })).await;
        assert_eq!(names(&data["publications"]), expected, "{day}");
        let of_products: Vec<String> = data["products"]["nodes"]
            .as_array()
            .expect("a list")
            .iter()
            .flat_map(|one| names(&one["publications"]))
            .collect();
        assert_eq!(of_products, expected, "{day}");
        let csv = app.get(&format!("/export/publications.csv?columns=name&orderBy=NAME_ASC&asOf={day}")).await;
        let lines: Vec<String> = csv.text().await.expect("text").lines().skip(1).map(str::to_owned).collect();
        assert_eq!(lines, expected, "{day}");
        let printed = tokio::task::block_in_place(|| {
            printed(app.folder.path(), &["search", "--as-of", day, "--order", "name", "--format", "json"])
        });
        let rows: Value = serde_json::from_str(&printed).expect("JSON");
        assert_eq!(names(&json!({ "nodes": rows })), expected, "{day}");
    }
    // Anything else that takes an instant refuses a day, which would be its beginning or its end.
    let range = "query($t: DateTime) { publications(filter: { archivedAt: { from: $t } }) { totalCount } }";
    let answer = app.ask(range, json!({ "t": "2025-02-20" })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    let answer = app.ask("{ publications(asOf: \"2025-02-30\") { totalCount } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
}
