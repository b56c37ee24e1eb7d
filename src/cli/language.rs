//! The language of help and messages, chosen once when the process starts: `--lang`, `ACERVO_LANG`, else the locale.
//!
//! JSON, CSV, names of fields, statuses and configuration keys are the same in every language, and so is the log.
use std::ffi::OsString;
use std::sync::OnceLock;

use crate::lang::Lang;

static LANGUAGE: OnceLock<Lang> = OnceLock::new();

/// The language of this process; English before it is chosen.
pub(super) fn language() -> Lang {
    LANGUAGE.get().copied().unwrap_or_default()
}

/// `say!("files-count", count = 3)`: a message in the language of this process.
macro_rules! say {
    ($id:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::lang::text!($crate::cli::language::language(), $id $(, $name = $value)*)
    };
}
pub(super) use say;

/// Chooses the language from the arguments and the environment. Help and errors of arguments are in it too, so the arguments
/// are read for it before they are parsed; a language that is not valid is an error of the parser.
pub(super) fn choose(args: &[OsString], environment: &dyn Fn(&str) -> Option<String>) -> Result<(), super::Usage> {
    let variable = environment("ACERVO_LANG").filter(|lang| !lang.is_empty());
    let named = match (of_args(args), &variable) {
        (Some(lang), _) => Some(lang),
        (None, Some(lang)) => {
            Some(parse(lang).map_err(|_| super::Usage(say!("cli-lang-of-variable", text = lang.as_str())))?)
        }
        (None, None) => None,
    };
    let _ = LANGUAGE.set(named.unwrap_or_else(|| of_locale(environment)));
    Ok(())
}

/// The last `--lang` that is valid.
fn of_args(args: &[OsString]) -> Option<Lang> {
    let args = args.iter().skip(1).map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
    let args: Vec<_> = args.collect();
    let value = |at: usize| match args[at].strip_prefix("--lang") {
        Some("") => args.get(at + 1).map(|value| value.as_ref()),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    };
    (0..args.len()).rev().find_map(|at| parse(value(at)?).ok())
}

/// The locale as POSIX has it: the first of these that is not empty decides.
fn of_locale(environment: &dyn Fn(&str) -> Option<String>) -> Lang {
    let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let locale = variables.iter().find_map(|name| environment(name).filter(|locale| !locale.is_empty()));
    locale.and_then(|locale| Lang::parse(&locale)).unwrap_or_default()
}

/// Reads the value of `--lang`.
pub(super) fn parse(text: &str) -> Result<Lang, String> {
    Lang::parse(text).ok_or_else(|| "expected en or pt".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Lang, of_args, of_locale};

    #[test]
    fn the_last_valid_lang_of_the_arguments_counts_and_none_after_two_dashes() {
        let of = |line: &str| of_args(&line.split(' ').map(Into::into).collect::<Vec<_>>());
        assert_eq!(of("acervo --lang pt search x"), Some(Lang::Portuguese));
        assert_eq!(of("acervo search --lang=en --lang=pt_BR x"), Some(Lang::Portuguese));
        assert_eq!(of("acervo search --lang de"), None);
        assert_eq!(of("acervo search --language pt -- --lang pt"), None);
        assert_eq!(of("acervo search --lang"), None);
    }

    #[test]
    fn the_first_variable_of_the_locale_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            let set: HashMap<&str, &str> = set.iter().copied().collect();
            of_locale(&|name| set.get(name).map(|value| (*value).to_owned()))
        };
        assert_eq!(of(&[]), Lang::English);
        assert_eq!(of(&[("LANG", "pt_BR.UTF-8")]), Lang::Portuguese);
        assert_eq!(of(&[("LANG", "pt_BR.UTF-8"), ("LC_ALL", "C")]), Lang::English);
        assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "pt_BR.UTF-8"), ("LC_ALL", "")]), Lang::Portuguese);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")]), Lang::English);
    }
}
