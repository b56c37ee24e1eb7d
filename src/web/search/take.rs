//! The same result for other programs: exports, and recipes to copy.
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::parameters::{Facet, Parameters, Sort};
use crate::lang::{Lang, text};
use crate::web::visit::address;
use crate::web::{Visit, parts};

/// The filter as the API takes it.
fn filter(asked: &Parameters) -> Map<String, Value> {
    let mut filter = Map::new();
    for facet in
        [Facet::Process, Facet::MacroProcess, Facet::Product, Facet::Granularity, Facet::Extension, Facet::Status]
    {
        let values = asked.values(facet);
        if values.is_empty() {
            continue;
        }
        let condition = match facet {
            Facet::Process | Facet::MacroProcess => json!({ "in": values }),
            Facet::Product | Facet::Granularity | Facet::Extension | Facet::Status => json!(values),
        };
        filter.insert(facet.parameter().to_owned(), condition);
    }
    let (from, to) = asked.days();
    let mut period = Map::new();
    period.extend(from.map(|day| ("from".to_owned(), json!(day.to_string()))));
    period.extend(to.map(|day| ("to".to_owned(), json!(day.to_string()))));
    if !period.is_empty() {
        filter.insert("period".to_owned(), Value::Object(period));
    }
    filter
}

/// The path of an export of the same rows.
fn export(asked: &Parameters, file: &str, more: &[(&str, &str)]) -> String {
    let filter = filter(asked);
    let filter = if filter.is_empty() { String::new() } else { Value::Object(filter).to_string() };
    let order = if asked.order == Sort::PeriodDesc { "" } else { asked.order.name() };
    let same = [
        ("search", asked.search.as_deref().unwrap_or_default()),
        ("in", asked.place()),
        ("filter", filter.as_str()),
        ("asOf", asked.as_of.as_ref().map_or("", |(text, _)| text)),
        ("orderBy", order),
    ];
    address(&format!("/export/{file}"), same.into_iter().chain(more.iter().copied()))
}

const QUERY: &str = "query Publications($search: String, $in: SearchIn! = NAMES, $filter: PublicationFilter, $asOf: DateTime, $orderBy: PublicationOrder! = PERIOD_DESC, $after: String) {
  publications(search: $search, in: $in, filter: $filter, asOf: $asOf, orderBy: $orderBy, first: 100, after: $after) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { name periodStart periodEnd revisionNumber revisionCount fileName size sha256 archivedAt fileUrl }
  }
}";

fn variables(asked: &Parameters) -> Value {
    let mut variables = Map::new();
    variables.extend(asked.search.clone().map(|text| ("search".to_owned(), json!(text))));
    if !asked.place().is_empty() {
        variables.insert("in".to_owned(), json!(asked.place()));
    }
    let filter = filter(asked);
    if !filter.is_empty() {
        variables.insert("filter".to_owned(), Value::Object(filter));
    }
    variables.extend(asked.as_of.clone().map(|(text, _)| ("asOf".to_owned(), json!(text))));
    if asked.order != Sort::PeriodDesc {
        variables.insert("orderBy".to_owned(), json!(asked.order.name()));
    }
    Value::Object(variables)
}

pub fn take(visit: &Visit, asked: &Parameters, total: u64) -> Markup {
    let lang = visit.lang;
    let headers = match lang {
        Lang::English => "",
        Lang::Portuguese => "pt",
    };
    let workbook = export(asked, "publications.xlsx", &[("headers", headers), ZONE]);
    let graphql = variables(asked).to_string();
    html! {
        @if total > 0 {
            section.take aria-labelledby="take" {
                h2 #take { (text!(lang, "take-title")) }
                p.exports {
                    a href=(workbook) { (text!(lang, "take-xlsx")) }
                    a href=(export(asked, "publications.csv", &[])) { "CSV" }
                    a href=(export(asked, "publications.csv", &EXCEL)) { (text!(lang, "take-csv-excel")) }
                    a href=(export(asked, "publications.parquet", &[])) { "Parquet" }
                    a href=(export(asked, "publications.ndjson", &[])) { "NDJSON" }
                    a href=(export(asked, "files.zip", &[])) { (text!(lang, "take-files")) }
                    a href=(address("/graphql", [("query", QUERY), ("variables", graphql.as_str())])) { "GraphQL" }
                }
                details {
                    summary { (text!(lang, "take-recipes")) }
                    p.note { (text!(lang, "take-key")) }
                    (parts::copyable(visit, "Power Query (Excel, Power BI)", &power_query(visit, asked)))
                    (parts::copyable(visit, "Python", &python(visit, asked)))
                    (parts::copyable(visit, "curl", &curl(visit, asked)))
                    (parts::copyable(visit, "GraphQL", &format!("{QUERY}\n\n# variables\n{:#}", variables(asked))))
                }
            }
        }
    }
}

/// People read times of São Paulo.
const ZONE: (&str, &str) = ("tz", "America/Sao_Paulo");

/// What Excel reads as it is, where the language of the system is Portuguese.
const EXCEL: [(&str, &str); 6] =
    [("delimiter", ";"), ("decimal", ","), ("bom", "true"), ("dates", "br"), ("headers", "pt"), ZONE];

/// Addresses have neither quotes nor spaces: both are encoded.
fn url(visit: &Visit, asked: &Parameters, file: &str) -> String {
    format!("{}{}", visit.origin, export(asked, file, &[]))
}

fn power_query(visit: &Visit, asked: &Parameters) -> String {
    let url = url(visit, asked, "publications.csv");
    format!(
        "let\n    Source = Csv.Document(\n        Web.Contents(\"{url}\", [Headers = [Authorization = \"Bearer KEY\"]]),\n        [Delimiter = \",\", Encoding = 65001, QuoteStyle = QuoteStyle.Csv]\n    ),\n    Table = Table.PromoteHeaders(Source)\nin\n    Table"
    )
}

fn python(visit: &Visit, asked: &Parameters) -> String {
    let url = url(visit, asked, "publications.parquet");
    format!(
        "import io\n\nimport pandas as pd\nimport requests\n\nurl = \"{url}\"\nresponse = requests.get(url, headers={{\"Authorization\": \"Bearer KEY\"}})\nresponse.raise_for_status()\nframe = pd.read_parquet(io.BytesIO(response.content))"
    )
}

fn curl(visit: &Visit, asked: &Parameters) -> String {
    let url = url(visit, asked, "files.zip");
    format!("curl --fail -H 'Authorization: Bearer KEY' -o acervo.zip '{url}'")
}
