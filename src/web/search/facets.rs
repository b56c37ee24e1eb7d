//! The facets beside the results, and what is chosen above them. Each value is a link.
use maud::{Markup, html};

use super::parameters::{Facet, Parameters};
use crate::domain::{PublicationStatus, printable};
use crate::lang::{Lang, text};
use crate::query::{FacetValue, Facets};
use crate::web::states::{State, explained};
use crate::web::{parts, units};

/// Values that are shown at once; the others unfold.
const FIRST: usize = 6;

pub fn facets(lang: Lang, asked: &Parameters, found: &Facets) -> Markup {
    html! {
        @for (facet, values) in each(found) {
            @if !values.is_empty() { (group(lang, asked, facet, values)) }
        }
    }
}

fn each(found: &Facets) -> [(Facet, &[FacetValue]); 6] {
    [
        (Facet::Status, &found.status),
        (Facet::MacroProcess, &found.macro_process),
        (Facet::Process, &found.process),
        (Facet::Granularity, &found.granularity),
        (Facet::Extension, &found.extension),
        (Facet::Product, &found.product),
    ]
}

fn label(lang: Lang, facet: Facet) -> String {
    match facet {
        Facet::Process => text!(lang, "process"),
        Facet::MacroProcess => text!(lang, "macro-process"),
        Facet::Product => text!(lang, "product"),
        Facet::Granularity => text!(lang, "granularity"),
        Facet::Extension => text!(lang, "extension"),
        Facet::Status => text!(lang, "status"),
    }
}

/// A value as people read it.
fn shown(lang: Lang, facet: Facet, text: &str) -> String {
    match facet {
        Facet::Granularity => text.parse().map_or(text.to_owned(), |one| parts::granularity_text(lang, one)),
        Facet::Status => text.parse::<PublicationStatus>().map_or(text.to_owned(), |one| one.word(lang)),
        Facet::Extension => format!(".{}", printable(text)),
        Facet::Process | Facet::MacroProcess | Facet::Product => printable(text).into_owned(),
    }
}

fn group(lang: Lang, asked: &Parameters, facet: Facet, values: &[FacetValue]) -> Markup {
    let (first, others) = values.split_at(values.len().min(FIRST));
    html! {
        section.facet {
            h3 { (label(lang, facet)) }
            ul { @for value in first { (entry(lang, asked, facet, value)) } }
            @if !others.is_empty() {
                details {
                    summary { (text!(lang, "facet-more", count = others.len())) }
                    ul { @for value in others { (entry(lang, asked, facet, value)) } }
                }
            }
            @if facet == Facet::Status {
                (explained(lang, values.iter().filter_map(|value| value.value.parse::<PublicationStatus>().ok())))
            }
        }
    }
}

fn entry(lang: Lang, asked: &Parameters, facet: Facet, value: &FacetValue) -> Markup {
    html! {
        li {
            a href=(asked.toggled(facet, &value.value)) rel="nofollow" aria-current=[value.is_chosen.then_some("true")] {
                span.value { bdi { (shown(lang, facet, &value.text)) } }
                " " span.number { (units::number(lang, value.publications)) }
            }
        }
    }
}

/// What is chosen, each with a link that lifts it.
pub fn chosen(lang: Lang, asked: &Parameters, found: &Facets) -> Markup {
    let mut all: Vec<(String, String)> = Vec::new();
    for (facet, values) in each(found) {
        for value in asked.values(facet) {
            // A value that nothing has is named by itself.
            let known = values.iter().find(|one| one.value == value).map_or(value.as_str(), |one| one.text.as_str());
            all.push((shown(lang, facet, known), asked.toggled(facet, &value)));
        }
    }
    let (from, to) = asked.days();
    let days = match (from, to) {
        (Some(from), Some(to)) if from == to => Some(units::day(lang, from)),
        (Some(from), Some(to)) => Some(format!("{} – {}", units::day(lang, from), units::day(lang, to))),
        (Some(from), None) => Some(text!(lang, "chosen-from", day = units::day(lang, from))),
        (None, Some(to)) => Some(text!(lang, "chosen-to", day = units::day(lang, to))),
        (None, None) => None,
    };
    all.extend(days.map(|days| (days, asked.without(&["period", "periodFrom", "periodTo"]))));
    if let Some((_, at)) = &asked.as_of {
        all.push((text!(lang, "chosen-as-of", at = units::minute(lang, *at)), asked.without(&["asOf"])));
    }
    html! {
        @if !all.is_empty() {
            ul.chosen aria-label=(text!(lang, "chosen-label")) {
                @for (text, address) in &all {
                    li {
                        a href=(address) rel="nofollow" title=(text!(lang, "chosen-remove")) {
                            bdi { (text) } span aria-hidden="true" { " ×" }
                            span.visually-hidden { " " (text!(lang, "chosen-remove")) }
                        }
                    }
                }
            }
        }
    }
}
