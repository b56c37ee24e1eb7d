//! `acervo coverage`: which products are late or missing.
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Map, Value, json};

use super::ask::{Archive, Remote, take};
use super::dates::day;
use super::language::say;
use super::search::{Format, local_time};
use super::table::{Column, Table};
use super::{Usage, output};
use crate::config::Settings;
use crate::domain::sao_paulo;

/// Products of one request: a response holds only so many periods.
const PRODUCTS_AT_ONCE: i64 = 60;

/// The days of a report that has no `--from`, before its last one.
const DAYS_DEFAULT: i64 = 30;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only periods that start on this day or later (2025-02-20 or 20/02/2025) [default: 30 days before --to]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Date>,
    /// Only periods that start on this day or earlier (2025-02-20 or 20/02/2025) [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Date>,
    /// Only products whose name contains this text
    #[arg(long, value_name = "TEXT")]
    product: Option<String>,
    /// Only processes whose name contains this text
    #[arg(long, value_name = "TEXT")]
    process: Option<String>,
    /// Only periods in these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    state: Vec<State>,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Why a period needs a look.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Overdue, but may still be published
    Late,
    /// Overdue for so long that it is unlikely to be published without action
    Missing,
    /// Announced, but the link expired before the file was fetched
    Lost,
    /// Archived later than its own history leads one to expect
    ArrivedLate,
}

impl State {
    fn includes(self, period: &Value) -> bool {
        match self {
            Self::Late => period["state"] == "LATE",
            Self::Missing => period["state"] == "MISSING",
            Self::Lost => period["state"] == "LOST",
            Self::ArrivedLate => !period["arrivedLateBySeconds"].is_null(),
        }
    }
}

const QUERY: &str = "query($filter: ProductFilter, $from: LocalDate!, $to: LocalDate!, $first: Int, $after: String) {
  coverageOverview(filter: $filter, from: $from, to: $to, first: $first, after: $after) {
    nodes {
      productId name process granularity expected archived awaited late missing lost purged arrivedLate
      periods { periodStart periodEnd state dueAt arrivedLateBySeconds }
    }
    pageInfo { hasNextPage endCursor } } }";

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let to = args.to.unwrap_or_else(|| sao_paulo().to_datetime(now).date());
    let from = args.from.unwrap_or_else(|| to.saturating_sub(DAYS_DEFAULT.days()));
    if to < from {
        return Err(Usage(say!("cli-coverage-backwards", to = to.to_string(), from = from.to_string())).into());
    }
    let mut filter = Map::new();
    for (field, text) in [("name", &args.product), ("process", &args.process)] {
        if let Some(text) = text {
            filter.insert(field.to_owned(), json!({ "contains": text }));
        }
    }
    let archive = Archive::open(remote, settings, false).await?;
    let mut products = Vec::new();
    let mut after = Value::Null;
    loop {
        let variables = json!({ "filter": filter, "from": from.to_string(), "to": to.to_string(),
            "first": PRODUCTS_AT_ONCE, "after": after });
        let mut page = take(&mut archive.query(QUERY, variables).await?, "coverageOverview");
        let Value::Array(rows) = take(&mut page, "nodes") else { anyhow::bail!("the answer has no rows") };
        products.extend(rows);
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] != true || after.is_null() {
            break;
        }
    }
    for product in &mut products {
        if let Some(Value::Array(periods)) = product.get_mut("periods") {
            periods.retain(|period| args.state.is_empty() || args.state.iter().any(|state| state.includes(period)));
        }
    }
    match args.format {
        Format::Table => output::print(&report(&products, now)?)?,
        Format::Json => output::print(&serde_json::to_string_pretty(&products)?)?,
        Format::Csv => output::print(&output::csv(rows(&products))?)?,
    }
    // A report: what is late is its content, and no failure of the command.
    Ok(ExitCode::SUCCESS)
}

/// The periods of a product.
fn periods(product: &Value) -> &[Value] {
    product["periods"].as_array().map_or(&[], Vec::as_slice)
}

/// One row a period, with its product.
fn rows(products: &[Value]) -> impl Iterator<Item = Value> + '_ {
    products.iter().flat_map(|product| {
        periods(product).iter().map(move |period| {
            let mut row = Map::new();
            for name in ["productId", "name", "process", "granularity"] {
                row.insert(name.to_owned(), product[name].clone());
            }
            for name in ["periodStart", "periodEnd", "state", "dueAt", "arrivedLateBySeconds"] {
                row.insert(name.to_owned(), period[name].clone());
            }
            Value::Object(row)
        })
    })
}

const COLUMNS: [Column; 6] = [
    Column::flexible("cli-column-product", 0),
    Column::flexible("cli-column-process", 3),
    Column::fixed("cli-column-period", 0),
    Column::fixed("cli-column-state", 0),
    Column::fixed("cli-column-due", 2),
    Column::right("cli-column-late-by", 1),
];

fn report(products: &[Value], now: Timestamp) -> anyhow::Result<String> {
    let mut table = Table::new(&COLUMNS);
    let mut count = 0;
    for product in products {
        for period in periods(product) {
            count += 1;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let arrived_late = period["arrivedLateBySeconds"].as_i64();
            let due_at = period["dueAt"].as_str().map(str::parse::<Timestamp>).transpose()?;
            let overdue = due_at.filter(|_| matches!(period["state"].as_str(), Some("LATE" | "MISSING")));
            let late_by = arrived_late.or_else(|| overdue.map(|at| now.duration_since(at).as_secs()));
            let state = text(&period["state"]).to_lowercase();
            table.add([
                output::in_cell(&text(&product["name"])),
                output::in_cell(&text(&product["process"])),
                days(&text(&period["periodStart"]), &text(&period["periodEnd"])),
                if arrived_late.is_some() { say!("cli-coverage-state-late", state = state) } else { state },
                period["dueAt"].as_str().map(local_time).transpose()?.unwrap_or_default(),
                late_by.map(in_words).unwrap_or_default(),
            ]);
        }
    }
    let total = |name: &str| products.iter().filter_map(|product| product[name].as_u64()).sum::<u64>();
    let summary = say!(
        "cli-coverage-summary",
        products = products.len(),
        expected = total("expected"),
        archived = total("archived"),
        arrived_late = total("arrivedLate"),
        late = total("late"),
        missing = total("missing"),
        lost = total("lost"),
        awaited = total("awaited")
    );
    let table = if count == 0 { String::new() } else { table.text(output::width()) };
    Ok(format!("{table}{summary}\n"))
}

/// A period's days: `20/02/2025`, or the first and the last one.
fn days(start: &str, end: &str) -> String {
    let day = |text: &str| {
        let date = text.get(..10).and_then(|day| day.parse::<Date>().ok());
        date.map_or_else(|| text.to_owned(), |date| date.strftime("%d/%m/%Y").to_string())
    };
    let (start, end) = (day(start), day(end));
    if start == end { start } else { format!("{start} - {end}") }
}

/// `3 d 4 h`, `4 h 20 min`, `20 min`.
fn in_words(seconds: i64) -> String {
    let late_by = SignedDuration::from_secs(seconds);
    let (hours, minutes) = (late_by.as_hours(), late_by.as_mins() % 60);
    match (hours / 24, hours % 24) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {minutes} min"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}
