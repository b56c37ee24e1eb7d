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
