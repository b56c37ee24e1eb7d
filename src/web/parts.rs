//! Small parts that views share.
use maud::{Markup, html};

use super::Visit;
use crate::domain::{Granularity, printable};
use crate::lang::{Lang, text};

/// A name from outside. It does not change the direction of what is around it, and what would deceive in it is visible.
pub fn name(text: &str) -> Markup {
    html! { bdi { (printable(text)) } }
}

/// What another module wrote in English, in the visitor's language as far as it is known. What stays English is marked as that, for those
/// who hear the page.
pub fn reason(lang: Lang, english: &str) -> Markup {
    let text = lang.error(english);
    let stays_english = lang != Lang::English && text == english;
    html! { span lang=[stays_english.then_some("en")] { (printable(&text)) } }
}

pub fn granularity_text(lang: Lang, granularity: Granularity) -> String {
    match granularity {
        Granularity::Day => text!(lang, "granularity-day"),
        Granularity::Week => text!(lang, "granularity-week"),
        Granularity::Month => text!(lang, "granularity-month"),
        Granularity::Other => text!(lang, "granularity-other"),
    }
}

/// A text to copy. The button appears where JavaScript can copy.
pub fn copyable(visit: &Visit, title: &str, content: &str) -> Markup {
    let lang = visit.lang;
    html! {
        figure.copyable {
            figcaption {
                (title)
                button type="button" data-copy hidden data-done=(text!(lang, "copied")) { (text!(lang, "copy")) }
            }
            pre tabindex="0" aria-label=(title) { code { (content) } }
        }
    }
}

/// Links to the pages before and after.
pub fn pager(lang: Lang, previous: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if previous.is_some() || next.is_some() {
            nav.pager aria-label=(text!(lang, "pages")) {
                @if let Some(address) = previous { a rel="prev" href=(address) { "← " (text!(lang, "page-previous")) } }
                @if let Some(address) = next { a rel="next" href=(address) { (text!(lang, "page-next")) " →" } }
            }
        }
    }
}
