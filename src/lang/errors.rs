//! What errors say, for people who read another language than English.
//!
//! Inner modules write their errors in English and know no language: the log has them, and the database keeps them as the reasons of
//! failures. An edge that shows such a text to a person passes it through [`Lang::error`], which is the only place that knows what
//! they say. `errors.ftl` has each text twice: in Portuguese, and as the attribute `en` the English one as it stands in the code, a
//! pattern whose variables stand for any text. What is not in that file stays English. Nothing is decided by these texts.
use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::FluentArgs;

use super::Lang;

pub(super) const ERRORS: &str = include_str!("pt-BR/errors.ftl");

/// A longer text is no message.
const LENGTH_MAX: usize = 8 << 10;

/// More parts than a chain of causes has.
const PARTS_MAX: usize = 16;

/// How deep texts are inside others.
const DEPTH_MAX: usize = 4;

/// What separates the parts of a message: a context from its cause, a problem from what helps.
const SEPARATORS: [&str; 2] = [": ", "; "];

/// An English text, with variables between its parts.
struct Pattern {
    id: &'static str,
    parts: Vec<&'static str>,
    variables: Vec<&'static str>,
}

/// The most particular ones first: those with the most characters that are no variables.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let mut patterns: Vec<Pattern> = messages(ERRORS).map(|(id, english)| Pattern::of(id, english)).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.parts.iter().map(|part| part.len()).sum::<usize>()));
    patterns
});

/// The ids of the messages of a file with their attributes `en`, each on one line.
pub(super) fn messages(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut id = "";
    file.lines().filter_map(move |line| match line.strip_prefix("    .en = ") {
        Some(english) => Some((id, english)),
        None => {
            id = line.split(" = ").next().unwrap_or_default();
            None
        }
    })
}

impl Pattern {
    fn of(id: &'static str, english: &'static str) -> Self {
        let (mut parts, mut variables, mut rest) = (Vec::new(), Vec::new(), english);
        while let Some((part, variable, after)) = rest
            .split_once("{ $")
            .and_then(|(part, after)| after.split_once(" }").map(|(variable, after)| (part, variable, after)))
        {
            parts.push(part);
            variables.push(variable);
            rest = after;
        }
        parts.push(rest);
        Self { id, parts, variables }
    }

    /// The values of the variables, if the text is one of this pattern: each as short as possible, from the left.
    fn values<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.parts.split_first()?;
        let mut rest = text.strip_prefix(first)?;
        // A colon divides a text from its cause. A value at an end of a text would take in what is a text of its own.
        let is_divided = |position: Option<&&str>, value: &str| {
            value.contains(SEPARATORS[0]) && !position.is_some_and(|variable| is_text(variable))
        };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty().then(Vec::new) };
        let mut values = Vec::with_capacity(self.variables.len());
        for part in middle {
            let (value, after) = rest.split_once(part)?;
            values.push(value);
            rest = after;
        }
        values.push(rest.strip_suffix(last)?);
        let takes_context = first.is_empty() && is_divided(self.variables.first(), values.first()?);
        let takes_cause = last.is_empty() && is_divided(self.variables.last(), values.last()?);
        (!takes_context && !takes_cause).then_some(values)
    }
}

/// Whether the value of a variable is an English text of its own.
fn is_text(variable: &str) -> bool {
    variable.starts_with("inner")
}

impl Lang {
    /// An error, a warning or a reason that another module wrote in English, in this language as far as it is known.
    pub fn error(self, english: &str) -> Cow<'_, str> {
        match self {
            Self::English => Cow::Borrowed(english),
            Self::Portuguese if english.len() > LENGTH_MAX => Cow::Borrowed(english),
            Self::Portuguese => {
                let lines: Vec<String> = english.split('\n').map(|line| of_line(line, DEPTH_MAX)).collect();
                Cow::Owned(lines.join("\n"))
            }
        }
    }
}

/// A line in Portuguese. What is not known as a whole is divided: the longest part at its beginning that is known, then the rest.
fn of_line(line: &str, depth: usize) -> String {
    let text = line.trim_start();
    let mut written = line[..line.len() - text.len()].to_owned();
    let mut rest = text;
    for _ in 0..PARTS_MAX {
        if let Some(known) = whole(rest, depth) {
            return written + &known;
        }
        let mut ends: Vec<(usize, &str)> =
            SEPARATORS.iter().flat_map(|separator| rest.match_indices(separator)).collect();
        ends.sort_unstable();
        ends.truncate(PARTS_MAX);
        let Some((first, _)) = ends.first().copied() else { break };
        let known = ends.iter().rev().find_map(|(end, _)| Some((whole(&rest[..*end], depth)?, *end)));
        let (part, end) = known.unwrap_or_else(|| (rest[..first].to_owned(), first));
        let separator = SEPARATORS[0].len();
        written += &part;
        written += &rest[end..end + separator];
        rest = &rest[end + separator..];
    }
    written + rest
}

/// A text in Portuguese that is known as a whole.
fn whole(text: &str, depth: usize) -> Option<String> {
    let (pattern, values) = PATTERNS.iter().find_map(|pattern| pattern.values(text).map(|values| (pattern, values)))?;
    let mut args = FluentArgs::new();
    for (variable, value) in pattern.variables.iter().zip(values) {
        match is_text(variable) && depth > 0 {
            true => args.set(*variable, of_line(value, depth - 1)),
            false => args.set(*variable, value.to_owned()),
        }
    }
    Lang::Portuguese.find(pattern.id, Some(&args)).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::Lang::{English, Portuguese};

    #[test]
    fn errors_are_known_whole_in_chains_in_lists_and_inside_each_other() {
        for (english, portuguese) in [
            (
                "there is no hook `a: b` in the configuration; `acervo hook list` lists them",
                "a configuração não tem o hook `a: b`; `acervo hook list` lista os que existem",
            ),
            (
                "the archive: /x cannot be written: No space left on device (os error 28)",
                "o acervo: não é possível gravar /x: não há espaço no disco (os error 28)",
            ),
            (
                "the configuration has problems:\n  fetch.stall: `x` is not a valid duration; expected one such as \"5s\" or \"15min\"\n  a.b: is an unknown key; did you mean `a.c`?",
                "a configuração tem problemas:\n  fetch.stall: `x` não é uma duração válida; use, por exemplo, \"5s\" ou \"15min\"\n  a.b: é uma chave desconhecida; você quis dizer `a.c`?",
            ),
            (
                "listen: cannot listen on 127.0.0.1:80: Permission denied (os error 13)",
                "listen: não é possível escutar em 127.0.0.1:80: permissão negada (os error 13)",
            ),
            (
                "x: the product was removed by ana on this machine: a test",
                "x: o produto foi removido por ana nesta máquina: a test",
            ),
            ("refused: redirected: the link has no host", "recusado: redirecionado: o link não tem host"),
            (
                "não é possível ler /x: No such file or directory (os error 2)",
                "não é possível ler /x: arquivo ou pasta não encontrado (os error 2)",
            ),
            ("what nobody knows: nor this; nor that", "what nobody knows: nor this; nor that"),
            ("", ""),
            (": ", ": "),
            ("is empty: is empty", "está vazio: está vazio"),
        ] {
            assert_eq!(Portuguese.error(english), portuguese);
            assert_eq!(English.error(english), english);
        }
    }

    #[test]
    fn values_are_copied_as_they_are() {
        let text = "`{ $value } \u{1b} is empty` is not a valid day; expected one such as 2025-02-20";
        let expected = "`{ $value } \u{1b} is empty` não é um dia válido; use, por exemplo, 2025-02-20";
        assert_eq!(Portuguese.error(text), expected);
        let long = format!("`{}` is empty", "x: ".repeat(10_000));
        assert_eq!(Portuguese.error(&long), long);
        let many = "a: b; ".repeat(1_000);
        assert_eq!(Portuguese.error(&many), many);
    }
}
