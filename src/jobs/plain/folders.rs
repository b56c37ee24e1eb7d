//! The paths of exported files: product / period / revision / published name.
//!
//! The folder of a product is its name, made safe, with a number where another product has the folder. The manifest has it, so a product
//! that is renamed keeps its folder. The folder of a period follows from the publication alone.
use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use uuid::Uuid;

use super::manifest::{Line, MANIFEST, Reader, WORK, id, text};
use super::sums::SUMS;
use crate::domain::{LocalDateTime, Period, ProductFolders, published_name};
use crate::engine::record::Columns;

pub(super) struct Folders {
    products: ProductFolders,
    /// The product and the folder of each publication.
    publications: HashMap<Uuid, (Uuid, String)>,
}

impl Folders {
    /// With the folders that earlier manifests gave to products, complete or not.
    pub fn with_earlier(manifests: &[&Path]) -> Self {
        let mut folders = Self { products: ProductFolders::new(&[MANIFEST, SUMS, WORK]), publications: HashMap::new() };
        for path in manifests {
            let Ok(mut reader) = Reader::open(path) else { continue };
            // A line that cannot be read is the end of what was written before a crash.
            while let Ok(Some((_, line))) = reader.next() {
                if let Line::Row(_, row) = line
                    && let (Ok(id), Ok(folder)) = (id(&row, "id"), text(&row, "folder"))
                {
                    folders.products.keep(id, folder);
                }
            }
        }
        folders
    }

    /// The folder of a product.
    pub fn product(&mut self, row: &Columns) -> anyhow::Result<String> {
        Ok(self.products.assign(id(row, "id")?, text(row, "name")?).to_owned())
    }

    pub fn publication(&mut self, row: &Columns) -> anyhow::Result<()> {
        let folder = period_folder(text(row, "reference_date")?, text(row, "period_start")?, text(row, "period_end")?)?;
        self.publications.insert(id(row, "id")?, (id(row, "product_id")?, folder));
        Ok(())
    }

    /// The path of a revision's file; `None` if its publication or its product does not exist.
    pub fn revision(&self, row: &Columns) -> anyhow::Result<Option<String>> {
        let Some((product, period)) = self.publications.get(&id(row, "publication_id")?) else { return Ok(None) };
        let Some(product) = self.products.get(*product) else { return Ok(None) };
        let number = row.get("number").and_then(serde_json::Value::as_i64).context("`number` is not a number")?;
        Ok(Some(format!("{product}/{period}/{number}/{}", published_name(text(row, "file_name")?))))
    }
}

fn period_folder(reference_date: &str, start: &str, end: &str) -> anyhow::Result<String> {
    let parse = |text: &str| text.parse().map(LocalDateTime).ok().with_context(|| format!("`{text}` is not a date"));
    Ok(crate::domain::period_folder(reference_date, Period { start: parse(start)?, end: parse(end)? }))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn columns(value: serde_json::Value) -> Columns {
        value.as_object().cloned().expect("an object")
    }

    fn product(folders: &mut Folders, n: u128, name: &str) -> String {
        let row = columns(json!({ "id": Uuid::from_u128(n).to_string(), "name": name }));
        folders.product(&row).expect("a folder")
    }

    #[test]
    fn every_product_has_a_folder_of_its_own() {
        let mut folders = Folders::with_earlier(&[]);
        let names = ["Carga", "CARGA", "Carga: A/B", "Carga_ A_B", "..", "sha256sums", ".acervo", "CON", "Carga (2)"];
        let given: Vec<String> = names.iter().zip(1..).map(|(name, n)| product(&mut folders, n, name)).collect();
        let expected = [
            "Carga",
            "CARGA (2)",
            "Carga_ A_B",
            "Carga_ A_B (2)",
            "product",
            "sha256sums (2)",
            "acervo",
            "_CON",
            "Carga (2) (2)",
        ];
        assert_eq!(given, expected);
        assert_eq!(product(&mut folders, 1, "Carga renamed"), "Carga");
    }

    #[test]
    fn every_period_of_a_product_has_a_folder_of_its_own() {
        let folder = |reference: &str, start: &str, end: &str| period_folder(reference, start, end).expect("a folder");
        assert_eq!(folder("20/02/2025", "2025-02-20T00:00:00", "2025-02-20T23:59:59"), "2025-02-20");
        assert_eq!(folder("02/2025", "2025-02-01T00:00:00", "2025-02-28T23:59:59"), "2025-02");
        let week = folder("15/02/2025 - 21/02/2025", "2025-02-15T00:00:00", "2025-02-21T23:59:59");
        assert_eq!(week, "2025-02-15_2025-02-21");
        let others = [
            ("20/2/2025", "2025-02-20T00:00:00", "2025-02-20T23:59:59"),
            ("20/02/2025", "2025-02-20T00:00:00", "2025-02-20T00:00:00"),
            ("20/02/2025", "2025-02-20T01:00:00", "2025-02-20T23:59:59"),
        ];
        let folders: HashSet<String> = others.iter().map(|(date, start, end)| folder(date, start, end)).collect();
        assert_eq!(folders.len(), 3);
        assert!(folders.iter().all(|folder| folder.starts_with("2025-02-20 (")), "{folders:?}");
        assert!(period_folder("x", "../..", "").is_err());
    }
}
