//! The fields of a search. Without JavaScript they are sent by the button.
use maud::{Markup, html};

use super::parameters::{Parameters, Sort};
use super::period::Span;
use crate::lang::{Lang, text};
use crate::web::Visit;

pub fn form(visit: &Visit, asked: &Parameters) -> Markup {
    let lang = visit.lang;
    let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string());
    let as_of = asked.as_of.as_ref().map(|(text, _)| text.as_str());
    let is_open = !asked.place().is_empty()
        || asked.span.is_some()
        || asked.period_from.is_some()
        || asked.period_to.is_some()
        || as_of.is_some();
    html! {
        form.search role="search" action="/" method="get" data-search {
            div.box {
                label.visually-hidden for="search" { (text!(lang, "search-label")) }
                input #search type="search" name="search" value=[asked.search.as_deref()] maxlength="500"
                    placeholder=(text!(lang, "search-placeholder")) autocomplete="off" autocapitalize="off"
                    spellcheck="false" aria-keyshortcuts="/" data-suggest="/suggest";
                button type="submit" { (text!(lang, "search-button")) }
            }
            details.more open[is_open] {
                summary { (text!(lang, "search-more")) }
                div.fields {
                    label {
                        span { (text!(lang, "search-in")) }
                        select name="in" {
                            option value="" { (text!(lang, "search-in-names")) }
                            option value="CONTENT" selected[!asked.place().is_empty()] { (text!(lang, "search-in-content")) }
                        }
                    }
                    label {
                        span { (text!(lang, "period-in-words")) }
                        select name="period" {
                            option value="" { (text!(lang, "span-any")) }
                            @for span in Span::ALL {
                                option value=(span.name()) selected[asked.span == Some(span)] { (span.label(lang)) }
                            }
                        }
                    }
                    label {
                        span { (text!(lang, "period-from")) }
                        input type="date" name="periodFrom" value=[day(asked.period_from)];
                    }
                    label {
                        span { (text!(lang, "period-to")) }
                        input type="date" name="periodTo" value=[day(asked.period_to)];
                    }
                    label {
                        span { (text!(lang, "as-of")) }
                        (as_of_field(lang, as_of))
                    }
                    label {
                        span { (text!(lang, "order-by")) }
                        select name="orderBy" {
                            @for sort in Sort::ALL {
                                option value=(sort.name()) selected[asked.order == sort] { (sort_label(lang, sort)) }
                            }
                        }
                    }
                }
            }
            @for (name, value) in asked.hidden() { input type="hidden" name=(name) value=(value); }
        }
    }
}

/// A day, or an instant where the address has one.
fn as_of_field(lang: Lang, as_of: Option<&str>) -> Markup {
    let is_instant = as_of.is_some_and(|text| text.len() != "2025-02-20".len());
    html! {
        input type=(if is_instant { "text" } else { "date" }) name="asOf" value=[as_of] title=(text!(lang, "as-of-help"));
    }
}

pub fn sort_label(lang: Lang, sort: Sort) -> String {
    match sort {
        Sort::PeriodDesc => text!(lang, "order-period-desc"),
        Sort::PeriodAsc => text!(lang, "order-period-asc"),
        Sort::ArchivedDesc => text!(lang, "order-archived-desc"),
        Sort::ArchivedAsc => text!(lang, "order-archived-asc"),
        Sort::NameAsc => text!(lang, "order-name"),
        Sort::SizeDesc => text!(lang, "order-size"),
        Sort::Relevance => text!(lang, "order-relevance"),
    }
}
