//! The files of the page: embedded, and named by their content, so that browsers cache each without a limit.
use std::sync::LazyLock;

use crate::domain::Digest;

/// A file that views refer to.
pub struct Asset {
    pub path: String,
    pub media_type: &'static str,
    pub text: &'static str,
}

fn named(text: &'static str, extension: &str, media_type: &'static str) -> Asset {
    let hash = Digest::of(text.as_bytes()).to_string();
    Asset { path: format!("/assets/{}.{extension}", &hash[..16]), media_type, text }
}

/// The stylesheet is one file; its parts follow the views.
const STYLE: &str = concat!(
    include_str!("assets/base.css"),
    include_str!("assets/search.css"),
    include_str!("assets/views.css"),
    include_str!("assets/operation.css")
);

pub static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| named(STYLE, "css", "text/css; charset=utf-8"));
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| named(include_str!("assets/page.js"), "js", "text/javascript; charset=utf-8"));
pub static LIVE: LazyLock<Asset> =
    LazyLock::new(|| named(include_str!("assets/live.js"), "js", "text/javascript; charset=utf-8"));
pub static EDITOR: LazyLock<Asset> =
    LazyLock::new(|| named(include_str!("assets/editor.js"), "js", "text/javascript; charset=utf-8"));
pub static ICON: LazyLock<Asset> = LazyLock::new(|| named(include_str!("assets/icon.svg"), "svg", "image/svg+xml"));

/// The file of a path, `/assets/…`.
pub fn asset(path: &str) -> Option<&'static Asset> {
    let all: [&'static Asset; 5] = [&STYLESHEET, &SCRIPT, &LIVE, &EDITOR, &ICON];
    all.into_iter().find(|asset| asset.path == path)
}
