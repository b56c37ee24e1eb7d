//! The checks that other modules make with invented bodies, files and names, made with real ones. `ACERVO_TEST_PAYLOADS` names
//! a folder with `payloads.ndjson` and `products.csv`, `ACERVO_TEST_CORPUS` a folder of published files.
use std::path::PathBuf;

use bytes::Bytes;

use crate::bodies::{self, Bodies};
use crate::harness::{Db, files_in};
use crate::{redaction, search};

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
