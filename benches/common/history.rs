//! Years of publications of one subscriber, written directly to the tables.
use acervo::domain::Digest;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use uuid::Uuid;

/// Areas; each theme is published for each area.
pub struct Product {
    pub id: Uuid,
    pub name: String,
    pub process: &'static str,
    pub extension: &'static str,
    stem: String,
}

pub const MACRO_PROCESS: &str = "Programação da Operação";

/// Theme, process, file name.
const THEMES: &[(&str, &str, &str)] = &[
    ("Carga Horária Verificada", "Previsão de Carga para o PMO", "csv"),
    ("Carga por Patamar – DECOMP", "Previsão de Carga para o PMO", "xlsx"),
    ("Arquivos de Previsão de Carga – DESSEM", "Previsão de Carga para o DESSEM", "zip"),
    ("Geração Eólica Prevista", "Modelos Fontes Intermitentes", "zip"),
    ("Geração Solar Prevista", "Modelos Fontes Intermitentes", "zip"),
    ("Vazões Diárias Observadas", "Previsão de Vazões Diárias – PDP", "txt"),
    ("Previsão de Vazões – SMAP", "Previsão de Vazões Diárias – PDP", "zip"),
    ("Resultados Consistidos – Vazões Semanais", "Previsão de Vazões Diárias – PDP", "pdf"),
    ("Níveis dos Reservatórios", "Acompanhamento das Condições Hidroenergéticas", "xlsx"),
    ("Energia Armazenada", "Acompanhamento das Condições Hidroenergéticas", "csv"),
    ("Energia Natural Afluente", "Acompanhamento das Condições Hidroenergéticas", "csv"),
    ("Precipitação por Satélite", "Meteorologia e Clima", "txt"),
    ("Modelo ECMWF – Precipitação", "Meteorologia e Clima", "zip"),
    ("Modelo GEFS – Precipitação", "Meteorologia e Clima", "zip"),
    ("Deck DECOMP Preliminar", "Curto Prazo", "zip"),
    ("Deck DESSEM – Entrada e Saída", "Curto Prazo", "zip"),
    ("Deck NEWAVE Definitivo", "Médio Prazo", "zip"),
    ("Limites de Intercâmbio", "Médio Prazo", "pdf"),
    ("Restrições Operativas Hidráulicas", "Operação em Tempo Real", "pdf"),
    ("Informativo Preliminar da Operação", "Operação em Tempo Real", "pdf"),
];

const AREAS: &[&str] = &[
    "Sudeste/Centro-Oeste",
    "Sul",
    "Nordeste",
    "Norte",
    "SIN",
    "Bacia do Grande",
    "Bacia do Paranaíba",
    "Bacia do Iguaçu",
    "Bacia do São Francisco",
    "Bacia do Tocantins",
    "Bacia do Paraná",
    "Bacia do Uruguai",
    "Bacia do Jacuí",
    "Bacia do Tietê",
];

/// 280 products, as one subscriber has. A larger number repeats them as further cases.
pub fn products(count: usize) -> Vec<Product> {
    let all =
        (1..).flat_map(|case| AREAS.iter().flat_map(move |area| THEMES.iter().map(move |theme| (case, area, theme))));
    all.take(count)
        .map(|(case, area, (theme, process, extension))| {
            let name =
                if case == 1 { format!("{theme} – {area}") } else { format!("{theme} – {area} – Caso {case}") };
            let stem = name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>();
            Product { id: Uuid::now_v7(), process, extension, stem: stem.join("_"), name }
        })
        .collect()
}

/// Daily publications up to today, three in ten with a second revision.
pub async fn fill(database: &std::path::Path, products: &[Product], publications: usize) {
    let connection: DatabaseConnection =
        Database::connect(format!("sqlite://{}", database.display())).await.expect("the database");
    connection.execute_unprepared("PRAGMA synchronous = OFF").await.expect("a setting");
    let mut txn = connection.begin().await.expect("a transaction");
    let hex = |id: Uuid| format!("x'{}'", id.simple());
    let rows: Vec<String> = products
        .iter()
        .map(|p| {
            let identity = acervo::domain::fold(&p.name);
            format!("({}, 'name:{identity}', '{}', '{}', '{MACRO_PROCESS}', 0, 0, 0, 0)", hex(p.id), p.name, p.process)
        })
        .collect();
    let columns =
        "products (id, identity, name, process, macro_process, publication_count, revision_count, size, stored_size)";
    txn.execute_unprepared(&format!("INSERT INTO {columns} VALUES {}", rows.join(","))).await.expect("products");
    let days = i64::try_from(publications.div_ceil(products.len())).expect("a number of days");
    let first_day = acervo::domain::sao_paulo()
        .to_datetime(jiff::Timestamp::now())
        .date()
        .saturating_sub(jiff::Span::new().days(days));
    let first_at = jiff::Timestamp::now().as_millisecond() - days * 86_400_000;
    for day in 0..days {
        if day % 100 == 99 {
            // Huge transactions slow down.
            txn.commit().await.expect("a commit");
            txn = connection.begin().await.expect("a transaction");
        }
        let date = first_day.saturating_add(jiff::Span::new().days(day));
        let at = first_at + day * 86_400_000;
        let made = usize::try_from(day).expect("a day") * products.len();
        let (mut rows, mut revisions, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for (i, product) in products.iter().enumerate().take(publications - made) {
            let id = Uuid::now_v7();
            let count = if (i + made) % 10 < 3 { 2 } else { 1 };
            let mut latest = Uuid::nil();
            for number in 1..=count {
                latest = Uuid::now_v7();
                let digest = Digest::of(latest.as_bytes());
                let superseded = if number < count { (at + 3_600_000).to_string() } else { "NULL".to_owned() };
                let announced = at + 3_600_000 * i64::from(number - 1);
                let size = 20_000 + (i * 7_919 + made) % 900_000;
                revisions.push(format!(
                    "({}, {}, {number}, {n}, x'{digest}', '{}_{date}.{e}', '{e}', {announced}, {n}, {announced}, {announced}, {superseded}, 0, '[]')",
                    hex(latest), hex(id), product.stem, n = hex(latest), e = product.extension
                ));
                files.push(format!("(x'{digest}', {size}, {}, 'zstd', {announced})", size * 6 / 10));
            }
            rows.push(format!(
                "({}, {}, '{}', '{MACRO_PROCESS}', '{}', '{date}T00:00:00', '{date}T23:59:59', 'DAY', 'ARCHIVED', {at}, {at}, {}, {count})",
                hex(id), hex(product.id), product.process, date.strftime("%d/%m/%Y"), hex(latest)
            ));
        }
        for (columns, rows) in [
            (
                "publications (id, product_id, process, macro_process, reference_date, period_start, period_end, granularity, status, announced_at, received_at, latest_revision_id, revision_count)",
                rows,
            ),
            (
                "revisions (id, publication_id, number, notification_id, digest, file_name, extension, announced_at, announced_by, received_at, archived_at, superseded_at, held, warnings)",
                revisions,
            ),
            ("files (digest, size, stored_size, encoding, stored_at)", files),
        ] {
            for rows in rows.chunks(1_000) {
                let insert = format!("INSERT INTO {columns} VALUES {}", rows.join(","));
                txn.execute_unprepared(&insert).await.expect("rows");
            }
        }
    }
    txn.commit().await.expect("a commit");
    connection.close().await.expect("a closed connection");
}
