//! The editor for GraphQL. Without JavaScript its form shows the response as the API sends it.
use maud::{Markup, html};
use serde_json::json;

use super::assets::EDITOR;
use super::{Nav, Page, Visit, layout};
use crate::lang::text;

const EXAMPLE: &str = "query Ultimas($texto: String) {
  publications(search: $texto, first: 20, orderBy: ARCHIVED_DESC) {
    totalCount
    nodes {
      name
      referenceDate
      fileName
      size
      archivedAt
      fileUrl
    }
  }
}
";

const VARIABLES: &str = "{ \"texto\": \"decomp\" }";

/// The view as a document. The address may have a query and its variables.
pub fn query_page(visit: &Visit) -> String {
    let lang = visit.lang;
    let given = |name: &str| visit.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let query = given("query").unwrap_or(EXAMPLE);
    let variables = given("variables").unwrap_or(if given("query").is_some() { "" } else { VARIABLES });
    let script: &str = &EDITOR.path;
    let body = html! {
        h1 { (text!(lang, "query-title")) }
        form.editor #editor method="get" action="/graphql" data-origin=(visit.origin) data-words=(words(visit)) {
            div.editor-input {
                div.field {
                    label for="query" { (text!(lang, "query-document")) }
                    textarea #query name="query" rows="18" spellcheck="false" autocapitalize="off" autocomplete="off" wrap="off"
                        aria-describedby="query-help" { "\n" (query) }
                }
                div.field {
                    label for="variables" { (text!(lang, "query-variables")) }
                    textarea #variables name="variables" rows="4" spellcheck="false" autocapitalize="off" autocomplete="off" wrap="off" { "\n" (variables) }
                }
                p.note #query-help { (text!(lang, "query-help")) }
                div.editor-buttons {
                    button #run type="submit" { (text!(lang, "query-run")) }
                    span #copy-as hidden {
                        label for="copy-form" { (text!(lang, "query-copy-as")) }
                        select #copy-form {
                            option value="curl" { "curl" }
                            option value="python" { "Python" }
                            option value="powerquery" { "Power Query (M)" }
                        }
                        button.quiet #copy type="button" { (text!(lang, "copy")) }
                    }
                }
            }
            (result(visit))
            (documentation(visit))
        }
        script src=(script) defer {}
    };
    let page = Page { title: text!(lang, "query-title"), nav: Nav::Query, body };
    layout(visit, &page).into_string()
}

fn result(visit: &Visit) -> Markup {
    let lang = visit.lang;
    html! {
        section.editor-result #result aria-labelledby="result-title" hidden {
            div.title-row {
                h2 #result-title { (text!(lang, "query-result")) }
                fieldset #shapes {
                    legend.visually-hidden { (text!(lang, "query-shape")) }
                    label { input type="radio" name="shape" value="tree" checked form="none"; " " (text!(lang, "query-tree")) }
                    label { input type="radio" name="shape" value="table" form="none"; " " (text!(lang, "query-table")) }
                    label { input type="radio" name="shape" value="text" form="none"; " " (text!(lang, "query-text")) }
                }
            }
            p.note #result-state role="status" {}
            div #shown tabindex="0" role="region" aria-labelledby="result-title" {}
            div.copied #copied hidden {
                h3 #copied-title {}
                pre tabindex="0" aria-labelledby="copied-title" { code #copied-text {} }
            }
        }
    }
}

fn documentation(visit: &Visit) -> Markup {
    let lang = visit.lang;
    html! {
        aside.editor-docs #docs aria-labelledby="docs-title" hidden {
            h2 #docs-title { (text!(lang, "query-docs")) }
            label for="docs-search" { (text!(lang, "query-docs-search")) }
            input #docs-search type="search" autocomplete="off" spellcheck="false" form="none";
            nav #docs-path aria-label=(text!(lang, "query-docs-path")) {}
            // The schema describes itself in English.
            div #docs-body lang="en" tabindex="0" role="region" aria-labelledby="docs-title" {}
        }
    }
}

/// What the script says, in the visitor's language.
fn words(visit: &Visit) -> String {
    let lang = visit.lang;
    json!({
        "running": text!(lang, "query-running"),
        "done": text!(lang, "query-done"),
        "failed": text!(lang, "query-failed"),
        "wrongVariables": text!(lang, "query-wrong-variables"),
        "noTable": text!(lang, "query-no-table"),
        "copied": text!(lang, "copied"),
        "copyAs": text!(lang, "query-copied-as"),
        "completions": text!(lang, "query-completions"),
        "types": text!(lang, "query-types"),
        "key": text!(lang, "query-your-key"),
    })
    .to_string()
}
