//! Who visits the page, when, in which language, and at which address.
use jiff::Timestamp;

use crate::lang::Lang;

/// The cookie of a language that was chosen.
pub const LANG_COOKIE: &str = "lang";

/// Who visits.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The name of the key.
    pub name: String,
    /// Whether the role allows what changes something.
    pub may_operate: bool,
    pub may_administer: bool,
    /// Whether the visitor logged in here and can log out.
    pub has_session: bool,
    /// Whether a log-in would give more rights than everybody has.
    pub may_log_in: bool,
    /// What the visitor's forms carry, so that no other page can send them.
    pub form_token: String,
}

/// A request for a view.
#[derive(Clone, Debug)]
pub struct Visit {
    pub lang: Lang,
    pub now: Timestamp,
    pub visitor: Option<Visitor>,
    /// The path of the address.
    pub path: String,
    /// The parameters of the address, decoded; without a key.
    pub parameters: Vec<(String, String)>,
    /// How others reach the service: for what is copied from the page to other programs.
    pub origin: String,
}

impl Visit {
    /// The first value of a parameter, trimmed; none if it is blank.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter that are not blank, trimmed.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.parameters.iter().filter(move |(other, _)| other == name);
        named.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter as it is, such as a path, which may begin with a blank.
    pub fn exact(&self, name: &str) -> Option<&str> {
        let named = self.parameters.iter().find(|(other, value)| other == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// This address with another value of a parameter; none leaves it out.
    pub fn with(&self, name: &str, value: Option<&str>) -> String {
        let others = self.parameters.iter().filter(|(other, _)| other != name);
        let others = others.map(|(name, value)| (name.as_str(), value.as_str()));
        address(&self.path, others.chain(value.map(|value| (name, value))))
    }
}

/// A path with parameters, those without a value left out.
pub fn address<'a>(path: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    written.extend_pairs(parameters.into_iter().filter(|(_, value)| !value.is_empty()));
    match written.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// The language of a visit: that of the address, else the one chosen before, else the browser's, else Portuguese.
pub fn choose_lang(asked: Option<&str>, cookie: Option<&str>, accepted: Option<&str>) -> Lang {
    asked
        .and_then(Lang::parse)
        .or_else(|| cookie.and_then(Lang::parse))
        .or_else(|| accepted.and_then(Lang::of_accept_language))
        .unwrap_or(Lang::Portuguese)
}

#[cfg(test)]
mod tests {
    use super::{address, choose_lang};
    use crate::lang::Lang::{English, Portuguese};

    #[test]
    fn the_address_decides_on_the_language_before_the_cookie_and_the_browser() {
        for (asked, cookie, accepted, lang) in [
            (None, None, None, Portuguese),
            (None, None, Some("de"), Portuguese),
            (None, None, Some("en-GB,en;q=0.9"), English),
            (None, Some("pt-BR"), Some("en"), Portuguese),
            (Some("en"), Some("pt-BR"), Some("pt"), English),
            (Some("xx"), Some("xx"), Some("en"), English),
        ] {
            assert_eq!(choose_lang(asked, cookie, accepted), lang, "{asked:?} {cookie:?} {accepted:?}");
        }
    }

    #[test]
    fn values_are_encoded_in_addresses() {
        assert_eq!(address("/", [("a", ""), ("b", "é \"&'<")]), "/?b=%C3%A9+%22%26%27%3C");
        assert_eq!(address("/x", [("a", "")]), "/x");
    }
}
