//! The log-in form.
use maud::{Markup, html};

use super::{Nav, Page, Visit, layout};
use crate::lang::text;

/// Why a log-in failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginError {
    Wrong,
    /// The key was valid once.
    Ended,
    TooMany,
}

/// The form; it leads to `next`. With `reload` it is asked for again by our own page, so that the browser sends its cookie: it does not
/// when the user came by a link on another site.
pub fn login_page(visit: &Visit, next: &str, error: Option<LoginError>, reload: Option<&str>) -> String {
    let lang = visit.lang;
    let error = error.map(|error| match error {
        LoginError::Wrong => text!(lang, "login-wrong"),
        LoginError::Ended => text!(lang, "login-ended"),
        LoginError::TooMany => text!(lang, "login-too-many"),
    });
    let body = html! {
        div.login {
            h1 { (text!(lang, "login-title")) }
            @if error.is_none() { p { (text!(lang, "error-unauthenticated")) "." } }
            @if let Some(error) = &error { p.alert role="alert" #login-error { (error) } }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                label for="key" { (text!(lang, "login-key")) }
                input #key type="password" name="key" required autofocus autocomplete="current-password" spellcheck="false"
                    aria-describedby="login-help" aria-invalid=[error.as_ref().map(|_| "true")];
                button type="submit" { (text!(lang, "login-button")) }
            }
            p.note #login-help { (text!(lang, "login-help")) }
        }
    };
    let page = Page { title: text!(lang, "login-title"), nav: Nav::None, body };
    let document = layout(visit, &page).into_string();
    match reload {
        // In the head, where it works without JavaScript.
        Some(address) => document.replacen("<head>", &format!("<head>{}", refresh(address).into_string()), 1),
        None => document,
    }
}

fn refresh(address: &str) -> Markup {
    html! { meta http-equiv="refresh" content={ "0; url=" (address) }; }
}
