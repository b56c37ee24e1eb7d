//! The products of the portal: a built-in catalogue in the shape of the real one, or a folder of files.
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan};

use super::content::{Content, Deck};
use super::product::{Periodicity, Product, Version};
use crate::domain::sao_paulo;
use Periodicity::{Daily, Monthly, Weekly};

const MODEL: Deck = Deck::Model { members: 12, lines: 400 };
const SMALL_MODEL: Deck = Deck::Model { members: 5, lines: 150 };
const TABLE: Deck = Deck::Table { lines: 1500 };
const TEXT: Deck = Deck::Text { lines: 4000 };

const PO: &str = "Programação da Operação";
const OS: &str = "Operação do Sistema";
const PL: &str = "Planejamento da Operação";

type Row = (u32, &'static str, &'static str, &'static str, &'static str, Periodicity, &'static str, Deck);

/// Number, site, name, process, macro-process, periodicity, file name (empty for a folder), kind of content.
/// `{d}` in a file name is the day as `%Y%m%d`, `{b}` as `%d-%m-%Y`, `{m}` the month as `%Y%m`.
#[rustfmt::skip] // One line for each product.
const BUILTIN: &[Row] = &[
    (155, "7/39", "IPDO (Informativo Preliminar Diário da Operação)", "Operação em Tempo Real", OS, Daily, "IPDO-{b}.txt", TEXT),
    (156, "7/39", "IPDO Editável", "Operação em Tempo Real", OS, Daily, "IPDO-{b}.csv", TABLE),
    (230, "9/13/56", "Acomph", "Acompanhamento das Condições Hidroenergéticas", PO, Daily, "ACOMPH_{b}.csv", TABLE),
    (233, "9/13/56", "RDH", "Acompanhamento das Condições Hidroenergéticas", PO, Daily, "RDH_{d}.csv", TABLE),
    (234, "9/13/56", "Relatório de Acompanhamento Hidrológico", "Acompanhamento das Condições Hidroenergéticas", PO, Daily, "Vazões Observadas - {b}.csv", TABLE),
    (238, "9/13/82", "Arquivos dos modelos de previsão de vazões diárias - PDP", "Previsão de Vazões Diárias - PDP", PO, Daily, "Modelos_Chuva_Vazao_{d}.zip", MODEL),
    (243, "9/13/82", "Resultados finais consistidos (vazões diárias - PDP)", "Previsão de Vazões Diárias - PDP", PO, Daily, "Resultado_Final_{b}.zip", SMALL_MODEL),
    (547, "9/13/82", "DADVAZ – Arquivo de Previsão de Vazões Diárias (PDP)", "Previsão de Vazões Diárias - PDP", PO, Daily, "dadvaz_{b}.DAT", TEXT),
    (548, "9/13/82", "Relatório dos resultados finais consistidos da previsão diária (PDP)", "Previsão de Vazões Diárias - PDP", PO, Daily, "Relatorio_previsao_diaria_{b}.csv", TABLE),
    (237, "9/13/79", "Arquivos dos modelos de geração de cenários de vazões", "Previsão de Vazões e Geração de Cenários - PMO", PO, Weekly, "Gevazp_{m}_PMO.zip", MODEL),
    (244, "9/13/79", "Resultados finais consistidos (vazões semanais - PMO)", "Previsão de Vazões e Geração de Cenários - PMO", PO, Weekly, "Final_{d}_PMO.zip", SMALL_MODEL),
    (245, "9/13/79", "Resultados preliminares consistidos (vazões semanais - PMO)", "Previsão de Vazões e Geração de Cenários - PMO", PO, Weekly, "Consistido_{d}_PMO.zip", SMALL_MODEL),
    (246, "9/13/79", "Resultados preliminares não consistidos  (vazões semanais - PMO)", "Previsão de Vazões e Geração de Cenários - PMO", PO, Weekly, "Nao_Consistido_{d}_PMO.zip", SMALL_MODEL),
    (424, "9/13/79", "Arquivos dos modelos de previsão de vazões semanais - PMO", "Previsão de Vazões e Geração de Cenários - PMO", PO, Weekly, "Arq_Entrada_e_Saida_PREVIVAZ_{d}.zip", MODEL),
    (487, "9/38", "Precipitação por Satélite – ONS", "Meteorologia e clima", PO, Daily, "psat_{d}.txt", TEXT),
    (521, "9/38", "Histórico de Precipitação por Satélite – ONS", "Meteorologia e clima", PO, Daily, "psath_{d}.zip", SMALL_MODEL),
    (549, "9/38", "Modelo ETA", "Meteorologia e clima", PO, Daily, "Eta40_precipitacao10d_{d}.zip", MODEL),
    (550, "9/38", "Modelo GEFS", "Meteorologia e clima", PO, Daily, "GEFS50_precipitacao14d_{d}.zip", MODEL),
    (551, "9/38", "Modelo ECMWF", "Meteorologia e clima", PO, Daily, "ECMWF_precipitacao14d_{d}.zip", MODEL),
    (552, "9/38", "Previsão Estendida de Precipitação do ECMWF com remoção de viés (EST_rv)", "Meteorologia e clima", PO, Weekly, "ECMWF_EST_rv_{d}.zip", SMALL_MODEL),
    (275, "9/46", "Arquivos de Previsão de Carga para o DESSEM", "Previsão de carga para o DESSEM", PO, Daily, "Blocos_{d}.zip", SMALL_MODEL),
    (479, "9/46", "Arquivos de Previsão de Carga para o DESSEM - PrevCargaDESSEM", "Previsão de carga para o DESSEM", PO, Daily, "PrevCargaDESSEM_{d}.zip", SMALL_MODEL),
    (480, "9/46", "Decks de entrada do PrevCargaDESSEM", "Previsão de carga para o DESSEM", PO, Daily, "Deck_{d}.zip", SMALL_MODEL),
    (226, "9/47", "Intervalos dos Patamares de Carga", "Previsão de Carga para o PMO", PO, Monthly, "Patamares_{m}.csv", TABLE),
    (228, "9/47", "Carga por patamar - DECOMP", "Previsão de Carga para o PMO", PO, Weekly, "RV0_PMO_{d}_carga_semanal.zip", SMALL_MODEL),
    (229, "9/47", "Previsões de carga mensal e por patamar - NEWAVE", "Previsão de Carga para o PMO", PO, Monthly, "RV0_PMO_{m}_carga_mensal.zip", SMALL_MODEL),
    (277, "9/51", "Decks de entrada e saída - Modelo DESSEM", "Programação diária da operação", PO, Daily, "DS_ONS_{d}_RV0.zip", MODEL),
    (518, "9/51", "Níveis de Partida para o DESSEM", "Programação diária da operação", PO, Daily, "NP{d}.csv", TABLE),
    (286, "9/52/71", "DECK NEWAVE DEFINITIVO", "Médio Prazo", PO, Monthly, "", Deck::Nested),
    (287, "9/52/71", "Deck NEWAVE Preliminar", "Médio Prazo", PO, Monthly, "", Deck::Nested),
    (288, "9/52/71", "Notas Técnicas - Medio Prazo", "Médio Prazo", PO, Monthly, "", Deck::Nested),
    (297, "9/52", "Deck Preliminar DECOMP - Valor Esperado", "Programação semanal da operação", PO, Weekly, "PMO_deck_preliminar.zip", MODEL),
    (298, "9/52", "Deck e Resultados DECOMP - Valor Esperado", "Programação semanal da operação", PO, Weekly, "DEC_ONS_{d}_RV0_VE.zip", MODEL),
    (302, "9/52", "Relatório Mensal de Limites de Intercâmbio para o Modelo DECOMP", "Programação mensal da operação energética", PO, Monthly, "", Deck::Nested),
    (303, "9/52", "Preliminar - Relatório Mensal de Limites de Intercâmbio", "Programação mensal da operação energética", PO, Monthly, "Preliminar - Limites PMO_{m}.txt", TEXT),
    (304, "9/52", "Ferramentas Auxiliares para o PMO", "Programação mensal da operação energética", PO, Monthly, "Ferramentas_{m}.zip", SMALL_MODEL),
    (305, "9/52", "Dados Semanais dos Agentes de Geração para o PMO", "Programação mensal da operação energética", PO, Weekly, "Dados_Agentes_{d}.csv", TABLE),
    (149, "9/78", "Dados utilizados na previsão de geração eólica", "Modelos Fontes Intermitentes", PL, Daily, "Deck_Previsao_{d}.zip", SMALL_MODEL),
    (785, "8/103/105", "DECKS DA PREVISÃO DE GERAÇÃO EÓLICA SEMANAL WEOL-SM", "Modelos Fontes Intermitentes", PL, Daily, "Deck_PrevMes_{d}.zip", MODEL),
    (786, "8/103/105", "Previsão de geração solar", "Modelos Fontes Intermitentes", PL, Daily, "Prev_Solar_{d}.csv", TABLE),
    (14, "2/14", "RO (Relatório de Análise de Ocorrência)", "Análise da Operação", OS, Weekly, "RO_{d}.txt", TEXT),
    (180, "1/18", "Boletos do EUST", "Administração da Transmissão", "Administração dos Serviços", Monthly, "EUST_{m}.txt", Deck::Text { lines: 300 }),
    (181, "1/18", "Notas Fiscais do EUST", "Administração da Transmissão", "Administração dos Serviços", Monthly, "NF_EUST_{m}.csv", Deck::Table { lines: 200 }),
    (92, "9/13", "Informes sobre a operação Hidráulica", "Acompanhamento das Condições Hidroenergéticas", PO, Daily, "Informe_Hidraulico_{d}.txt", Deck::Text { lines: 600 }),
];

/// A catalogue in the shape of the real one, with `count` products, each with one version for the current period. Beyond the
/// named products there are numbered copies.
pub fn builtin(count: usize, now: Timestamp) -> Vec<Product> {
    let mut products: Vec<Product> = Vec::with_capacity(count);
    let rows = (0_u32..).flat_map(|copy| BUILTIN.iter().map(move |row| (copy, row)));
    for (copy, row) in rows.take(count) {
        let mut product = product(row, now);
        if copy > 0 {
            product.number += copy * 1000;
            product.name = format!("{} {}", product.name, copy + 1);
            product.list_path = list_path(row.1, product.number);
            for version in &mut product.versions {
                version.content = version.content.next(copy.into());
            }
        }
        products.push(product);
    }
    products
}

fn list_path(site: &str, number: u32) -> String {
    format!("/sites/{site}/Produtos/{number}")
}

fn product(row: &Row, now: Timestamp) -> Product {
    let (number, site, name, process, macro_process, periodicity, file_name, deck) = *row;
    let today = sao_paulo().to_datetime(now).date();
    // Daily files are about the day before.
    let day = if periodicity == Daily { today.saturating_sub(1.days()) } else { today };
    let period = periodicity.period_of(day);
    let write = |format: &str| period.start.0.strftime(format).to_string();
    let file_name =
        file_name.replace("{d}", &write("%Y%m%d")).replace("{b}", &write("%d-%m-%Y")).replace("{m}", &write("%Y%m"));
    let seed = u64::from(number);
    Product {
        number,
        name: name.to_owned(),
        process: process.to_owned(),
        macro_process: macro_process.to_owned(),
        list_path: list_path(site, number),
        periodicity,
        is_file: !file_name.is_empty(),
        versions: vec![Version { period, file_name, published_at: now, content: Content::Generated { deck, seed } }],
        to_come: Vec::new(),
        delivery: None,
    }
}

/// A product for each file of a folder, and one for each folder in it: the files of that, by name, are its versions, one a
/// day. The first version is published.
pub fn from_folder(folder: &Path, now: Timestamp) -> std::io::Result<Vec<Product>> {
    let mut products = Vec::new();
    for (number, path) in (1_u32..).zip(sorted(folder)?) {
        let files = if path.is_dir() {
            sorted(&path)?.into_iter().filter(|file| file.is_file()).collect()
        } else {
            vec![path.clone()]
        };
        let first_day = sao_paulo().to_datetime(now).date();
        let mut versions: Vec<Version> = (0_i64..)
            .zip(files)
            .map(|(day, file)| Version {
                period: Daily.period_of(first_day.saturating_add(day.days())),
                file_name: name_of(&file),
                published_at: now,
                content: Content::File(file),
            })
            .collect();
        if versions.is_empty() {
            continue;
        }
        let first = versions.remove(0);
        products.push(Product {
            number,
            name: name_of(&path),
            process: "Arquivos".to_owned(),
            macro_process: PO.to_owned(),
            list_path: list_path("9/99", number),
            periodicity: Daily,
            is_file: true,
            versions: vec![first],
            to_come: versions,
            delivery: None,
        });
    }
    Ok(products)
}

fn sorted(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| !name_of(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
