//! Errors of arguments in Portuguese, from the parts of clap's errors; in English clap writes them.
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::help::text;
use crate::lang::Lang;

/// The error in Portuguese; `None` where clap's own text is all there is, as for `--help`.
pub(super) fn in_portuguese(error: &clap::Error) -> Option<String> {
    let what = what(error)?;
    let mut blocks = vec![text("usage-error", &[("text", &what)])];
    let suggested = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let suggested = suggested.into_iter().find_map(|kind| one_of(&words(error.get(kind)?)));
    blocks.extend(suggested.map(|names| format!("  {}", text("usage-similar", &[("names", &names)]))));
    if let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) {
        let usage = usage.to_string();
        blocks.push(format!("{} {}", text("usage", &[]), usage.trim_start_matches("Usage:").trim()));
    }
    blocks.push(text("usage-more", &[]));
    Some(blocks.join("\n\n"))
}

/// `'a'`, `'a' ou 'b'`, `'a', 'b' ou 'c'`.
fn one_of(names: &[String]) -> Option<String> {
    let (last, others) = names.split_last()?;
    let others: Vec<String> = others.iter().map(|name| format!("'{name}'")).collect();
    let last = format!("'{last}'");
    match others.is_empty() {
        true => Some(last),
        false => Some(text("usage-or", &[("others", &others.join(", ")), ("last", &last)])),
    }
}

fn words(value: &ContextValue) -> Vec<String> {
    match value {
        ContextValue::String(one) => vec![one.clone()],
        ContextValue::Strings(all) => all.clone(),
        _ => Vec::new(),
    }
}

fn what(error: &clap::Error) -> Option<String> {
    let all = |kind| error.get(kind).map(words).unwrap_or_default();
    let one = |kind| all(kind).into_iter().next();
    let argument = one(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::ArgumentConflict => {
            let (name, prior) = (argument.or_else(|| one(ContextKind::InvalidSubcommand))?, all(ContextKind::PriorArg));
            if prior.first() == Some(&name) {
                return Some(text("usage-repeated", &[("name", &name)]));
            }
            let quoted: Vec<String> = prior.iter().map(|prior| format!("'{prior}'")).collect();
            let other = if quoted.is_empty() { text("usage-conflict-any", &[]) } else { quoted.join(", ") };
            Some(text("usage-conflict", &[("name", &name), ("other", &other)]))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (name, value) = (argument?, one(ContextKind::InvalidValue).unwrap_or_default());
            Some(invalid_value(error, &name, &value, &all(ContextKind::ValidValue)))
        }
        ErrorKind::InvalidSubcommand => {
            Some(text("usage-unknown-command", &[("name", &one(ContextKind::InvalidSubcommand)?)]))
        }
        ErrorKind::UnknownArgument => Some(text("usage-unknown-argument", &[("name", &argument?)])),
        ErrorKind::MissingRequiredArgument => {
            let names: String = all(ContextKind::InvalidArg).iter().map(|name| format!("\n  {name}")).collect();
            Some(text("usage-missing", &[]) + &names)
        }
        ErrorKind::MissingSubcommand => {
            Some(text("usage-missing-command", &[("name", &one(ContextKind::InvalidSubcommand)?)]))
        }
        ErrorKind::InvalidUtf8 => Some(text("usage-utf8", &[])),
        _ => None,
    }
}

fn invalid_value(error: &clap::Error, name: &str, value: &str, valid: &[String]) -> String {
    if value.is_empty() && error.kind() == ErrorKind::InvalidValue {
        return text("usage-no-value", &[("name", name)]) + &list(valid);
    }
    // The reason: of the parsers of this module in the language of this process, of others in English.
    let why =
        std::error::Error::source(error).map(ToString::to_string).map(|why| match why.split_once(" is not in ") {
            Some((value, range)) => text("usage-range", &[("value", value), ("range", range)]),
            None if why.contains("invalid digit") => text("usage-number", &[]),
            None => Lang::Portuguese.error(&why).into_owned(),
        });
    match why {
        Some(why) => text("usage-invalid-value-why", &[("name", name), ("value", value), ("why", &why)]),
        None => text("usage-invalid-value", &[("name", name), ("value", value)]) + &list(valid),
    }
}

fn list(valid: &[String]) -> String {
    match valid {
        [] => String::new(),
        valid => format!("\n  {}", text("usage-values", &[("values", &valid.join(", "))])),
    }
}
