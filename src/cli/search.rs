//! `acervo search`: searches the archive.
mod content;
mod members;

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::ask::{Archive, Remote, take};
use super::dates;
use super::language::say;
use super::output::{self, Color};
use super::table::{Column, Table};
use crate::config::Settings;
use crate::domain::{LocalDateTime, MemberPattern, PublicationStatus, TextMatch, format_instant};
use crate::query::{Filter, Order, Paging, PublicationRequest, PublicationRow, SearchIn, TableRow};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Where to look for the words
    #[arg(long = "in", value_enum, default_value_t = Place::Names)]
    place: Place,
    /// The order of the rows [default: relevance with words to find, else period]
    #[arg(long, value_enum)]
    order: Option<SearchOrder>,
    /// The maximum number of rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

/// Which publications, with the words to find as arguments.
#[derive(clap::Args)]
pub(super) struct FilterArgs {
    /// Words to find, in any order; the last one may be incomplete. Dates and months find by period: 20/11/2025, nov/2025, novembro
    text: Vec<String>,
    /// List the members of zips whose path contains this text, or matches a pattern such as *vazoes*.dat
    #[arg(long, value_name = "PATTERN", value_parser = MemberPattern::parse)]
    member: Option<MemberPattern>,
    #[command(flatten)]
    options: FilterOptions,
}

/// Which publications.
#[derive(clap::Args)]
pub(super) struct FilterOptions {
    /// Only processes whose name contains this text
    #[arg(long)]
    process: Option<String>,
    /// Only periods that end on this day or later (2025-02-20 or 20/02/2025)
    #[arg(long, value_name = "DAY", value_parser = dates::day)]
    from: Option<Date>,
    /// Only periods that start on this day or earlier (2025-02-20 or 20/02/2025)
    #[arg(long, value_name = "DAY", value_parser = dates::day)]
    to: Option<Date>,
    /// Only these: awaited, archived, lost, purged
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<PublicationStatus>,
    /// Show the archive as it was at the end of a day in São Paulo (2025-02-20 or 20/02/2025), at a time there ("20/02/2025 14:30"), or at
    /// an instant (2025-02-20T12:00:00Z)
    #[arg(long, value_name = "INSTANT", value_parser = dates::as_of)]
    as_of: Option<Timestamp>,
}

impl Args {
    /// The variables of a query for the rows.
    fn variables(&self) -> Value {
        let has_words = self.filter.words().is_some();
        let order = self.order.unwrap_or(if has_words { SearchOrder::Relevance } else { SearchOrder::Period });
        let FilterOptions { as_of, .. } = &self.filter.options;
        json!({
            "search": self.filter.words(), "filter": self.filter.options.filter(), "asOf": as_of.map(format_instant),
            "first": self.limit, "order": order.name(),
        })
    }
}

impl FilterArgs {
    fn words(&self) -> Option<String> {
        Some(self.text.join(" ").trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub fn request(self, paging: Paging) -> PublicationRequest {
        let words = self.words();
        let mut request = self.options.request(words, paging);
        request.filter.member = self.member;
        request
    }

    /// The options that are given, by their names; `None` if there are none.
    pub fn options(&self) -> Option<Value> {
        let member = self.member.as_ref().map(|pattern| pattern.as_str().to_owned());
        let given: Map<String, Value> = [("text", self.words()), ("member", member)]
            .into_iter()
            .chain(self.options.given())
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        (!given.is_empty()).then_some(Value::Object(given))
    }
}

impl FilterOptions {
    /// The same as `PublicationFilter` of the API.
    fn filter(&self) -> Value {
        let Self { process, from, to, status, as_of: _ } = self;
        let status: Vec<&str> = status.iter().map(|status| status.as_str()).collect();
        let mut filter = Map::new();
        if let Some(process) = process {
            filter.insert("process".to_owned(), json!({ "contains": process }));
        }
        if from.is_some() || to.is_some() {
            let day = |day: &Option<Date>| day.map(|day| day.to_string());
            filter.insert("period".to_owned(), json!({ "from": day(from), "to": day(to) }));
        }
        if !status.is_empty() {
            filter.insert("status".to_owned(), json!(status));
        }
        filter.into()
    }

    /// The parameters of an export of these publications, in the order of `request`.
    pub fn parameters(&self, search: Option<&str>) -> Vec<(&'static str, String)> {
        let search = search.filter(|text| !text.trim().is_empty());
        let order = if search.is_none() { SearchOrder::Period } else { SearchOrder::Relevance };
        let mut parameters = vec![("filter", self.filter().to_string()), ("orderBy", order.name().to_owned())];
        parameters.extend(search.map(|text| ("search", text.to_owned())));
        parameters.extend(self.as_of.map(|at| ("asOf", format_instant(at))));
        parameters
    }

    pub fn request(self, search: Option<String>, paging: Paging) -> PublicationRequest {
        let search = search.filter(|text| !text.trim().is_empty());
        PublicationRequest {
            scored: false,
            order: if search.is_none() { Order::Period { descending: true } } else { Order::Relevance },
            search,
            search_in: SearchIn::Names,
            filter: Filter {
                process: self.process.map(TextMatch::containing),
                period_from: self.from.map(LocalDateTime::start_of),
                period_to: self.to.map(LocalDateTime::end_of),
                status: Some(self.status).filter(|all| !all.is_empty()),
                ..Filter::default()
            },
            as_of: self.as_of,
            paging,
        }
    }

    /// Whether any is given.
    pub fn is_given(&self) -> bool {
        self.given().iter().any(|(_, value)| value.is_some())
    }

    /// The options, by their names.
    fn given(&self) -> [(&'static str, Option<String>); 5] {
        let status: Vec<&str> = self.status.iter().map(|status| status.as_str()).collect();
        [
            ("process", self.process.clone()),
            ("from", self.from.map(|day| day.to_string())),
            ("to", self.to.map(|day| day.to_string())),
            ("status", Some(status.join(",")).filter(|status| !status.is_empty())),
            ("asOf", self.as_of.map(|at| at.to_string())),
        ]
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

/// Where to look for words.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Place {
    /// Names, processes, file names and the paths of members
    Names,
    /// The text inside files: PDFs, workbooks, CSV and other plain text, also inside zips
    Content,
}

/// The orders of publications.
#[derive(Clone, Copy, ValueEnum)]
enum SearchOrder {
    /// What matches best; of what matches as well, the newest period
    Relevance,
    /// The newest period first
    #[value(alias = "period-desc")]
    Period,
    /// The oldest period first
    PeriodAsc,
    /// What was archived last first
    #[value(alias = "archived-desc")]
    Archived,
    /// What was archived first first
    ArchivedAsc,
    /// What was announced last first
    #[value(alias = "received-desc")]
    Received,
    /// By name
    #[value(alias = "name-asc")]
    Name,
    /// The largest first
    #[value(alias = "size-desc")]
    Size,
}

impl SearchOrder {
    /// In the words of the API.
    fn name(self) -> &'static str {
        match self {
            Self::Relevance => "RELEVANCE",
            Self::Period => "PERIOD_DESC",
            Self::PeriodAsc => "PERIOD_ASC",
            Self::Archived => "ARCHIVED_DESC",
            Self::ArchivedAsc => "ARCHIVED_ASC",
            Self::Received => "RECEIVED_DESC",
            Self::Name => "NAME_ASC",
            Self::Size => "SIZE_DESC",
        }
    }
}

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    if args.filter.member.is_some() {
        if args.place == Place::Content {
            return Err(super::Usage(say!("cli-members-in-content")).into());
        }
        return members::run(args, remote, settings).await;
    }
    let has_words = args.filter.words().is_some();
    let is_inside = args.place == Place::Content;
    if is_inside && !has_words {
        return Err(super::Usage(say!("cli-content-needs-words")).into());
    }
    let variables = args.variables();
    // The columns of the API, without the score, which depends on the search.
    let columns: Vec<&str> =
        PublicationRow::COLUMNS.iter().map(|column| column.name).filter(|name| *name != "score").collect();
    // Without it, instances that cannot search inside files understand the query too.
    let (place, matches) = if is_inside { (", in: CONTENT", content::FIELDS) } else { ("", "") };
    let document = format!(
        "query($search: String, $filter: PublicationFilter, $asOf: DateTime, $order: PublicationOrder!, $first: Int) {{
           publications(search: $search{place}, filter: $filter, asOf: $asOf, orderBy: $order, first: $first) {{
             totalCount nodes {{ {} {matches} }} }} }}",
        columns.join(" ")
    );
    let archive = Archive::open(remote, settings, is_inside).await?;
    let mut found = take(&mut archive.query(&document, variables).await?, "publications");
    let Value::Array(rows) = take(&mut found, "nodes") else { anyhow::bail!("the answer has no rows") };
    if is_inside {
        content::print(rows, &found["totalCount"], args.format, args.color)?;
        return Ok(ExitCode::SUCCESS);
    }
    match args.format {
        Format::Table if rows.is_empty() && has_words => output::print(&say!("cli-nothing-found-in-names"))?,
        Format::Table => output::print(&table(&rows, &found["totalCount"])?)?,
        Format::Json => output::print(&serde_json::to_string_pretty(&rows)?)?,
        Format::Csv => output::print(&output::csv(rows.into_iter())?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn status(text: &str) -> Result<PublicationStatus, String> {
    let wrong = |_| say!("cli-not-a-status", text = text);
    text.trim().to_uppercase().parse().map_err(wrong)
}

/// The columns of the table. In a narrow terminal those with a higher number are left out first.
const COLUMNS: [Column; 8] = [
    Column::flexible("cli-column-name", 0),
    Column::fixed("cli-column-reference-date", 1),
    Column::fixed("cli-column-rev", 4),
    Column::fixed("cli-column-status", 2),
    Column::fixed("cli-column-archived", 3),
    Column::flexible("cli-column-file", 6),
    Column::right("cli-column-size", 5),
    Column::fixed("cli-column-revision-id", 0),
];

fn table(rows: &[Value], total: &Value) -> anyhow::Result<String> {
    if rows.is_empty() {
        return Ok(say!("cli-nothing-found") + "\n");
    }
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let number = row["revisionNumber"].as_u64();
        let archived_at = row["archivedAt"].as_str().map(local_time).transpose()?;
        table.add([
            output::in_cell(text("name")),
            output::in_cell(text("referenceDate")),
            number.map(|number| format!("{number}/{}", row["revisionCount"])).unwrap_or_default(),
            text("status").to_lowercase(),
            archived_at.unwrap_or_default(),
            output::in_cell(text("fileName")),
            row["size"].as_u64().map(output::size).unwrap_or_default(),
            text("revisionId").to_owned(),
        ]);
    }
    let summary = summary(rows.len(), total);
    Ok(format!("{}{summary}\n", table.text(output::width())))
}

/// How many rows of how many are shown.
fn summary(count: usize, total: &Value) -> String {
    let total = total.as_f64().unwrap_or_default();
    let more = if (count as f64) < total { "yes" } else { "no" };
    say!("cli-rows-of", count = count, total = total, more = more)
}

/// An instant of the API.
pub(super) fn instant_of(text: &str) -> anyhow::Result<Timestamp> {
    text.parse().with_context(|| format!("`{text}` is not a valid instant"))
}

/// The same for a person: the clock in São Paulo, to the minute.
pub(super) fn local_time(text: &str) -> anyhow::Result<String> {
    instant_of(text).map(output::local)
}
