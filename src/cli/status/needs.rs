//! What needs a hand, and what helps.
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{JobState, State};
use crate::cli::output;
use crate::lang::{Lang, text};
use crate::query::SourceStatus;

/// Something that an operator has to do.
pub(super) struct Need {
    pub what: String,
    pub helps: String,
}

impl Need {
    pub fn object(&self) -> Value {
        json!({ "what": self.what, "helps": self.helps })
    }
}

/// Notifications that are not resolved after so long have broken rows, or arrive faster than they are processed.
const UNRESOLVED_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Refused logins are worth a look for so long.
const DENIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// In the language of the reader; for programs in English.
pub(super) fn of(state: &State, lang: Lang) -> Vec<Need> {
    let mut needs = Vec::new();
    let mut add = |what: String, helps: String| needs.push(Need { what, helps });
    let status = &state.status;
    if let Some((what, helps)) = state.service.need(lang) {
        add(what, helps);
    }
    if let Some(why) = &status.fetching_waits {
        add(
            text!(lang, "cli-need-space", why = lang.error(&why.to_string()).into_owned()),
            text!(lang, "cli-need-space-helps"),
        );
    }
    if status.expiring.count > 0 {
        let names = names(status.expiring.names.iter().map(String::as_str));
        add(
            text!(lang, "cli-need-expiring", count = status.expiring.count, names = names),
            text!(lang, "cli-need-expiring-helps"),
        );
    }
    if status.lost.unacknowledged > 0 {
        let names = names(state.lost.iter().map(|loss| loss.name.as_str()));
        add(
            text!(lang, "cli-need-lost", count = status.lost.unacknowledged, names = names),
            text!(lang, "cli-need-lost-helps"),
        );
    }
    for source in &status.sources {
        add_source(source, state, lang, &mut add);
    }
    if let Some(since) = status.unresolved.since
        && state.now.duration_since(since) > UNRESOLVED_MAX
    {
        let count = status.unresolved.count;
        add(text!(lang, "cli-need-unresolved", count = count), text!(lang, "cli-need-unresolved-helps"));
    }
    if status.damaged.count > 0 {
        add(text!(lang, "cli-need-damaged", count = status.damaged.count), text!(lang, "cli-need-damaged-helps"));
    }
    if status.verification.broken > 0 {
        add(text!(lang, "cli-need-broken", count = status.verification.broken), text!(lang, "cli-need-broken-helps"));
    }
    for row in status.hooks.iter().filter(|row| row.dead > 0) {
        let name = row.name.as_str();
        add(
            text!(lang, "cli-need-dead", name = name, count = row.dead),
            text!(lang, "cli-need-dead-helps", name = name),
        );
    }
    for JobState { job, .. } in state.jobs.iter().filter(|job| job.has_failed()) {
        add(text!(lang, "cli-need-job", name = job.name()), text!(lang, "cli-need-job-helps"));
    }
    needs
}

fn add_source(
    SourceStatus { source, is_silent }: &SourceStatus,
    state: &State,
    lang: Lang,
    add: &mut dyn FnMut(String, String),
) {
    let name = source.name.as_str();
    // Refused logins after the last notification: the portal may not get through.
    let is_recent = source.last_denied_at.is_some_and(|at| state.now.duration_since(at) < DENIED_FOR);
    if is_recent && source.last_denied_at > source.last_notification_at {
        let keys: Vec<String> = state.receiver.keys_of(name).iter().map(|key| format!("`{key}`")).collect();
        let path = if name == "default" { "/webhook".to_owned() } else { format!("/webhook/{name}") };
        add(
            text!(lang, "cli-need-denied", name = name),
            text!(lang, "cli-need-denied-helps", keys = keys.join(", "), path = path),
        );
    } else if *is_silent {
        add(text!(lang, "cli-need-silent", name = name), text!(lang, "cli-need-silent-helps"));
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(output::in_cell).collect::<Vec<_>>().join(", ")
}
