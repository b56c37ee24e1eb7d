//! `acervo diff`: shows what changed between two revisions.
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{Archive, Remote, take};
use super::language::say;
use super::output::{self, Color, Style};
use super::{Usage, dates, get};
use crate::config::Settings;
use crate::domain::format_instant;
use crate::jobs;
use crate::query::{Queries, RevisionRow};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The id of a revision, or of a publication for its latest revision
    #[arg(value_parser = get::id, conflicts_with = "search")]
    from: Option<uuid::Uuid>,
    /// The id of the revision to compare with [default: FROM is compared with the revision before it]
    #[arg(value_parser = get::id)]
    to: Option<uuid::Uuid>,
    /// Compare the last two revisions of the product that these words find
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// With --search: the last two as the archive was then (2025-02-20, 20/02/2025 or 2025-02-20T12:00:00Z)
    #[arg(long, value_name = "INSTANT", value_parser = dates::as_of, requires = "search")]
    as_of: Option<Timestamp>,
    /// Show the changes of this file in the zip, line by line; of the one that matches a pattern, such as "dadger.rv?"; or of a nested zip
    #[arg(long, value_name = "PATH")]
    member: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A line for each member that differs; of texts and of a member, a unified diff
    Table,
    Json,
}

/// What is printed.
struct Comparison {
    /// The two revisions, in words.
    from: String,
    to: String,
    /// Other products that the words find.
    other_products: Vec<String>,
    shown: Shown,
}

enum Shown {
    Text(String),
    Json(Value),
}

pub(super) async fn run(args: Args, remote: Option<Remote>, settings: Settings) -> anyhow::Result<ExitCode> {
    if args.from.is_none() && args.search.is_none() {
        return Err(Usage(say!("cli-diff-what")).into());
    }
    let comparison = match remote {
        Some(remote) => compare_remotely(&args, remote).await?,
        None => compare(&args, settings).await?,
    };
    let Comparison { from, to, other_products, shown } = comparison;
    if !other_products.is_empty() {
        let others: Vec<String> = other_products.iter().take(5).map(|name| output::in_cell(name)).collect();
        let (count, others) = (other_products.len(), others.join(", "));
        output::print_message(&say!("cli-diff-others", count = count, names = others));
    }
    let text = match shown {
        Shown::Json(value) => {
            output::print(&serde_json::to_string_pretty(&value)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Shown::Text(text) => text,
    };
    output::print_message(&say!("cli-diff-from-to", from = from, to = to));
    output::print_lines(args.color, text.lines().map(|line| [(style_of(line), line)]))?;
    Ok(ExitCode::SUCCESS)
}

async fn compare(args: &Args, settings: Settings) -> anyhow::Result<Comparison> {
    let app = super::open(settings).await?;
    if args.to.is_none() {
        // Without a server nothing else updates the index.
        jobs::catch_up(&app).await?;
    }
    let queries = Queries::new(app);
    let chosen = queries.chosen_revisions(args.from, args.to, args.search.as_deref(), args.as_of).await?;
    let (from, to) = (queries.revision(chosen.from).await?, queries.revision(chosen.to).await?);
    let member = args.member.as_deref();
    let shown = match (args.format, member) {
        (Format::Table, _) => Shown::Text(queries.diff_text(chosen.from, chosen.to, member).await?.text),
        (Format::Json, Some(path)) => {
            Shown::Json(queries.member_diff(chosen.from, chosen.to, path).await?.to_json(&queries)?)
        }
        (Format::Json, None) => Shown::Json(queries.revision_diff(chosen.from, chosen.to).await?.to_json(&queries)?),
    };
    let described = |row: &RevisionRow| {
        let RevisionRow { publication, revision, .. } = row;
        let names = [&publication.name, &publication.reference_date, &revision.file_name].map(String::as_str);
        described(names, revision.number, &revision.id.to_string())
    };
    let other_products = chosen.other_products;
    Ok(Comparison { from: described(&from), to: described(&to), other_products, shown })
}

const PAIR: &str = "query($from: ID, $to: ID, $search: String, $asOf: DateTime) {
  revisionPair(from: $from, to: $to, search: $search, asOf: $asOf) {
    from { ...Side } to { ...Side } otherProducts } }
  fragment Side on Revision { id number fileName publication { name referenceDate } }";

async fn compare_remotely(args: &Args, remote: Remote) -> anyhow::Result<Comparison> {
    let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string());
    let variables = json!({
        "from": id(args.from), "to": id(args.to), "search": args.search, "asOf": args.as_of.map(format_instant),
    });
    let archive = Archive::Remote(remote);
    let pair = take(&mut archive.query(PAIR, variables).await?, "revisionPair");
    let Archive::Remote(remote) = archive else { bail!("a remote instance is asked") };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (from, to) = (text(&pair["from"]["id"]), text(&pair["to"]["id"]));
    let member = args.member.as_deref().map(|path| ("member", path));
    let (media, parameters) = match args.format {
        Format::Table => ("text/plain", member.as_slice()),
        Format::Json => ("application/json", member.as_slice()),
    };
    let response = remote.get_as(&["files", &from, "diff", &to], parameters, media).await?;
    let body = response.text().await.map_err(Remote::broken_off)?;
    let shown = match args.format {
        Format::Table => Shown::Text(body),
        Format::Json => Shown::Json(remote.parsed(&body)?),
    };
    let described = |side: &Value| {
        let (publication, number) = (&side["publication"], side["number"].as_i64().unwrap_or_default());
        let names = [&publication["name"], &publication["referenceDate"], &side["fileName"]].map(text);
        described(names.each_ref().map(String::as_str), number, &text(&side["id"]))
    };
    let other_products = pair["otherProducts"].as_array().into_iter().flatten().map(text).collect();
    Ok(Comparison { from: described(&pair["from"]), to: described(&pair["to"]), other_products, shown })
}

/// A revision in words, by the names of its product, of its period and of its file.
fn described(names: [&str; 3], number: impl std::fmt::Display, id: &str) -> String {
    let [name, date, file] = names.map(output::in_cell);
    say!("cli-diff-revision", name = name, date = date, number = number.to_string(), file = file, id = id)
}

/// The colours of `git diff`.
fn style_of(line: &str) -> Style {
    match line.as_bytes() {
        [b'-', b'-', b'-', b' ', ..] | [b'+', b'+', b'+', b' ', ..] => Style::Bold,
        [b'@', b'@', b' ', ..] => Style::Cyan,
        [b'+', ..] | [b'A', b' ', ..] => Style::Green,
        [b'-', ..] | [b'D', b' ', ..] => Style::Red,
        [b'#', ..] | [b'R', b' ', ..] => Style::Yellow,
        _ => Style::Plain,
    }
}
