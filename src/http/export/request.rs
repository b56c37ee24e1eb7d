//! What an export's URL requests: the table and format, the columns, and the rows by `filter` or a parameter for each of its fields.
use axum::http::StatusCode;
use serde_json::Value;

use super::parameters::Parameters;
use crate::contract;
use crate::domain::{LocalDateTime, ProductId, TextMatch, excerpt, parse_local_date};
use crate::export::{Columns, CsvOptions, Export, Format, Rows};
use crate::http::Problem;
use crate::query::{
    Filter, NotificationQuery, Order, Paging, PublicationRequest, PublicationRow, RevisionRequest, TableRow,
};

/// What can be exported.
#[derive(Clone, Copy)]
enum Table {
    Publications,
    Revisions,
    Notifications,
}

fn table_of(file: &str) -> Result<(Table, &str), Problem> {
    let unknown = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there are publications, revisions and notifications, as .csv, .ndjson and .parquet",
        )
    };
    let (name, extension) = file.split_once('.').ok_or_else(unknown)?;
    let table = match name {
        "publications" => Table::Publications,
        "revisions" => Table::Revisions,
        "notifications" => Table::Notifications,
        _ => return Err(unknown()),
    };
    let is_known = matches!(extension, "csv" | "ndjson" | "parquet");
    if is_known { Ok((table, extension)) } else { Err(unknown()) }
}

/// The export that a URL requests by its file name and its query.
pub(super) fn read(file: &str, query: &str) -> Result<Export, Problem> {
    let (table, extension) = table_of(file)?;
    let mut parameters = Parameters::read(query)?;
    let format = format(extension, &mut parameters)?;
    let limit = parameters.parse("limit", "number of rows", |text| text.parse().ok())?;
    let rows = rows(table, &mut parameters)?;
    parameters.done()?;
    Ok(Export { rows, format, limit })
}

fn rows(table: Table, parameters: &mut Parameters) -> Result<Rows, Problem> {
    let search = parameters.text("search");
    Ok(match table {
        Table::Publications => {
            let columns: Columns<PublicationRow> = columns(search.is_some(), parameters)?;
            let scored = columns.iter().any(|column| column.name == "score");
            let as_of = parameters.instant("asOf")?;
            let order = order(parameters, Order::Period { descending: true }, contract::publication_order)?;
            let filter = filter(parameters)?;
            let request = PublicationRequest { search, scored, filter, as_of, order, paging: Paging::default() };
            Rows::Publications(Box::new(request), columns)
        }
        Table::Revisions => {
            let columns = columns(search.is_some(), parameters)?;
            let order = order(parameters, Order::Archived { descending: true }, contract::revision_order)?;
            let filter = filter(parameters)?;
            Rows::Revisions(Box::new(RevisionRequest { search, filter, order, paging: Paging::default() }), columns)
        }
        Table::Notifications => {
            if search.is_some() {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "`search` is not a parameter of this export: use `name`",
                ));
            }
            let columns = columns(false, parameters)?;
            Rows::Notifications(Box::new(notifications(parameters)?), columns)
        }
    })
}

fn format(extension: &str, parameters: &mut Parameters) -> Result<Format, Problem> {
    match extension {
        "ndjson" => return Ok(Format::Ndjson),
        "parquet" => return Ok(Format::Parquet),
        _ => {}
    }
    let delimiter = parameters.parse("delimiter", "delimiter: give , ; | or tab", |text| match text {
        "," => Some(b','),
        ";" => Some(b';'),
        "|" => Some(b'|'),
        "tab" | "\t" => Some(b'\t'),
        _ => None,
    })?;
    let decimal = parameters.parse("decimal", "decimal sign: give . or ,", |text| match text {
        "." => Some('.'),
        "," => Some(','),
        _ => None,
    })?;
    let flag = |text: &str| match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    let bom = parameters.parse("bom", "flag: give true or false", flag)?;
    let escape_formulas = parameters.parse("formulas", "value: give keep or escape", |text| match text {
        "keep" => Some(false),
        "escape" => Some(true),
        _ => None,
    })?;
    let plain = CsvOptions::default();
    Ok(Format::Csv(CsvOptions {
        delimiter: delimiter.unwrap_or(plain.delimiter),
        decimal: decimal.unwrap_or(plain.decimal),
        bom: bom.unwrap_or(plain.bom),
        escape_formulas: escape_formulas.unwrap_or(plain.escape_formulas),
    }))
}

fn columns<Row: TableRow>(searched: bool, parameters: &mut Parameters) -> Result<Columns<Row>, Problem> {
    let Some(names) = parameters.list("columns") else {
        // Without a search there is no score.
        return Ok(Row::COLUMNS.iter().filter(|column| searched || column.name != "score").collect());
    };
    let find = |name: &String| {
        let unknown = || {
            let all: Vec<&str> = Row::COLUMNS.iter().map(|column| column.name).collect();
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`columns` holds `{}`, which is not a column; there are {}", excerpt(name), all.join(", ")),
            )
        };
        Row::column(name).ok_or_else(unknown)
    };
    if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`columns` holds `{}` twice", excerpt(name))));
    }
    names.iter().map(find).collect()
}

fn order(parameters: &mut Parameters, plain: Order, named: fn(&str) -> Option<Order>) -> Result<Order, Problem> {
    Ok(parameters.parse("orderBy", "order of this list; see the schema", named)?.unwrap_or(plain))
}

/// The parameter `filter`; `null` is none, as in GraphQL.
fn filter_json(parameters: &mut Parameters) -> Result<Option<Value>, Problem> {
    let Some(text) = parameters.text("filter") else { return Ok(None) };
    serde_json::from_str(&text).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "`filter` is not JSON"))
}

fn contains(parameters: &mut Parameters, name: &str) -> Option<TextMatch> {
    parameters.text(name).map(TextMatch::containing)
}

/// Fills a field of the filter from a parameter; it is an error to give both.
fn fill<T>(slot: &mut Option<T>, value: Option<T>, field: &str, parameter: &str) -> Result<(), Problem> {
    match (slot.is_some(), value) {
        (_, None) => Ok(()),
        (true, Some(_)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("`filter` has `{field}`, and the parameter `{parameter}` is given too: give one of them"),
        )),
        (false, value) => {
            *slot = value;
            Ok(())
        }
    }
}

/// `filter` as JSON, and each of its fields as a separate parameter; all conditions must be met.
fn filter(parameters: &mut Parameters) -> Result<Filter, Problem> {
    let mut filter = match filter_json(parameters)? {
        Some(json) => contract::publication_filter(json)
            .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("`filter`: {e}")))?,
        None => Filter::default(),
    };
    let wanted = ["name", "process", "macroProcess", "fileName"];
    let slots = [&mut filter.name, &mut filter.process, &mut filter.macro_process, &mut filter.file_name];
    for (name, slot) in wanted.into_iter().zip(slots) {
        fill(slot, contains(parameters, name), name, name)?;
    }
    let ids = parameters.each("productId", "id", |text| text.parse().ok())?;
    fill(&mut filter.product_ids, ids, "productId", "productId")?;
    let status = parameters.each("status", "status of a publication", |text| text.parse().ok())?;
    fill(&mut filter.status, status, "status", "status")?;
    let granularity = parameters.each("granularity", "granularity", |text| text.parse().ok())?;
    fill(&mut filter.granularity, granularity, "granularity", "granularity")?;
    fill(&mut filter.extension, parameters.list("extension"), "extension", "extension")?;
    let day = "day; expected one such as 2025-02-20";
    let from = parameters.parse("periodFrom", day, parse_local_date)?.map(LocalDateTime::start_of);
    fill(&mut filter.period_from, from, "period.from", "periodFrom")?;
    let to = parameters.parse("periodTo", day, parse_local_date)?.map(LocalDateTime::end_of);
    fill(&mut filter.period_to, to, "period.to", "periodTo")?;
    for (parameter, field, slot) in [
        ("archivedFrom", "archivedAt.from", &mut filter.archived.0),
        ("archivedTo", "archivedAt.to", &mut filter.archived.1),
        ("receivedFrom", "receivedAt.from", &mut filter.received.0),
        ("receivedTo", "receivedAt.to", &mut filter.received.1),
    ] {
        fill(slot, parameters.instant(parameter)?, field, parameter)?;
    }
    Ok(filter)
}

fn notifications(parameters: &mut Parameters) -> Result<NotificationQuery, Problem> {
    let mut query = match filter_json(parameters)? {
        Some(json) => contract::notification_filter(json)
            .map_err(|e| Problem::new(StatusCode::BAD_REQUEST, format!("`filter`: {e}")))?,
        None => NotificationQuery::default(),
    };
    fill(&mut query.name, contains(parameters, "name"), "name", "name")?;
    let ids = parameters.each("productId", "id", |text| text.parse().ok().map(ProductId))?;
    fill(&mut query.product_id, ids, "productId", "productId")?;
    let status = parameters.each("status", "status of a notification", |text| text.parse().ok())?;
    fill(&mut query.status, status, "status", "status")?;
    fill(&mut query.received_from, parameters.instant("receivedFrom")?, "receivedAt.from", "receivedFrom")?;
    fill(&mut query.received_to, parameters.instant("receivedTo")?, "receivedAt.to", "receivedTo")?;
    Ok(query)
}
