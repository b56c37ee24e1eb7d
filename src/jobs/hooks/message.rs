//! Events as messages.
//!
//! The fields of `data` have the names and formats of the GraphQL schema. None is a link, a token or an e-mail address: names of
//! files and warnings are redacted before they are recorded.
use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::Event;
use crate::config::{Hook, Settings, Target};
use crate::domain::{HookEvent, Template, format_instant};
use crate::engine::hooks::{Message, SendError};
use crate::engine::record::{LetterSubject, NewHookEvent, Publication, Replay, Revision, Source};

/// The kind of a test message.
pub(super) const TEST: &str = "test";

const JSON: &str = "application/json";

/// The id of the message about an event, the same for every attempt.
pub(super) fn id_of(hook: &Hook, subject: LetterSubject) -> String {
    match subject {
        LetterSubject::Change(number) => format!("{}-c{number}", hook.name),
        LetterSubject::Event(id) => format!("{}-e{id}", hook.name),
    }
}

/// The message about an event.
pub(super) fn of(hook: &Hook, event: &Event) -> Result<Message, SendError> {
    made(hook, id_of(hook, event.subject), event.kind.as_str(), event.at, event.data.clone())
}

/// A message that shows whether the endpoint receives and verifies messages. Templates are filled in with a sample.
pub(super) fn test(hook: &Hook, now: Timestamp) -> Result<Message, SendError> {
    let id = format!("{}-t{}", hook.name, uuid::Uuid::now_v7().simple());
    let is_plain = hook.body.is_none() && matches!(hook.target, Target::Http(_));
    match hook.events.first().filter(|_| !is_plain) {
        Some(event) => made(hook, id, event.as_str(), now, event.sample()),
        None => made(hook, id, TEST, now, json!({ "hook": hook.name })),
    }
}

fn made(hook: &Hook, id: String, kind: &str, at: Timestamp, data: Value) -> Result<Message, SendError> {
    let mut event = json!({ "type": kind, "id": id, "timestamp": format_instant(at), "data": data });
    let fill = |template: &Template, event: &Value| template.render(event).map_err(SendError::Template);
    let (template, subject) = match &hook.target {
        Target::Http(_) => (hook.body.as_ref(), None),
        Target::Email(mailbox) => (Some(hook.body.as_ref().unwrap_or(&mailbox.text)), Some(&mailbox.subject)),
    };
    let Some(template) = template else {
        return Ok(Message { id, subject: None, content_type: JSON.to_owned(), body: event.to_string() });
    };
    event["hook"] = hook.name.as_str().into();
    let subject = subject.map(|subject| fill(subject, &event)).transpose()?;
    // A header is one line.
    let subject = subject.map(|subject| subject.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(Message { id, subject, content_type: hook.content_type.clone(), body: fill(template, &event)? })
}

/// The data of an event about a publication, and about its new revision if it has one.
pub(super) fn of_publication(settings: &Settings, publication: &Publication, revision: Option<&Revision>) -> Value {
    let mut data = json!({
        "publicationId": publication.id.to_string(),
        "productId": publication.product_id.to_string(),
        "name": publication.name,
        "process": publication.process,
        "macroProcess": publication.macro_process,
        "referenceDate": publication.reference_date,
        "periodStart": publication.period.start.to_string(),
        "periodEnd": publication.period.end.to_string(),
        "granularity": publication.granularity.as_str(),
    });
    let Some(revision) = revision else { return data };
    let of_revision = json!({
        "revisionId": revision.id.to_string(),
        "revisionNumber": revision.number,
        "fileName": revision.file_name,
        "fileExtension": revision.extension,
        "contentType": revision.content_type,
        "size": revision.file.size,
        "sha256": revision.file.digest.to_string(),
        "fileUrl": settings.file_url(revision.id),
        "announcedAt": format_instant(revision.announced_at),
        "receivedAt": format_instant(revision.received_at),
        "archivedAt": format_instant(revision.archived_at),
        "warnings": revision.warnings,
    });
    if let (Value::Object(data), Value::Object(of_revision)) = (&mut data, of_revision) {
        data.extend(of_revision);
    }
    data
}

/// A source that has become silent. The same silence is one event.
pub(in crate::engine::jobs) fn silent(source: &Source, now: Timestamp) -> NewHookEvent {
    let last = source.last_notification_at.map(format_instant);
    NewHookEvent {
        kind: HookEvent::Silent,
        at: now,
        name: format!("silent {} {}", source.name, last.as_deref().unwrap_or("never")),
        data: json!({ "source": source.name, "lastNotificationAt": last, "denied": source.denied }),
    }
}

/// A replay that has ended.
pub(in crate::engine::jobs) fn burst_ended(replay: &Replay, now: Timestamp) -> NewHookEvent {
    NewHookEvent {
        kind: HookEvent::BurstEnded,
        at: now,
        name: format!("burst_ended {}", replay.id),
        data: json!({
            "replayId": replay.id.to_string(),
            "source": replay.source,
            "startedAt": format_instant(replay.started_at),
            "endedAt": replay.ended_at.map(format_instant),
            "announced": replay.announced,
            "known": replay.known,
            "unchanged": replay.unchanged,
            "newRevisions": replay.new_revisions,
            "failed": replay.failed,
            "bytesAdded": replay.bytes_added,
        }),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;

    fn fields(data: &Value) -> Vec<&String> {
        data.as_object().map(|data| data.keys().collect()).unwrap_or_default()
    }

    #[test]
    fn samples_have_the_fields_of_events() {
        let now = Timestamp::UNIX_EPOCH;
        let source =
            Source { name: "default".to_owned(), last_notification_at: Some(now), denied: 0, last_denied_at: None };
        assert_eq!(fields(&silent(&source, now).data), fields(&HookEvent::Silent.sample()));
        let replay = Replay {
            id: uuid::Uuid::nil(),
            source: String::new(),
            started_at: now,
            ended_at: None,
            announced: 0,
            known: 0,
            waiting: 0,
            unchanged: 0,
            new_revisions: 0,
            failed: 0,
            bytes_added: 0,
        };
        assert_eq!(fields(&burst_ended(&replay, now).data), fields(&HookEvent::BurstEnded.sample()));
    }
}
