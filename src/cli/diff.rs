//! `acervo diff`: shows what changed between two revisions.
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::Timestamp;

use super::language::say;
use super::output::{self, Style};
use super::{get, search};
use crate::config::Settings;
use crate::domain::RevisionId;
use crate::jobs;
use crate::query::{Queries, RevisionRow};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The id of a revision, or of a publication for its latest revision
    #[arg(value_parser = get::id, required_unless_present = "search", conflicts_with = "search")]
    from: Option<uuid::Uuid>,
    /// The id of the revision to compare with [default: FROM is compared with the revision before it]
    #[arg(value_parser = get::id)]
    to: Option<uuid::Uuid>,
    /// Compare the last two revisions of the product that these words find
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// With --search: the last two as the archive was then (2025-02-20 or 2025-02-20T12:00:00Z)
    #[arg(long, value_name = "INSTANT", value_parser = search::instant, requires = "search")]
    as_of: Option<Timestamp>,
    /// Show the changes of this file in the zip, line by line
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

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

pub(super) async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let app = super::open(settings).await?;
    if args.to.is_none() {
        // Without a server nothing else updates the index.
        jobs::catch_up(&app).await?;
    }
    let queries = Queries::new(app);
    let (from, to) = chosen(&args, &queries).await?;
    let (from, to) = (queries.revision(from).await?, queries.revision(to).await?);
    let (from_id, to_id) = (from.revision.id, to.revision.id);
    let member = args.member.as_deref();
    if let Format::Json = args.format {
        let diff = match member {
            Some(path) => queries.member_diff(from_id, to_id, path).await?,
            None => queries.revision_diff(from_id, to_id).await?,
        };
        output::print(&serde_json::to_string_pretty(&diff.to_json(&queries)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let written = queries.diff_text(from_id, to_id, member).await?;
    output::print_message(&say!("cli-diff-from-to", from = described(&from), to = described(&to)));
    let is_colored = match args.color {
        Color::Auto => {
            let is_refused = super::environment("NO_COLOR").is_some_and(|value| !value.is_empty());
            std::io::stdout().is_terminal() && !is_refused
        }
        Color::Always => true,
        Color::Never => false,
    };
    let style = |line: &str| if is_colored { style_of(line) } else { Style::Plain };
    output::print_lines(written.text.lines().map(|line| (style(line), line)))?;
    Ok(ExitCode::SUCCESS)
}

async fn chosen(args: &Args, queries: &Queries) -> anyhow::Result<(RevisionId, RevisionId)> {
    let chosen = match (&args.search, args.from, args.to) {
        (Some(words), ..) => queries.last_two(words, args.as_of).await?,
        (None, Some(from), Some(to)) => {
            let (from, to) = (queries.revision_or_latest(from).await?, queries.revision_or_latest(to).await?);
            return Ok((from.revision.id, to.revision.id));
        }
        (None, Some(one), None) => queries.with_previous(one).await?,
        (None, None, _) => return Err(super::Usage(say!("cli-diff-what")).into()),
    };
    if !chosen.other_products.is_empty() {
        let others: Vec<String> = chosen.other_products.iter().take(5).map(|name| output::in_cell(name)).collect();
        let (count, others) = (chosen.other_products.len(), others.join(", "));
        output::print_message(&say!("cli-diff-others", count = count, names = others));
    }
    Ok((chosen.from, chosen.to))
}

fn described(row: &RevisionRow) -> String {
    let name = output::in_cell(&row.publication.name);
    let date = output::in_cell(&row.publication.reference_date);
    let file = output::in_cell(&row.revision.file_name);
    let (number, id) = (row.revision.number.to_string(), row.revision.id.to_string());
    say!("cli-diff-revision", name = name, date = date, number = number, file = file, id = id)
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
