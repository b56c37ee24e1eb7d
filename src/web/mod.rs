//! web: the page, for people in a browser.
//!
//! Views ask the use cases of `query`, as the other edges do, and become HTML here; `http` mounts them. Nothing is loaded from
//! elsewhere, nothing inline runs, and everything but suggestions and keys works without JavaScript. What a view shows of the
//! archive is text: templates escape it, and published files are never documents of our origin.
//!
//! A new view is a variant of [`View`], a function that makes a [`Page`], and a route in `http/page.rs`; an entry of the menu is one
//! of [`Nav`].
mod assets;
mod editor;
mod errors;
mod file;
mod first_run;
mod layout;
mod login;
mod operation;
mod parts;
mod product;
mod publication;
mod search;
mod states;
mod suggest;
mod units;
mod visit;

use maud::{Markup, html};

use crate::domain::{ProductId, PublicationId, RevisionId};
use crate::query::{Queries, QueryError};

pub use assets::{Asset, asset};
pub use editor::query_page;
pub use errors::{Detail, Trouble, error_page};
pub use first_run::{is_first_run, start_page};
pub use layout::{Nav, layout};
pub use login::{LoginError, login_page};
pub use operation::operation_page;
pub use suggest::suggest;
pub use visit::{LANG_COOKIE, Visit, Visitor, choose_lang};

/// A view of the page.
#[derive(Clone, Debug)]
pub enum View {
    Search,
    Products,
    Product(ProductId),
    Publication(PublicationId),
    /// What changed between two revisions.
    Compare,
    /// A revision's file.
    File(RevisionId),
}

/// What a view shows, without the frame that all have.
pub struct Page {
    pub title: String,
    /// The entry of the menu that it belongs to.
    pub nav: Nav,
    pub body: Markup,
}

/// Why a view cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The address has a value that is none: says so in the visitor's language.
    #[error("{0}")]
    BadInput(String),
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What every form carries that changes something.
fn token(visit: &Visit) -> Markup {
    let token = visit.visitor.as_ref().map(|visitor| visitor.form_token.as_str());
    html! { input type="hidden" name="token" value=(token.unwrap_or_default()); }
}

/// Makes a view as a whole document.
pub async fn render(view: View, queries: &Queries, visit: &Visit) -> Result<String, ViewError> {
    let page = match view {
        View::Search => search::page(queries, visit).await?,
        View::Products => product::list(queries, visit).await?,
        View::Product(id) => product::page(queries, visit, id).await?,
        View::Publication(id) => publication::page(queries, visit, id).await?,
        View::Compare => publication::compare(queries, visit).await?,
        View::File(id) => file::page(queries, visit, id).await?,
    };
    Ok(layout(visit, &page).into_string())
}
