//! Generated files that look like the real ones: fixed-width decks in zips, tables, text. A seed determines the bytes.
use std::io::{Cursor, Write};
use std::path::PathBuf;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Where a version's bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Bytes),
    File(PathBuf),
    Generated { deck: Deck, seed: u64 },
}

/// What a generated file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deck {
    /// A zip of fixed-width members, as the optimisation models read them.
    Model { members: u32, lines: u32 },
    /// A zip with another zip and a note.
    Nested,
    /// CSV with semicolons and decimal commas.
    Table { lines: u32 },
    /// Lines of coordinates and rainfall.
    Text { lines: u32 },
}

impl Content {
    /// All the bytes.
    pub fn bytes(&self) -> std::io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => std::fs::read(path).map(Bytes::from),
            Self::Generated { deck, seed } => deck.generate(*seed).map(Bytes::from),
        }
    }

    /// A later version of the content.
    pub(super) fn next(&self, step: u64) -> Self {
        match self {
            Self::Generated { deck, seed } => Self::Generated { deck: *deck, seed: seed.wrapping_add(step << 32) },
            other => other.clone(),
        }
    }
}

const PLANTS: &[&str] = &[
    "CAMARGOS",
    "ITUTINGA",
    "FUNIL-GRANDE",
    "FURNAS",
    "MASCARENHAS",
    "ESTREITO",
    "JAGUARA",
    "IGARAPAVA",
    "VOLTA GRANDE",
    "PORTO COLOMB",
    "CACONDE",
    "E. DA CUNHA",
    "MARIMBONDO",
    "AGUA VERMELH",
    "SERRA FACAO",
    "EMBORCACAO",
    "NOVA PONTE",
    "MIRANDA",
    "CORUMBA I",
    "ITUMBIARA",
    "CACH.DOURADA",
    "SAO SIMAO",
    "ILHA SOLTEIRA",
    "JUPIA",
    "P. PRIMAVERA",
];

impl Deck {
    fn generate(self, seed: u64) -> std::io::Result<Vec<u8>> {
        // Each member has its own random generator, so that most of a deck stays the same from one version to the next.
        match self {
            Self::Model { members, lines } => {
                let names =
                    ["DADGER", "HIDR", "VAZOES", "CONFHD", "SISTEMA", "PATAMAR", "TERM", "MODIF", "CLAST", "DGER"];
                let parts = (0..members).map(|i| {
                    let name = format!(
                        "{}{}.DAT",
                        names[i as usize % names.len()],
                        if i < 10 { String::new() } else { (i / 10).to_string() }
                    );
                    let changed = i % 4 == 0;
                    (name, fixed_width(if changed { seed } else { seed & 0xffff_ffff } ^ u64::from(i), lines))
                });
                zip_of(parts.collect())
            }
            Self::Nested => {
                let inner = Self::Model { members: 6, lines: 200 }.generate(seed)?;
                zip_of(vec![("deck_newave.zip".to_owned(), inner), ("Leia-me.txt".to_owned(), note(seed).into_bytes())])
            }
            Self::Table { lines } => Ok(table(seed, lines).into_bytes()),
            Self::Text { lines } => Ok(rain(seed, lines).into_bytes()),
        }
    }
}

fn fixed_width(seed: u64, lines: u32) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = String::from("&   USINA        VAZ.MED   VOL.MIN   VOL.MAX   PROD    TEIF   IP\r\n");
    for i in 0..lines {
        let plant = PLANTS[i as usize % PLANTS.len()];
        let (flow, low, high) =
            (random.random_range(10.0..9000.0), random.random_range(10.0..500.0), random.random_range(500.0..25000.0));
        let (yield_, out, planned) =
            (random.random_range(0.3..1.1), random.random_range(0.0..8.0), random.random_range(0.0..12.0));
        text.push_str(&format!(
            "{:>3} {plant:<12}{flow:>10.2}{low:>10.2}{high:>10.2}{yield_:>8.4}{out:>7.2}{planned:>6.2}\r\n",
            i + 1
        ));
    }
    text.into_bytes()
}

fn table(seed: u64, lines: u32) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let mut text = String::from("Data;Patamar;Subsistema;Carga (MWmed)\r\n");
    for i in 0..lines {
        let subsystem = ["SE", "S", "NE", "N"][i as usize % 4];
        let load = format!("{:.1}", random.random_range(4000.0..45000.0)).replace('.', ",");
        text.push_str(&format!(
            "{:02}/01/2026;{};{subsystem};{load}\r\n",
            i / 12 % 28 + 1,
            ["pesada", "media", "leve"][i as usize / 4 % 3]
        ));
    }
    text
}

fn rain(seed: u64, lines: u32) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    (0..lines)
        .map(|i| {
            let (longitude, latitude) = (-75.0 + f64::from(i % 100) * 0.4, -35.0 + f64::from(i / 100) * 0.4);
            format!("{longitude:>7.2} {latitude:>7.2} {:>6.2}\n", random.random_range(0.0..60.0))
        })
        .collect()
}

fn note(seed: u64) -> String {
    format!("Deck gerado para testes.\r\nVersão {seed}.\r\n")
}

fn zip_of(parts: Vec<(String, Vec<u8>)>) -> std::io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        // With the default date the bytes depend on the seed alone.
        zip.start_file(name, SimpleFileOptions::default()).map_err(std::io::Error::other)?;
        zip.write_all(&bytes)?;
    }
    Ok(zip.finish().map_err(std::io::Error::other)?.into_inner())
}
