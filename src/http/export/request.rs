//! What an export's URL requests: the table and format, the columns, and the rows by `filter` or a parameter for each of its fields.
use std::fmt::Display;
use std::str::FromStr;

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::coverage;
use super::parameters::{Parameters, one_of};
use crate::contract;
use crate::domain::{
    Granularity, LocalDateTime, NotificationStatus, ProductId, PublicationStatus, TextMatch, excerpt, parse_as_of,
    parse_local_date,
};
use crate::export::{Columns, CsvOptions, Dates, Export, Format, Headers, Rows};
use crate::http::Problem;
use crate::query::{
    Filter, NotificationQuery, Order, Paging, PublicationRequest, PublicationRow, RevisionRequest, SearchIn, TableRow,
};

/// What can be exported.
#[derive(Clone, Copy)]
enum Table {
    Publications,
    Revisions,
    Notifications,
    Coverage,
    Members,
}

fn table_of(file: &str) -> Result<(Table, &str), Problem> {
    let unknown = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there are publications, revisions, notifications, members and coverage, as .csv, .ndjson, .parquet and .xlsx; and files.zip and files.ndjson",
        )
    };
    let (name, extension) = file.split_once('.').ok_or_else(unknown)?;
    let table = match name {
        "publications" => Table::Publications,
        "revisions" => Table::Revisions,
        "notifications" => Table::Notifications,
        "coverage" => Table::Coverage,
        "members" => Table::Members,
        _ => return Err(unknown()),
    };
    let is_known = matches!(extension, "csv" | "ndjson" | "parquet" | "xlsx");
    if is_known { Ok((table, extension)) } else { Err(unknown()) }
}

/// The export that a URL requests by its file name and its query.
pub(super) fn read(file: &str, query: &str) -> Result<Export, Problem> {
    let (table, extension) = table_of(file)?;
    let mut parameters = Parameters::read(query)?;
    let format = format(extension, &mut parameters)?;
    let zone = parameters.parse("tz", "time zone; expected a name such as America/Sao_Paulo", zone)?;
    let headers = parameters.parse("headers", "language: give pt or api", headers)?.unwrap_or_default();
    let limit = parameters.parse("limit", "number of rows", |text| text.parse().ok())?;
    let rows = rows(table, &mut parameters)?;
    parameters.done()?;
    Ok(Export { rows, format, limit, zone, headers })
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn headers(name: &str) -> Option<Headers> {
    match name {
        "api" => Some(Headers::Api),
        "pt" | "pt-BR" => Some(Headers::Portuguese),
        _ => None,
    }
}

/// The publications whose files a query requests, and how many of them at most.
pub(super) fn read_files(query: &str) -> Result<(PublicationRequest, Option<u64>), Problem> {
    let mut parameters = Parameters::read(query)?;
    let limit = parameters.parse("limit", "number of files", |text| text.parse().ok())?;
    let search = parameters.text("search");
    let request = publications(search, false, &mut parameters)?;
    parameters.done()?;
    Ok((request, limit))
}

fn publications(
    search: Option<String>,
    scored: bool,
    parameters: &mut Parameters,
) -> Result<PublicationRequest, Problem> {
    let as_of = parameters.parse(
        "asOf",
        "instant or day; expected one such as 2025-02-20T12:00:00Z, or 2025-02-20 for the end of that day in São Paulo",
        parse_as_of,
    )?;
    let order = order(
        parameters,
        Order::Period { descending: true },
        contract::publication_order,
        &contract::publication_orders(),
    )?;
    let search_in = search_in(parameters)?;
    let filter = filter(parameters)?;
    Ok(PublicationRequest { search, search_in, scored, filter, as_of, order, paging: Paging::default() })
}

/// Where the words of `search` are looked for.
fn search_in(parameters: &mut Parameters) -> Result<SearchIn, Problem> {
    let given = parameters.parse("in", "place to search in: give names or content", |text| match text {
        "names" | "NAMES" => Some(SearchIn::Names),
        "content" | "CONTENT" => Some(SearchIn::Content),
        _ => None,
    })?;
    Ok(given.unwrap_or_default())
}

fn rows(table: Table, parameters: &mut Parameters) -> Result<Rows, Problem> {
    let has_search = matches!(table, Table::Publications | Table::Revisions | Table::Members);
    let search = if has_search { parameters.text("search") } else { None };
    if !has_search && parameters.has("search") {
        let detail = "`search` is not a parameter of this export: use `name`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(match table {
        Table::Publications => {
            let columns: Columns<PublicationRow> = columns(search.is_some(), parameters)?;
            let scored = columns.iter().any(|column| column.name == "score");
            Rows::Publications(Box::new(publications(search, scored, parameters)?), columns)
        }
        Table::Revisions => {
            let columns = columns(search.is_some(), parameters)?;
            let order = order(
                parameters,
                Order::Archived { descending: true },
                contract::revision_order,
                &contract::revision_orders(),
            )?;
            let search_in = search_in(parameters)?;
            let filter = filter(parameters)?;
            let paging = Paging::default();
            Rows::Revisions(Box::new(RevisionRequest { search, search_in, filter, order, paging }), columns)
        }
        Table::Members => {
            let columns = columns(false, parameters)?;
            Rows::Members(Box::new(publications(search, false, parameters)?), columns)
        }
        Table::Notifications => {
            let columns = columns(false, parameters)?;
            Rows::Notifications(Box::new(notifications(parameters)?), columns)
        }
        Table::Coverage => {
            let columns = columns(false, parameters)?;
            Rows::Coverage(Box::new(coverage::request(parameters)?), columns)
        }
    })
}

fn format(extension: &str, parameters: &mut Parameters) -> Result<Format, Problem> {
    match extension {
        "ndjson" => return Ok(Format::Ndjson),
        "parquet" => return Ok(Format::Parquet),
        "xlsx" => return Ok(Format::Xlsx),
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
    let dates = parameters.parse("dates", "format of dates: give iso or br", |text| match text {
        "iso" => Some(Dates::Iso),
        "br" => Some(Dates::Brazilian),
        _ => None,
    })?;
    let plain = CsvOptions::default();
    Ok(Format::Csv(CsvOptions {
        delimiter: delimiter.unwrap_or(plain.delimiter),
        decimal: decimal.unwrap_or(plain.decimal),
        bom: bom.unwrap_or(plain.bom),
        escape_formulas: escape_formulas.unwrap_or(plain.escape_formulas),
        dates: dates.unwrap_or(plain.dates),
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

fn order(
    parameters: &mut Parameters,
    plain: Order,
    named: fn(&str) -> Option<Order>,
    names: &[&'static str],
) -> Result<Order, Problem> {
    let expected = one_of("order of this list", names.iter().copied());
    Ok(parameters.parse("orderBy", &expected, named)?.unwrap_or(plain))
}

/// A parameter that holds states.
fn each_state<T: Copy + FromStr + Display>(
    parameters: &mut Parameters,
    name: &str,
    what: &str,
    all: &[T],
) -> Result<Option<Vec<T>>, Problem> {
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let expected = format!("{what}; expected one of {}", names.join(", "));
    parameters.each(name, &expected, |text| text.parse().ok())
}

/// The parameter `filter`; `null` is none, as in GraphQL.
fn filter_json(parameters: &mut Parameters) -> Result<Option<Value>, Problem> {
    let Some(text) = parameters.text("filter") else { return Ok(None) };
    serde_json::from_str(&text).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "`filter` is not JSON"))
}

pub(super) fn contains(parameters: &mut Parameters, name: &str) -> Option<TextMatch> {
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
    let member = parameters.text("member").map(|text| contract::member_pattern("member", &text)).transpose();
    let member = member.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e))?;
    fill(&mut filter.member, member, "member", "member")?;
    let ids = parameters.each("productId", "id", |text| text.parse().ok())?;
    fill(&mut filter.product_ids, ids, "productId", "productId")?;
    let status = each_state(parameters, "status", "status of a publication", PublicationStatus::ALL)?;
    fill(&mut filter.status, status, "status", "status")?;
    let granularity = each_state(parameters, "granularity", "granularity", Granularity::ALL)?;
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
    let status = each_state(parameters, "status", "status of a notification", NotificationStatus::ALL)?;
    fill(&mut query.status, status, "status", "status")?;
    fill(&mut query.received_from, parameters.instant("receivedFrom")?, "receivedAt.from", "receivedFrom")?;
    fill(&mut query.received_to, parameters.instant("receivedTo")?, "receivedAt.to", "receivedTo")?;
    Ok(query)
}
