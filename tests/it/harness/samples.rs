//! Products for the simulated portal, and the real things where they are at hand.
use std::path::PathBuf;

use acervo::domain::Clock;
use acervo::portal::{Content, Periodicity, Product, Version};

/// The subscriber in every token: must be seen nowhere.
pub const EMAIL: &str = "canario@example.com.br";

/// A product with one file.
pub fn product(number: u32, name: &str, file_name: &str, bytes: impl Into<bytes::Bytes>) -> Product {
    let day = jiff::civil::date(2025, 2, 20);
    let content = Content::Bytes(bytes.into());
    let version = Version {
        period: Periodicity::Daily.period_of(day),
        file_name: file_name.to_owned(),
        published_at: Clock::default().now(),
        content,
    };
    Product {
        number,
        name: name.to_owned(),
        process: "Operação em Tempo Real".to_owned(),
        macro_process: "Operação do Sistema".to_owned(),
        list_path: format!("/sites/7/39/Produtos/{number}"),
        periodicity: Periodicity::Daily,
        is_file: true,
        versions: vec![version],
        to_come: Vec::new(),
        delivery: None,
    }
}

/// Puts another content in the place of a product's last version.
pub fn replace(product: &mut Product, bytes: impl Into<bytes::Bytes>) {
    if let Some(version) = product.versions.last_mut() {
        version.content = Content::Bytes(bytes.into());
    }
}

/// A folder of real things, where the environment names one; the test says so where it does not.
pub fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: {variable} names no folder");
    }
    folder
}

/// A zip with some members.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a member");
        zip.write_all(bytes).expect("a member's bytes");
    }
    zip.finish().expect("a zip").into_inner()
}
