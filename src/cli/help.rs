//! The help in Portuguese. The English help is in the comments of commands and arguments; the Portuguese one in
//! `lang/pt-BR/help.ftl`, by the path of the command and the id of the argument.
use clap::builder::{PossibleValue, Str};
use clap::{Arg, ArgAction, Command, CommandFactory};
use fluent_bundle::FluentArgs;

use super::Cli;
use crate::lang::Lang;

/// The template of clap, with another word for "Usage:".
const TEMPLATE: &str = "{before-help}{about-with-newline}\nUSAGE {usage}\n\n{all-args}{after-help}";

/// The command line with its help in a language.
pub(super) fn command(lang: Lang) -> Command {
    let mut command = Cli::command();
    if lang == Lang::Portuguese {
        // Adds `--help`, `--version`, `help`, and the global arguments to each command.
        command.build();
        command = translated(command, "help");
    }
    command
}

/// A message of `help.ftl`.
pub(super) fn text(id: &str, variables: &[(&'static str, &str)]) -> String {
    let variables: FluentArgs = variables.iter().map(|(name, value)| (*name, *value)).collect();
    Lang::Portuguese.find(id, Some(&variables)).map_or_else(|| id.to_owned(), Into::into)
}

fn find(id: &str) -> Option<String> {
    Lang::Portuguese.find(id, None).map(Into::into)
}

/// The text of an argument: that of its command, else the one of all commands.
fn find_argument(command: &str, argument: &str) -> Option<String> {
    find(&format!("{command}--{argument}")).or_else(|| find(&format!("help--{argument}")))
}

fn id_of_value_name(name: &str) -> String {
    let name = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("help-value-{name}")
}

/// Whether the values of an argument have texts of their own, which `--help` shows and `-h` does not.
fn has_described_values(arg: &Arg) -> bool {
    arg.get_possible_values().iter().any(|value| value.get_help().is_some())
}

fn translated(command: Command, id: &str) -> Command {
    let has_long = command.get_arguments().any(has_described_values);
    let mut position = 0;
    let mut command = command.mut_args(|arg| {
        if !arg.is_positional() {
            let heading = match arg.get_help_heading() {
                Some(_) => text("usage-options-of-all", &[]),
                None => text("usage-options", &[]),
            };
            return argument(arg, id, has_long).help_heading(heading);
        }
        position += 1;
        argument(arg, id, has_long).help_heading(text("usage-arguments", &[])).display_order(position)
    });
    if let Some(about) = find(id) {
        command = command.about(about);
    }
    command = command
        .help_template(TEMPLATE.replace("USAGE", &text("usage", &[])))
        .subcommand_help_heading(text("usage-commands", &[]))
        .subcommand_value_name(text("help-value-command", &[]));
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim_start();
    command = command.override_usage(usage.replace("[OPTIONS]", &format!("[{}]", text("usage-options-in-line", &[]))));
    command.mut_subcommands(|one| match one.get_name() {
        // `acervo help COMMAND` shows the help of the command itself.
        "help" => one.about(text("help-help", &[])),
        name => {
            let id = format!("{id}-{name}");
            translated(one, &id)
        }
    })
}

fn argument(arg: Arg, command: &str, has_long: bool) -> Arg {
    let name = arg.get_id().as_str().to_owned();
    if matches!(arg.get_action(), ArgAction::Help) {
        return match has_long {
            true => arg.help(text("help--help-summary", &[])).long_help(text("help--help-long", &[])),
            false => arg.help(text("help--help", &[])),
        };
    }
    let about = find_argument(command, &name).unwrap_or_default();
    if !arg.get_action().takes_values() {
        return arg.help(about);
    }
    let names: Vec<Str> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| find(&id_of_value_name(name)).map_or_else(|| name.clone(), Str::from))
        .collect();
    let values: Vec<PossibleValue> =
        arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    let defaults: Vec<_> = match arg.is_hide_default_value_set() {
        true => Vec::new(),
        false => arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect(),
    };
    let default = (!defaults.is_empty()).then(|| text("usage-default", &[("value", &defaults.join(" "))]));
    let in_line = (!values.is_empty()).then(|| {
        let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
        text("usage-values", &[("values", &names.join(", "))])
    });
    let short = [Some(about.clone()), default.clone(), in_line].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let is_described = has_described_values(&arg);
    let mut arg = arg.hide_default_value(true).hide_possible_values(true).help(short);
    if !names.is_empty() {
        arg = arg.value_names(names);
    }
    if is_described {
        let list = std::iter::once(text("usage-values-heading", &[])).chain(values.iter().map(|value| {
            let name = value.get_name();
            match find(&format!("{command}--{}--{name}", arg.get_id())) {
                Some(about) => format!("- {name}: {about}"),
                None => format!("- {name}"),
            }
        }));
        let list = list.collect::<Vec<_>>().join("\n");
        arg = arg.long_help([Some(about), Some(list), default].into_iter().flatten().collect::<Vec<_>>().join("\n\n"));
    }
    arg
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::{Command, CommandFactory};

    use super::{Lang, find, id_of_value_name};
    use crate::cli::Cli;

    /// The ids of the texts that a command and those below it need.
    #[derive(Default)]
    struct Needed {
        used: BTreeSet<String>,
        missing: BTreeSet<String>,
        /// The English texts that share one in Portuguese.
        shared: BTreeMap<String, BTreeSet<String>>,
    }

    impl Needed {
        fn need(&mut self, id: String) {
            if find(&id).is_none() {
                self.missing.insert(id.clone());
            }
            self.used.insert(id);
        }

        fn walk(&mut self, command: &Command, id: &str) {
            self.need(id.to_owned());
            for arg in command.get_arguments() {
                let name = arg.get_id().as_str();
                let own = format!("{id}--{name}");
                let english = arg.get_help().unwrap_or_else(|| panic!("{own} has no help in English")).to_string();
                if name != "help" && find(&own).is_some() && id != "help" {
                    self.need(own.clone());
                } else if name != "help" {
                    self.need(format!("help--{name}"));
                    self.shared.entry(format!("help--{name}")).or_default().insert(english);
                }
                if !arg.get_action().takes_values() {
                    continue;
                }
                for name in arg.get_value_names().unwrap_or_default() {
                    self.need(id_of_value_name(name));
                }
                for value in arg.get_possible_values().iter().filter(|value| value.get_help().is_some()) {
                    self.need(format!("{own}--{}", value.get_name()));
                }
            }
            for one in command.get_subcommands().filter(|one| one.get_name() != "help" && !one.is_hide_set()) {
                self.walk(one, &format!("{id}-{}", one.get_name()));
            }
        }
    }

    #[test]
    fn every_text_of_the_help_is_in_portuguese_and_every_translation_is_used() {
        let mut needed = Needed::default();
        let mut command = Cli::command();
        command.build();
        needed.walk(&command, "help");
        for id in ["help-help", "help-value-command", "help--help", "help--help-summary", "help--help-long"] {
            needed.need(id.to_owned());
        }
        assert_eq!(needed.missing, BTreeSet::new());
        let differing: Vec<_> = needed.shared.into_iter().filter(|(_, texts)| texts.len() > 1).collect();
        assert_eq!(differing, vec![], "one text in Portuguese for several in English");
        let code = concat!(include_str!("help.rs"), include_str!("usage.rs"));
        let ids = crate::lang::HELP.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        let unused: Vec<&str> = ids
            .filter_map(|line| Some(line.split_once(" =")?.0))
            .filter(|id| match id.starts_with("help-") || *id == "help" {
                true => !needed.used.contains(*id),
                false => !code.contains(&format!("\"{id}\"")),
            })
            .collect();
        assert_eq!(unused, Vec::<&str>::new());
    }

    #[test]
    fn both_languages_parse_the_same_commands() {
        for lang in Lang::ALL {
            super::command(lang).debug_assert();
            let parsed =
                super::command(lang).try_get_matches_from(["acervo", "get", "-d", "x", "--status", "lost", "--force"]);
            let parsed = parsed.unwrap_or_else(|e| panic!("{lang:?}: {e}"));
            let (name, get) = parsed.subcommand().expect("a command");
            assert!(name == "get" && get.get_flag("force"), "{lang:?}");
        }
    }

    /// No word of the English help is left.
    #[test]
    fn the_help_in_portuguese_is_all_in_portuguese() {
        fn pages(command: &mut Command, all: &mut Vec<String>) {
            all.extend([command.render_help().to_string(), command.render_long_help().to_string()]);
            command
                .get_subcommands_mut()
                .filter(|one| one.get_name() != "help" && !one.is_hide_set())
                .for_each(|one| pages(one, all));
        }
        let mut all = Vec::new();
        pages(&mut super::command(Lang::Portuguese), &mut all);
        assert!(all.len() > 60, "{}", all.len());
        let english = [
            "Usage:",
            "OPTIONS",
            "Options:",
            "Options of every command",
            "Arguments:",
            "Commands:",
            "Print ",
            "[default",
            "possible",
            "COMMAND",
            "help-",
        ];
        for page in all {
            assert!(!english.iter().any(|word| page.contains(word)), "{page}");
        }
    }
}
