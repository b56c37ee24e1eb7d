//! `[[hook]]`: an endpoint that is sent what happens in the archive. `[hooks]`: settings of all of them.
mod endpoint;
mod mail;

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::json;

use super::layers::Layers;
use super::matching;
use super::values::{self, Problem};
pub use endpoint::Endpoint;
pub use mail::{MailServer, Mailbox, SmtpTls};

use crate::domain::{Digest, HookEvent, ProductMatch, Template, TemplateFormat};

/// All hooks, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    pub all: Vec<Hook>,
    /// Deliveries of a hook that its log keeps.
    pub log: usize,
}

/// A hook: what it tells about, and to whom.
#[derive(Clone, Debug)]
pub struct Hook {
    pub name: String,
    pub events: Vec<HookEvent>,
    pub matching: ProductMatch,
    pub target: Target,
    /// Of a mail it makes the text. Without one the body is the event as JSON.
    pub body: Option<Template>,
    /// Of a body that a template makes.
    pub content_type: String,
    /// The time limit of an attempt.
    pub timeout: Duration,
    pub retry_first: Duration,
    pub retry_max: Duration,
    /// An event that is not delivered within this time after its first attempt becomes a dead letter.
    pub give_up_after: Duration,
    /// Of all its settings: tells whether one changed.
    pub fingerprint: Digest,
}

/// Where a hook sends its events.
#[derive(Clone, Debug)]
pub enum Target {
    Http(Endpoint),
    Email(Mailbox),
}

impl Target {
    /// What may be shown of it: paths of URLs may be secrets, and mail addresses belong to people.
    pub fn shown(&self) -> String {
        match self {
            Self::Http(endpoint) => endpoint.url.to_string(),
            Self::Email(mailbox) => format!("smtp://{}:{}", mailbox.server.host, mailbox.server.port),
        }
    }
}

/// What applies to each hook that does not say otherwise.
struct Defaults {
    timeout: Option<Duration>,
    retry_first: Option<Duration>,
    retry_max: Option<Duration>,
    give_up_after: Option<Duration>,
}

impl Hooks {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let defaults = Defaults {
            timeout: layers.get("hooks.timeout", values::duration),
            retry_first: layers.get("hooks.retry_first", values::duration),
            retry_max: layers.get("hooks.retry_max", values::duration),
            give_up_after: layers.get("hooks.give_up_after", values::duration),
        };
        let log = layers.get("hooks.log", values::count);
        let mut all: Vec<Hook> = Vec::new();
        // All are read, so that all problems are reported.
        for key in layers.children("hook") {
            let Some(hook) = hook(layers, &key, &defaults) else { continue };
            if all.iter().any(|earlier| earlier.name == hook.name) {
                let message =
                    format!("`{}` is also the name of an earlier hook; give each hook its own name", hook.name);
                layers.problems.push(Problem::new(&format!("{key}.name"), message));
            }
            all.push(hook);
        }
        Some(Self { all, log: log? })
    }

    pub fn named(&self, name: &str) -> Option<&Hook> {
        self.all.iter().find(|hook| hook.name == name)
    }

    /// The names of the hooks that only one of both has, or that have other settings in the other.
    pub fn changes_to<'a>(&'a self, new: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_same = |hook: &&Hook, other: &Self| {
            other.named(&hook.name).is_some_and(|other| other.fingerprint == hook.fingerprint)
        };
        let ended = self.all.iter().filter(|hook| new.named(&hook.name).is_none());
        let begun = new.all.iter().filter(move |hook| !is_same(hook, self));
        ended.chain(begun).map(|hook| hook.name.as_str())
    }
}

/// `None` if something is missing or invalid, which has been noted.
fn hook(layers: &mut Layers, key: &str, defaults: &Defaults) -> Option<Hook> {
    let of = |name: &str| format!("{key}.{name}");
    let name = required(
        layers,
        &of("name"),
        "give each hook a name, which its log and its position are kept under",
        |l, k| l.get(k, hook_name),
    );
    let events = layers.list(&of("events"), |text| text.parse::<HookEvent>());
    if events.is_empty() && layers.problems.iter().all(|problem| problem.key != of("events")) {
        let names: Vec<&str> = HookEvent::ALL.iter().map(|event| event.as_str()).collect();
        let message = format!("is missing; give at least one of {}", names.join(", "));
        layers.problems.push(Problem::new(&of("events"), message));
    }
    let matching = matching::read(layers, &of("match"));
    let target = target(layers, key, &events);
    let is_mail = matches!(target, Some(Target::Email(_)));
    let content_type = layers.get(&of("content_type"), content_type).unwrap_or_else(|| JSON.to_owned());
    let body = template(
        layers,
        &of("body"),
        if is_mail || content_type != JSON { TemplateFormat::Text } else { TemplateFormat::Json },
        &events,
    );
    let duration = |layers: &mut Layers, name: &str, default: Option<Duration>| {
        layers.get(&of(name), values::duration).or(default)
    };
    let timeout = duration(layers, "timeout", defaults.timeout);
    let retry_first = duration(layers, "retry_first", defaults.retry_first);
    let retry_max = duration(layers, "retry_max", defaults.retry_max);
    let give_up_after = duration(layers, "give_up_after", defaults.give_up_after);
    let written = layers.digests_below(key);
    let fingerprint =
        Digest::of(format!("{written:?} {timeout:?} {retry_first:?} {retry_max:?} {give_up_after:?}").as_bytes());
    Some(Hook {
        name: name?,
        events,
        matching,
        target: target?,
        body,
        content_type,
        timeout: timeout?,
        retry_first: retry_first?,
        retry_max: retry_max?,
        give_up_after: give_up_after?,
        fingerprint,
    })
}

/// The type of the event as it is.
const JSON: &str = "application/json";

fn content_type(value: &str) -> Result<String, String> {
    match HeaderValue::from_str(value) {
        Ok(_) if value.contains('/') => Ok(value.to_ascii_lowercase()),
        _ => Err(format!("`{value}` is not a valid media type; expected one such as \"application/json\"")),
    }
}

/// A template, given as it is or as a file. It is filled in with a sample of each event, so that mistakes are found here.
fn template(layers: &mut Layers, key: &str, format: TemplateFormat, events: &[HookEvent]) -> Option<Template> {
    let source = layers.secret_or_file(key, |text| Ok(text.to_owned()))?;
    let checked = Template::parse(&source, format).and_then(|template| {
        for event in events {
            let sample = json!({
                "type": event.as_str(),
                "id": "sample",
                "timestamp": "2025-09-04T18:12:06.480Z",
                "hook": "sample",
                "data": event.sample(),
            });
            template.render(&sample).map_err(|e| format!("{e} (with an event of the type {event})"))?;
        }
        Ok(template)
    });
    checked.map_err(|e| layers.problems.push(Problem::new(key, format!("is not a valid template: {e}")))).ok()
}

fn target(layers: &mut Layers, key: &str, events: &[HookEvent]) -> Option<Target> {
    let kind = layers.get(&format!("{key}.kind"), |kind| match kind {
        "http" | "email" => Ok(kind.to_owned()),
        _ => Err(format!("`{kind}` is not one of http, email")),
    });
    match kind.as_deref() {
        Some("email") => mail::mailbox(layers, key, events).map(Target::Email),
        _ => endpoint::endpoint(layers, key).map(Target::Http),
    }
}

/// A value that must be there.
fn required<T>(
    layers: &mut Layers,
    key: &str,
    hint: &str,
    read: impl FnOnce(&mut Layers, &str) -> Option<T>,
) -> Option<T> {
    let problems = layers.problems.len();
    let value = read(layers, key);
    if value.is_none() && layers.problems.len() == problems {
        layers.problems.push(Problem::new(key, format!("is missing; {hint}")));
    }
    value
}

fn hook_name(value: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match value.len() {
        1..=64 if value.chars().all(is_plain) => Ok(value.to_owned()),
        _ => Err(format!("`{value}` is not a valid name; expected up to 64 letters, digits, `-` and `_`")),
    }
}
