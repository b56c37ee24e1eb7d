//! lang: what people read, in English and in Brazilian Portuguese.
//!
//! Messages are in `en/*.ftl` and `pt-BR/*.ftl`, in the syntax of Project Fluent, one file for each area. A message has the same
//! id and the same variables in both languages; the tests of this room check that, and that the code names only ids that exist.
//! Errors of inner modules are English where they arise; [`Lang::error`] has them in a language, from `errors.ftl`.
//! Names of the interface (fields, keys, statuses, options) are the same in every language and are not messages.
#[cfg(test)]
mod complete;
#[cfg(test)]
mod complete_errors;
mod errors;

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

pub use fluent_bundle::FluentValue;

/// `text!(lang, "files-count", count = 3)`: a message in a language. A variable takes a number, which chooses the plural
/// form, or text. Numbers are written as in the language: 12345 is `12.345` in Portuguese. One that is not a quantity, such as a port, is
/// passed as text.
macro_rules! text {
    ($lang:expr, $id:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::lang::message($lang, $id, &[$((stringify!($name), $crate::lang::FluentValue::from($value))),*])
    };
}
pub(crate) use text;

/// A language that Acervo speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    #[default]
    English,
    Portuguese,
}

/// The messages of one area, by language.
struct Area {
    name: &'static str,
    english: &'static str,
    portuguese: &'static str,
}

macro_rules! areas {
    ($($name:literal),*) => {
        &[$(Area {
            name: $name,
            english: include_str!(concat!("en/", $name, ".ftl")),
            portuguese: include_str!(concat!("pt-BR/", $name, ".ftl")),
        }),*]
    };
}

const AREAS: &[Area] = areas!["cli", "http", "operation", "search", "start", "status", "work", "page"];

/// The help of the command line in Portuguese. The English help is in the code.
pub(crate) const HELP: &str = include_str!("pt-BR/help.ftl");

type Bundle = FluentBundle<FluentResource>;

/// Reads the messages of a language. What the files do wrong is listed; the tests require that there is nothing.
fn bundle(lang: Lang, text_of: fn(&Area) -> &'static str) -> (Bundle, Vec<String>) {
    // The language decides on plural forms alone; the test of plurals fails where a tag is not read.
    let identifier: LanguageIdentifier = lang.tag().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![identifier]);
    // The marks that isolate text of another direction would be copied with ids and names.
    bundle.set_use_isolating(false);
    bundle.set_formatter((lang == Lang::Portuguese).then_some(number_in_portuguese));
    // What the code says in English.
    let others: &[(&str, &'static str)] = match lang {
        Lang::English => &[],
        Lang::Portuguese => &[("help", HELP), ("errors", errors::ERRORS)],
    };
    let mut wrong = Vec::new();
    for (name, text) in AREAS.iter().map(|area| (area.name, text_of(area))).chain(others.iter().copied()) {
        let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(partial, errors)| {
            wrong.extend(errors.iter().map(|e| format!("{name}: {e}")));
            partial
        });
        if let Err(errors) = bundle.add_resource(resource) {
            wrong.extend(errors.iter().map(|e| format!("{name}: {e}")));
        }
    }
    (bundle, wrong)
}

/// How messages in Portuguese show numbers; `None` for other values, which are shown as they are.
fn number_in_portuguese<M>(value: &FluentValue<'_>, _: &M) -> Option<String> {
    match value {
        FluentValue::Number(number) => Some(Lang::Portuguese.number(&number.as_string())),
        _ => None,
    }
}

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle(Lang::English, |area| area.english).0);
static PORTUGUESE: LazyLock<Bundle> = LazyLock::new(|| bundle(Lang::Portuguese, |area| area.portuguese).0);

impl Lang {
    pub const ALL: [Self; 2] = [Self::English, Self::Portuguese];

    /// The tag of BCP 47, as `<html lang>` takes it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Portuguese => "pt-BR",
        }
    }

    /// Reads a tag (`pt`, `pt-BR`) or the name of a locale (`pt_BR.UTF-8`). None for other languages, `C` and `POSIX`.
    pub fn parse(tag: &str) -> Option<Self> {
        match tag.split(['-', '_', '.', '@']).next()?.to_ascii_lowercase().as_str() {
            "pt" => Some(Self::Portuguese),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The language that a client prefers among those we speak, from `Accept-Language` (RFC 9110, 12.5.4).
    pub fn of_accept_language(header: &str) -> Option<Self> {
        let weighted = header.split(',').filter_map(|range| {
            let mut parts = range.split(';');
            let lang = Self::parse(parts.next()?.trim())?;
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.trim().parse::<f32>().ok());
            Some((lang, weight.unwrap_or(1.0)))
        });
        // Of equal weights the first.
        weighted
            .filter(|(_, weight)| *weight > 0.0)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(lang, _)| lang)
    }

    /// A number, such as `12345.6`, as people write it: in Portuguese `12.345,6`.
    pub fn number(self, number: &str) -> String {
        if self == Self::English {
            return number.to_owned();
        }
        let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
        let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
        let mut written = sign.to_owned();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                written.push('.');
            }
            written.push(digit);
        }
        written + &fraction.map(|part| format!(",{part}")).unwrap_or_default()
    }

    /// A duration in English words, such as `1 hour, 30 minutes`, in words of this language.
    pub fn duration(self, words: &str) -> String {
        let words: Vec<&str> = words.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let of = |pair: &[&str]| {
            let (Some(unit), Some(count)) = (pair.get(1), pair.first().and_then(|count| count.parse::<u64>().ok()))
            else {
                return if pair == ["zero"] { text!(self, "unit-zero") } else { pair.join(" ") };
            };
            match unit.trim_end_matches('s') {
                "year" => text!(self, "unit-years", count = count),
                "month" => text!(self, "unit-months", count = count),
                "week" => text!(self, "unit-weeks", count = count),
                "day" => text!(self, "unit-days", count = count),
                "hour" => text!(self, "unit-hours", count = count),
                "minute" => text!(self, "unit-minutes", count = count),
                "second" => text!(self, "unit-seconds", count = count),
                _ => pair.join(" "),
            }
        };
        words.chunks(2).map(of).collect::<Vec<_>>().join(", ")
    }

    fn messages(self) -> &'static Bundle {
        match self {
            Self::English => &ENGLISH,
            Self::Portuguese => &PORTUGUESE,
        }
    }

    /// The message of an id, where there is one. For ids that are put together, such as those of the command line's help.
    pub fn find(self, id: &str, args: Option<&FluentArgs>) -> Option<Cow<'static, str>> {
        let bundle = self.messages();
        let pattern = bundle.get_message(id)?.value()?;
        // Of a missing variable Fluent shows the name. The tests of this room compare the variables of both languages.
        Some(bundle.format_pattern(pattern, args, &mut Vec::new()).into_owned().into())
    }
}

/// The message of an id that the code names; the tests check that every such id exists. Called by `text!`.
#[doc(hidden)]
pub fn message(lang: Lang, id: &'static str, args: &[(&'static str, FluentValue<'_>)]) -> String {
    let args: FluentArgs = args.iter().map(|(name, value)| (*name, value.clone())).collect();
    lang.find(id, Some(&args)).unwrap_or(Cow::Borrowed(id)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Lang::{self, English, Portuguese};

    #[test]
    fn languages_are_read_from_tags_locales_and_headers() {
        for (text, lang) in [
            ("pt_BR.UTF-8", Some(Portuguese)),
            ("PT", Some(Portuguese)),
            ("pt-PT", Some(Portuguese)),
            ("en_US", Some(English)),
            ("C.UTF-8", None),
            ("ptx", None),
            ("", None),
        ] {
            assert_eq!(Lang::parse(text), lang, "{text}");
        }
        for (header, lang) in [
            ("pt-BR,pt;q=0.9,en;q=0.8", Some(Portuguese)),
            ("de, en;q=0.5, pt;q=0.7", Some(Portuguese)),
            ("pt;q=0, en;q=0.1", Some(English)),
            ("en, pt", Some(English)),
            ("*", None),
            ("pt;q=x", Some(Portuguese)),
            ("", None),
        ] {
            assert_eq!(Lang::of_accept_language(header), lang, "{header}");
        }
    }

    #[test]
    fn a_message_takes_variables_and_the_plural_of_its_language() {
        let files = |lang, count: u64| text!(lang, "files-count", count = count);
        assert_eq!((files(English, 1), files(English, 0)), ("1 file".to_owned(), "0 files".to_owned()));
        assert_eq!((files(Portuguese, 1), files(Portuguese, 2)), ("1 arquivo".to_owned(), "2 arquivos".to_owned()));
    }

    #[test]
    fn durations_are_in_words_of_the_language() {
        for (words, portuguese) in [
            ("1 hour, 30 minutes", "1 hora, 30 minutos"),
            ("1 month, 2 days", "1 mês, 2 dias"),
            ("5 years", "5 anos"),
            ("zero", "zero"),
            ("1 fortnight", "1 fortnight"),
        ] {
            assert_eq!(English.duration(words), words);
            assert_eq!(Portuguese.duration(words), portuguese);
        }
    }

    #[test]
    fn numbers_are_written_as_in_the_language() {
        let all = [("0", "0"), ("999", "999"), ("1000", "1.000"), ("-1234567.25", "-1.234.567,25"), ("0.5", "0,5")];
        for (number, portuguese) in all {
            assert_eq!((English.number(number), Portuguese.number(number)), (number.to_owned(), portuguese.to_owned()));
        }
        assert_eq!(text!(Portuguese, "files-count", count = 12_345), "12.345 arquivos");
        assert_eq!(text!(English, "files-count", count = 12_345), "12345 files");
    }
}
