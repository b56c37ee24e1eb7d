//! What a visitor reads instead of a view.
use maud::html;

use super::{Nav, Page, Visit, layout, parts};
use crate::lang::text;

/// Why there is no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    Gone,
    Unavailable,
    Internal,
}

/// A sentence that says more.
#[derive(Clone, Debug)]
pub enum Detail {
    None,
    /// In the visitor's language.
    Text(String),
    /// As the API says it.
    OfApi(String),
}

pub fn error_page(visit: &Visit, trouble: Trouble, detail: &Detail) -> String {
    let lang = visit.lang;
    let (title, help) = match trouble {
        Trouble::BadRequest => (text!(lang, "error-bad-request"), None),
        Trouble::Unauthenticated => {
            (text!(lang, "error-unauthenticated"), Some(text!(lang, "error-unauthenticated-help")))
        }
        Trouble::Forbidden => (text!(lang, "error-forbidden"), None),
        Trouble::NotFound => (text!(lang, "error-not-found"), Some(text!(lang, "error-not-found-help"))),
        Trouble::Gone => (text!(lang, "error-gone"), None),
        Trouble::Unavailable => (text!(lang, "error-unavailable"), Some(text!(lang, "error-unavailable-help"))),
        Trouble::Internal => (text!(lang, "error-internal"), Some(text!(lang, "error-internal-help"))),
    };
    let body = html! {
        div.error {
            h1 { (title) }
            @if let Some(help) = help { p { (help) } }
            @match detail {
                Detail::None => {}
                Detail::Text(text) => { p { (text) } }
                Detail::OfApi(text) => {
                    details { summary { (text!(lang, "error-details")) } p { (parts::reason(lang, text)) } }
                }
            }
            @if trouble != Trouble::Unauthenticated { p { a href="/" { (text!(lang, "error-to-search")) } } }
        }
    };
    layout(visit, &Page { title, nav: Nav::None, body }).into_string()
}
