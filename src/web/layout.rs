//! The frame of every view: the head, the menu, the languages.
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLESHEET};
use super::{Page, Visit, Visitor, parts, token};
use crate::lang::{Lang, text};

/// An entry of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    Search,
    Products,
    Operation,
    Query,
    /// A view that no entry leads to.
    None,
}

impl Nav {
    /// In the order of the menu.
    const ALL: &[Self] = &[Self::Search, Self::Products, Self::Operation, Self::Query];

    fn address(self) -> &'static str {
        match self {
            Self::Search | Self::None => "/",
            Self::Products => "/products",
            Self::Operation => "/operation",
            Self::Query => "/query",
        }
    }

    fn label(self, lang: Lang) -> String {
        match self {
            Self::Search | Self::None => text!(lang, "nav-search"),
            Self::Products => text!(lang, "nav-products"),
            Self::Operation => text!(lang, "nav-operation"),
            Self::Query => text!(lang, "nav-query"),
        }
    }

    /// Whether the menu shows it to this visitor.
    fn is_for(self, visit: &Visit) -> bool {
        match self {
            Self::Operation => visit.visitor.as_ref().is_some_and(|visitor| visitor.may_operate),
            Self::Search => true,
            Self::Products | Self::Query | Self::None => visit.visitor.is_some(),
        }
    }
}

/// A view as a document.
pub fn layout(visit: &Visit, page: &Page) -> Markup {
    let lang = visit.lang;
    let script: &str = &SCRIPT.path;
    html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Acervo" }
                link rel="stylesheet" href=(STYLESHEET.path);
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                script src=(script) defer {}
            }
            body {
                a.skip href="#main" { (text!(lang, "skip-to-content")) }
                header.top {
                    a.brand href="/" { img src=(ICON.path) alt="" width="24" height="24"; "Acervo" }
                    nav aria-label=(text!(lang, "nav-label")) {
                        @for entry in Nav::ALL.iter().filter(|entry| entry.is_for(visit)) {
                            a href=(entry.address()) aria-current=[(*entry == page.nav).then_some("page")] {
                                (entry.label(lang))
                            }
                        }
                    }
                    @if let Some(visitor) = &visit.visitor { (who(lang, visit, visitor)) }
                    div.languages {
                        @for other in [Lang::Portuguese, Lang::English] {
                            a href=(visit.with("lang", Some(other.tag()))) lang=(other.tag())
                                hreflang=(other.tag()) rel="nofollow"
                                aria-label=(name_of(other)) aria-current=[(other == lang).then_some("true")] {
                                (short_name_of(other))
                            }
                        }
                    }
                }
                main #main tabindex="-1" { (page.body) }
            }
        }
    }
}

/// Who is logged in, and the way out or in.
fn who(lang: Lang, visit: &Visit, visitor: &Visitor) -> Markup {
    html! {
        @if visitor.has_session {
            div.visitor {
                span { span.visually-hidden { (text!(lang, "logged-in-as")) " " } (parts::name(&visitor.name)) }
                form method="post" action="/logout" { (token(visit)) button.quiet type="submit" { (text!(lang, "log-out")) } }
            }
        } @else if visitor.may_log_in {
            div.visitor { a href="/login" { (text!(lang, "login-title")) } }
        }
    }
}

/// A language in itself: the same whatever the language of the page.
fn name_of(lang: Lang) -> &'static str {
    match lang {
        Lang::Portuguese => "PT, português",
        Lang::English => "EN, English",
    }
}

fn short_name_of(lang: Lang) -> &'static str {
    match lang {
        Lang::Portuguese => "PT",
        Lang::English => "EN",
    }
}
