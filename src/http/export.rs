//! `GET /export/{table}.{format}`: the rows of GraphQL as files, streamed.
use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::Value;

use super::{Http, Problem};
use crate::domain::{Digest, LocalDateTime, ProductId, TextMatch, http_date, parse_local_date};
use crate::export::{Columns, CsvOptions, Export, Format, Rows};
use crate::graphql::inputs;
use crate::index::{Filter, Order};
use crate::query::{Flat, Paging, PublicationAsk, PublicationRow, RevisionAsk};
use crate::record::NotificationQuery;

/// A change of how rows are written is another file under the same address.
const VERSION: &str = "1";

pub(super) async fn export(
    State(http): State<Http>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    method: Method,
) -> Result<Response, Problem> {
    let (table, extension) = table_of(&file)?;
    let query = query.unwrap_or_default();
    let mut parameters = Parameters::read(&query)?;
    let format = format(extension, &mut parameters)?;
    let export = read(table, format, &mut parameters)?;
    parameters.done()?;
    let (tag, changed_at) = state(&http, &export, &file, &query).await?;
    let mut response = if is_known(&headers, tag.as_deref()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let pieces = export.pieces(&http.queries)?;
        let body = match method {
            Method::HEAD => Body::empty(),
            _ => Body::from_stream(
                pieces.map(|piece| piece.inspect_err(|e| tracing::error!(error = %e, "an export broke off"))),
            ),
        };
        let disposition = format!("attachment; filename=\"{file}\"");
        let described = [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, &disposition)];
        (described, body).into_response()
    };
    let stamps = [
        (header::CACHE_CONTROL, Some("private, no-cache".to_owned())),
        (header::ETAG, tag),
        (header::LAST_MODIFIED, changed_at.and_then(http_date)),
    ];
    for (name, value) in stamps {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// What can be exported.
#[derive(Clone, Copy)]
enum Table {
    Publications,
    Revisions,
    Notifications,
}

fn table_of(file: &str) -> Result<(Table, &str), Problem> {
    let unknown =
        || Problem::new(404, "there are publications, revisions and notifications, as .csv, .ndjson and .parquet");
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

/// What was asked for, each taken once: what nobody took is misspelt.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name == "key" {
                continue;
            }
            if all.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::new(400, format!("`{}` is given twice", short(&name))));
            }
        }
        Ok(Self(all))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    fn parse<T>(&mut self, name: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| Problem::new(400, format!("`{name}` is `{}`: no {what}", short(&text))))
    }

    fn each<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let Some(texts) = self.list(name) else { return Ok(None) };
        let wrong = |text: &str| Problem::new(400, format!("`{name}` holds `{}`: no {what}", short(text)));
        texts.iter().map(|text| parse(text).ok_or_else(|| wrong(text))).collect::<Result<Vec<T>, _>>().map(Some)
    }

    fn instant(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parse(name, "instant such as 2025-02-20T12:00:00Z", |text| text.parse().ok())
    }

    fn done(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            Some(name) => Err(Problem::new(400, format!("`{}` is no parameter of this export", short(&name)))),
            None => Ok(()),
        }
    }
}

fn short(text: &str) -> String {
    crate::domain::scrubbed(text).chars().take(60).collect()
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
    let escape_formulas =
        parameters.parse("formulas", "way with formulas: give keep or escape", |text| match text {
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

fn read(table: Table, format: Format, parameters: &mut Parameters) -> Result<Export, Problem> {
    let limit = parameters.parse("limit", "number of rows", |text| text.parse().ok())?;
    let search = parameters.text("search");
    let rows = match table {
        Table::Publications => {
            let columns: Columns<PublicationRow> = columns(search.is_some(), parameters)?;
            let scored = columns.iter().any(|column| column.name == "score");
            let as_of = parameters.instant("asOf")?;
            let order = order(parameters, Order::Period { descending: true }, inputs::publication_order)?;
            let filter = filter(parameters)?;
            let ask = PublicationAsk { search, scored, filter, as_of, order, paging: Paging::default() };
            Rows::Publications(Box::new(ask), columns)
        }
        Table::Revisions => {
            let columns = columns(search.is_some(), parameters)?;
            let order = order(parameters, Order::Archived { descending: true }, inputs::revision_order)?;
            let filter = filter(parameters)?;
            Rows::Revisions(Box::new(RevisionAsk { search, filter, order, paging: Paging::default() }), columns)
        }
        Table::Notifications => {
            if search.is_some() {
                return Err(Problem::new(400, "`search` is no parameter of this export: use `name`"));
            }
            let columns = columns(false, parameters)?;
            Rows::Notifications(Box::new(notifications(parameters)?), columns)
        }
    };
    Ok(Export { rows, format, limit })
}

fn columns<Row: Flat>(searched: bool, parameters: &mut Parameters) -> Result<Columns<Row>, Problem> {
    let Some(names) = parameters.list("columns") else {
        // Relevance is there where there is something to be relevant to.
        return Ok(Row::COLUMNS.iter().filter(|column| searched || column.name != "score").collect());
    };
    let find = |name: &String| {
        let told = || {
            let all: Vec<&str> = Row::COLUMNS.iter().map(|column| column.name).collect();
            Problem::new(400, format!("`columns` holds `{}`: there are {}", short(name), all.join(", ")))
        };
        Row::column(name).ok_or_else(told)
    };
    names.iter().map(find).collect()
}

fn order(parameters: &mut Parameters, plain: Order, named: fn(&str) -> Option<Order>) -> Result<Order, Problem> {
    Ok(parameters.parse("orderBy", "order of this list; see the schema", named)?.unwrap_or(plain))
}

fn json(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|_| Problem::new(400, "`filter` is no JSON"))
}

fn contains(parameters: &mut Parameters, name: &str) -> Option<TextMatch> {
    parameters.text(name).map(TextMatch::containing)
}

/// `filter` as JSON, and each of its fields as a parameter of its own; all that is given must hold.
fn filter(parameters: &mut Parameters) -> Result<Filter, Problem> {
    let mut filter = match parameters.text("filter") {
        Some(text) => {
            inputs::publication_filter(json(&text)?).map_err(|e| Problem::new(400, format!("`filter`: {e}")))?
        }
        None => Filter::default(),
    };
    let wanted = ["name", "process", "macroProcess", "fileName"];
    let slots = [&mut filter.name, &mut filter.process, &mut filter.macro_process, &mut filter.file_name];
    for (name, slot) in wanted.into_iter().zip(slots) {
        if let Some(text) = contains(parameters, name) {
            *slot = Some(text);
        }
    }
    let id = |text: &str| text.parse().ok();
    if let Some(ids) = parameters.each("productId", "id", id)? {
        filter.product_ids = Some(ids);
    }
    if let Some(all) = parameters.each("status", "status of a publication", |text| text.parse().ok())? {
        filter.status = Some(all);
    }
    if let Some(all) = parameters.each("granularity", "granularity", |text| text.parse().ok())? {
        filter.granularity = Some(all);
    }
    if let Some(all) = parameters.list("extension") {
        filter.extension = Some(all);
    }
    let day = "day such as 2025-02-20";
    if let Some(from) = parameters.parse("periodFrom", day, parse_local_date)? {
        filter.period_from = Some(LocalDateTime::start_of(from));
    }
    if let Some(to) = parameters.parse("periodTo", day, parse_local_date)? {
        filter.period_to = Some(LocalDateTime::end_of(to));
    }
    let ranges = [("archivedFrom", &mut filter.archived.0), ("archivedTo", &mut filter.archived.1)];
    for (name, slot) in
        ranges.into_iter().chain([("receivedFrom", &mut filter.received.0), ("receivedTo", &mut filter.received.1)])
    {
        if let Some(at) = parameters.instant(name)? {
            *slot = Some(at);
        }
    }
    Ok(filter)
}

fn notifications(parameters: &mut Parameters) -> Result<NotificationQuery, Problem> {
    let mut query = match parameters.text("filter") {
        Some(text) => {
            inputs::notification_filter(json(&text)?).map_err(|e| Problem::new(400, format!("`filter`: {e}")))?
        }
        None => NotificationQuery::default(),
    };
    if let Some(name) = contains(parameters, "name") {
        query.name = Some(name);
    }
    if let Some(ids) = parameters.each("productId", "id", |text| text.parse().ok().map(ProductId))? {
        query.product_id = Some(ids);
    }
    if let Some(all) = parameters.each("status", "status of a notification", |text| text.parse().ok())? {
        query.status = Some(all);
    }
    if let Some(at) = parameters.instant("receivedFrom")? {
        query.received_from = Some(at);
    }
    if let Some(at) = parameters.instant("receivedTo")? {
        query.received_to = Some(at);
    }
    Ok(query)
}

/// What tells this export from the next, and when its rows changed last; none while something is under way.
async fn state(
    http: &Http,
    export: &Export,
    file: &str,
    query: &str,
) -> Result<(Option<String>, Option<Timestamp>), Problem> {
    let (mark, changed_at) = match export.rows {
        Rows::Publications(..) | Rows::Revisions(..) => {
            let (number, at) = http.queries.state_of_lists().await?;
            ((number >= 0).then(|| number.to_string()), at)
        }
        Rows::Notifications(..) => http.queries.state_of_notifications().await?,
    };
    let Some(mark) = mark else { return Ok((None, None)) };
    let digest = Digest::of(format!("{VERSION} {file} {query} {mark}").as_bytes()).to_string();
    Ok((Some(format!("\"{}\"", &digest[..32])), changed_at))
}

fn is_known(headers: &HeaderMap, tag: Option<&str>) -> bool {
    let shown = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let (Some(shown), Some(tag)) = (shown, tag) else { return false };
    // What was packed on its way comes back as a weak tag.
    shown.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}
