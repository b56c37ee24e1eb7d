//! The checks that other modules make with invented bodies, files and names, made with real ones. `ACERVO_TEST_PAYLOADS` names
//! a folder with `payloads.ndjson` and `products.csv`, `ACERVO_TEST_CORPUS` a folder of published files.
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::json;

use crate::bodies::{self, Bodies};
use crate::harness::samples::product;
use crate::harness::{Db, TestApp, files_in};
use crate::{content, diff, redaction, search};

fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} must name a folder; see tests/it/real.rs")).into()
}

fn payloads() -> PathBuf {
    folder("ACERVO_TEST_PAYLOADS").join("payloads.ndjson")
}

async fn real() -> Bodies {
    let files = files_in(&folder("ACERVO_TEST_CORPUS"));
    let files = files.into_iter().filter(|path| path.extension().is_none_or(|extension| extension != "md"));
    let files: Vec<Bytes> = files.map(|path| std::fs::read(path).expect("a file").into()).collect();
    let lines = std::fs::read_to_string(payloads()).expect("the real bodies");
    Bodies::new(&lines, |_, number| files[number % files.len()].clone()).await
}

fn names() -> Vec<String> {
    let path = folder("ACERVO_TEST_PAYLOADS").join("products.csv");
    let mut reader = csv::Reader::from_path(path).expect("a file");
    let mut names: Vec<String> = reader.records().map(|row| row.expect("a row")[0].to_owned()).collect();
    // Two that differ in case alone are one product.
    names.sort_by_key(|name| acervo::domain::fold(name));
    names.dedup_by_key(|name| acervo::domain::fold(name));
    names
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn bodies_are_archived_byte_for_byte_in_every_spelling() {
    bodies::are_archived_in_every_spelling(&real().await).await;
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn bodies_sent_three_times_add_no_byte() {
    bodies::add_no_byte_when_sent_again(Db::Sqlite, &real().await).await;
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn a_renamed_product_is_one_product_with_its_aliases() {
    bodies::have_one_product_for_each_list(&real().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real notifications and files"]
async fn bodies_with_expired_links_are_imported_once() {
    bodies::are_imported_once(payloads().to_str().expect("a path"), "2025-11-24T13:37:20.000Z").await;
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn products_are_found_however_people_write_them() {
    search::finds_however_people_write(&names()).await;
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn what_was_not_meant_is_not_found() {
    search::finds_nothing_else(&names()).await;
}

#[test]
#[ignore = "needs real notifications and files"]
fn nothing_else_of_a_body_is_redacted() {
    redaction::finds_nothing_but_the_link(&std::fs::read_to_string(payloads()).expect("the real bodies"));
}

#[test]
#[ignore = "needs real notifications and files"]
fn names_of_products_are_not_redacted() {
    let mut reader = csv::Reader::from_path(folder("ACERVO_TEST_PAYLOADS").join("products.csv")).expect("a file");
    for row in reader.records() {
        for text in row.expect("a row").iter() {
            assert_eq!(acervo::domain::redacted(text), text);
        }
    }
}

/// The files of a folder of the corpus, in the order of their names.
fn series(folder_name: &str) -> Vec<Vec<u8>> {
    let mut paths = files_in(&folder("ACERVO_TEST_CORPUS").join(folder_name));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn diffs_of_decks_agree_with_their_directories() {
    for name in ["decomp-ccee-weekly", "smap-dados-entrada-zip"] {
        let decks = series(name);
        diff::agrees_with_the_directories(&decks[..decks.len().min(4)]).await;
    }
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn diffs_of_nested_decks_have_their_members() {
    let decks = series("newave-ccee-monthly");
    diff::lists_members_of_nested_zips([decks[1].clone(), decks[2].clone()]).await;
}

#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn diffs_of_workbooks_have_their_cells() {
    for name in ["ipdo-xlsx", "ccee-gtmin-xlsx"] {
        diff::shows_cells_of_workbooks(&series(name)).await;
    }
}

/// Decks as the recipes of docs/bi.md read them: the member is searched for, and its address is read; and by its path in another case.
#[tokio::test]
#[ignore = "needs real notifications and files"]
async fn decks_are_read_by_the_recipes() {
    let app = TestApp::start().await;
    let files = files_in(&folder("ACERVO_TEST_CORPUS"));
    let decks = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "zip"));
    let mut read = 0;
    for (number, deck) in (1..).zip(decks) {
        let path = deck.display().to_string();
        let pattern = match () {
            () if path.contains("newave") => "dger.dat",
            () if path.contains("decomp") => "dadger.rv?",
            () if path.contains("dessem") => "entdados.dat",
            () => continue,
        };
        let name = deck.file_name().expect("a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&deck).expect("a file");
        let archived = app.archive(app.portal.add(product(number, &format!("Deck {number}"), &name, bytes))).await;
        let id = archived["revision"]["id"].as_str().expect("an id");
        let query = "query($name: String!, $match: String!) { members(match: $match, filter: { name: { eq: $name } }) {
            nodes { revisionId path size url } pageInfo { hasNextPage } } }";
        let variables = json!({ "name": format!("Deck {number}"), "match": pattern });
        let found = app.query_with(query, variables).await["members"]["nodes"].clone();
        let found = found.as_array().expect("a list");
        assert!(!found.is_empty(), "{path} has no {pattern}");
        for member in found {
            let (listed, url) = (member["path"].as_str().expect("text"), member["url"].as_str().expect("text"));
            let bytes = app.get(url).await.bytes().await.expect("bytes");
            assert_eq!((member["size"].as_u64(), &member["revisionId"]), (Some(bytes.len() as u64), &json!(id)));
            for other in [listed.to_lowercase(), listed.to_uppercase()] {
                let answer = app.get(&format!("/files/{id}/members/{other}")).await;
                assert_eq!(answer.status(), 200, "{path}: {other}");
                assert!(answer.bytes().await.expect("bytes") == bytes, "{path}: {other}");
            }
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}

/// Words of real PDFs, workbooks and decks, also of nested zips.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs real notifications and files"]
async fn words_of_real_files_are_found() {
    let app = TestApp::start().await;
    let files = files_in(&folder("ACERVO_TEST_CORPUS"));
    let wanted = ["Deck_do_PMO.pdf", "NW202503.zip", "GTMIN_CCEE_022025.xlsx", "DC202502-sem1.zip", "vazoes_r5.csv"];
    let files = files.iter().filter(|path| wanted.iter().any(|name| path.to_string_lossy().ends_with(name)));
    for (number, path) in (1..).zip(files) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        app.archive(app.portal.add(product(number, &name, &name, std::fs::read(path).expect("a file")))).await;
    }
    content::all_read(&app).await;
    let found = content::found(&app, "FCMAX").await;
    for name in ["NW202501_Deck_do_PMO.pdf", "NW202506_Deck_do_PMO.pdf"] {
        let line = found.iter().find(|line| line.starts_with(name)).expect("a PDF");
        assert!(line.ends_with("[FCMAX] no primeiro e segundo mês."), "{line}");
    }
    let nested =
        |line: &&String| line.starts_with("NW202503.zip ") && line.contains(".zip/") && line.contains(".pdf [p. ");
    assert!(found.iter().any(|line| nested(&line)), "{found:#?}");
    let accents = content::found(&app, "geracao termica minima").await;
    assert!(accents.iter().any(|line| line.contains("[geração] [térmica] [mínima]")), "{accents:#?}");
    let deck = content::found(&app, "camargos").await;
    assert!(deck.iter().any(|line| line.starts_with("DC202502-sem1.zip ")), "{deck:#?}");
}
