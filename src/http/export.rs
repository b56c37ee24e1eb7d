//! `GET /export/{table}.{format}`: the rows of GraphQL as files, streamed.
use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::auth::Caller;
use super::conditional::{Conditions, Evaluation, without_body};
use super::{Http, Problem};
use crate::contract;
use crate::domain::{Digest, LocalDateTime, ProductId, TextMatch, excerpt, http_date, parse_instant, parse_local_date};
use crate::export::{Columns, CsvOptions, Export, Format, Rows, RunningExport};
use crate::query::NotificationQuery;
use crate::query::{Filter, Order};
use crate::query::{Flat, Paging, PublicationRequest, PublicationRow, QueryLimits, RevisionRequest};

/// Part of the ETag. To be increased when the same rows are written in another way, so also with each new column.
const VERSION: &str = "2";

pub(super) async fn export(
    State(http): State<Http>,
    Extension(caller): Extension<Caller>,
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
    let coding = coding(format, &headers);
    let (mut tag, changed_at) = state(&http, &export, &file, &query, coding).await?;
    let mut response = match Conditions::of(&headers).check(tag.as_deref(), changed_at) {
        Evaluation::Failed => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "the export is not what `If-Match` expects any more",
            ));
        }
        Evaluation::NotModified => {
            tag = tag.map(|tag| as_named(&headers, tag));
            without_body(StatusCode::NOT_MODIFIED)
        }
        Evaluation::Proceed => {
            let admission = http.queries.admission();
            let bounds = QueryLimits::lasting(admission.settings().timeout);
            // Both are dropped when the last piece was read, or the client is gone.
            let guards = (admission.admit_export(&caller.name).await?, bounds.stop_on_drop());
            let RunningExport { chunks, is_whole } = export.start(&http.queries.within(bounds)).await?;
            // The rows of a long export are read while they are sent, so they may include commits made in the meantime.
            let is_exact = is_whole && state(&http, &export, &file, &query, coding).await?.0 == tag;
            tag = tag.map(|tag| if is_exact { tag } else { weak(&tag) });
            let mut response = match method {
                Method::HEAD => without_body(StatusCode::OK),
                _ => Body::from_stream(chunks.map(move |piece| {
                    let _ = &guards;
                    piece.inspect_err(|e| tracing::error!(error = %e, "an export broke off"))
                }))
                .into_response(),
            };
            let disposition = format!("attachment; filename=\"{file}\"");
            let described = [(header::CONTENT_TYPE, format.media_type()), (header::CONTENT_DISPOSITION, &disposition)];
            for (name, value) in described {
                response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|e| Problem::internal(&e))?);
            }
            response
        }
    };
    // The compression layer sets this only on what it compresses, and the plain form depends on it as well.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding, authorization"));
    let stamps = [
        (header::CACHE_CONTROL, Some("private, no-cache".to_owned())),
        (header::ETAG, tag),
        (header::LAST_MODIFIED, changed_at.and_then(http_date)),
    ];
    for (name, value) in stamps {
        if let Some(value) = value {
            response.headers_mut().insert(name, HeaderValue::from_str(&value).map_err(|e| Problem::internal(&e))?);
        }
    }
    Ok(response)
}

fn weak(tag: &str) -> String {
    format!("W/{tag}")
}

/// A tag as the client has it: weak if it was sent as a weak one.
fn as_named(headers: &HeaderMap, tag: String) -> String {
    let weak = weak(&tag);
    let is_named = |line: &HeaderValue| line.to_str().is_ok_and(|line| line.contains(&weak));
    if headers.get_all(header::IF_NONE_MATCH).iter().any(is_named) { weak } else { tag }
}

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

/// The parameters of a request. Each is taken once, so one that is left is misspelt.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name == "key" {
                continue;
            }
            if all.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Problem::new(StatusCode::BAD_REQUEST, format!("`{}` is given twice", excerpt(&name))));
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
        parse(&text).map(Some).ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`{name}` is `{}`, which is not a valid {what}", excerpt(&text)),
            )
        })
    }

    fn each<T>(
        &mut self,
        name: &str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let Some(texts) = self.list(name) else { return Ok(None) };
        let wrong = |text: &str| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`{name}` holds `{}`, which is not a valid {what}", excerpt(text)),
            )
        };
        texts.iter().map(|text| parse(text).ok_or_else(|| wrong(text))).collect::<Result<Vec<T>, _>>().map(Some)
    }

    fn instant(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parse(name, "instant; expected one such as 2025-02-20T12:00:00Z", parse_instant)
    }

    fn done(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            Some(name) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                format!("`{}` is not a parameter of this export", excerpt(&name)),
            )),
            None => Ok(()),
        }
    }
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

fn read(table: Table, format: Format, parameters: &mut Parameters) -> Result<Export, Problem> {
    let limit = parameters.parse("limit", "number of rows", |text| text.parse().ok())?;
    let search = parameters.text("search");
    let rows = match table {
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
    };
    Ok(Export { rows, format, limit })
}

fn columns<Row: Flat>(searched: bool, parameters: &mut Parameters) -> Result<Columns<Row>, Problem> {
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

/// The content coding that the compression layer will use: negotiation has reduced the request to one.
fn coding(format: Format, headers: &HeaderMap) -> Option<&str> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.filter(|coding| *coding != "identity" && super::is_text(format.media_type()))
}

/// An instant becomes `Last-Modified` only when it is this old: the header has whole seconds, and a client would keep the first
/// of two states within one second.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// The ETag of an export, different for each content coding, and when its rows changed last; none while they are changing.
async fn state(
    http: &Http,
    export: &Export,
    file: &str,
    query: &str,
    coding: Option<&str>,
) -> Result<(Option<String>, Option<Timestamp>), Problem> {
    let (mark, changed_at) = match export.rows {
        Rows::Publications(..) => http.queries.state_of_publications().await?,
        Rows::Revisions(..) => (http.queries.state_of_revisions().await?, None),
        Rows::Notifications(..) => (http.queries.state_of_notifications().await?, None),
    };
    let Some(mark) = mark else { return Ok((None, None)) };
    let scores = match &export.rows {
        Rows::Publications(request, _) if request.scored || request.order == Order::Relevance => {
            http.queries.state_of_scores()
        }
        Rows::Revisions(request, _) if request.order == Order::Relevance => http.queries.state_of_scores(),
        _ => String::new(),
    };
    let address = http.app.settings.public_url.as_deref().unwrap_or_default();
    let state = format!("{VERSION} {file} {query} {mark} {scores} {address}");
    let digest = Digest::of(state.as_bytes()).to_string();
    let suffix = coding.map(|coding| format!("-{coding}")).unwrap_or_default();
    let is_settled = |at: &Timestamp| scores.is_empty() && http.app.clock.now().duration_since(*at) >= SETTLED_AFTER;
    let changed_at = changed_at.filter(is_settled);
    Ok((Some(format!("\"{}{suffix}\"", &digest[..32])), changed_at))
}
