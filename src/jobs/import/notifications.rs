//! Notification bodies as another receiver stored them: one per line, with or without the time of their arrival.
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::lines::{self, Line};
use super::{Event, Listener, Report, extended, text};
use crate::app::App;
use crate::domain::{Digest, NotificationId, ParsedNotification, decode, excerpt};
use crate::engine::record::{IMPORT, Imported, ImportedNotification, NewNotification};
use crate::jobs::stop;

/// Notifications in one commit.
const BATCH: usize = 200;

/// Bytes in one commit, not counting its last notification.
const BATCH_BYTES: usize = 8 << 20;

const BODY_BYTES_MAX: usize = ParsedNotification::BYTES_MAX;

/// The longest line: a body and its wrapper.
const LINE_MAX: usize = BODY_BYTES_MAX + 4096;

/// Imports a file of bodies.
pub async fn import(app: &App, path: &Path, dry_run: bool, listener: &mut Listener<'_>) -> anyhow::Result<Report> {
    let opened = lines::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (reader, progress) = opened;
    let mut reader = text::text(reader).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut report = Report::default();
    let mut batch = Vec::with_capacity(BATCH);
    let mut bytes = 0;
    let mut number = 0;
    let mut ended = false;
    while !ended {
        let line = tokio::task::block_in_place(|| lines::next(&mut *reader, LINE_MAX));
        match line {
            Ok(Some(line)) => {
                number += 1;
                let Line::Text(text) = line else {
                    report.refuse(listener, path, number, format!("the line has more than {LINE_MAX} bytes"));
                    continue;
                };
                bytes += text.len();
                match read_line(&text, app.clock.now()) {
                    Ok(None) => {}
                    Ok(Some(imported)) => batch.push((number, imported)),
                    Err(reason) => report.refuse(listener, path, number, reason),
                }
            }
            Ok(None) => ended = true,
            Err(e) => {
                // Everything read so far is valid.
                report.refuse(listener, path, number + 1, format!("the file cannot be read any further: {e}"));
                ended = true;
            }
        }
        let is_full = batch.len() == BATCH || bytes >= BATCH_BYTES;
        if !batch.is_empty() && (is_full || ended) {
            bytes = 0;
            let began = Instant::now();
            record(app, std::mem::take(&mut batch), dry_run, &mut report, path, listener).await?;
            listener(Event::Progress { done: progress.done(), total: progress.total });
            if !dry_run {
                super::pause(began).await;
            }
            if !ended && stop::check(app, "stop-in-import").is_err() {
                report.stopped = true;
                break;
            }
        }
    }
    Ok(report)
}

async fn record(
    app: &App,
    batch: Vec<(u64, ImportedNotification)>,
    dry_run: bool,
    report: &mut Report,
    path: &Path,
    listener: &mut Listener<'_>,
) -> anyhow::Result<()> {
    let now = app.clock.now();
    let (numbers, batch): (Vec<u64>, Vec<ImportedNotification>) = batch.into_iter().unzip();
    let reasons: Vec<Option<String>> =
        batch.iter().map(|one| one.notification.notice.outcome.as_ref().err().map(ToString::to_string)).collect();
    let outcomes = if dry_run {
        let known = app.record.imports().known(&batch).await?;
        batch.iter().zip(known).map(|(one, known)| preview(one, known, now)).collect()
    } else {
        app.record.imports().notifications(batch, now).await?
    };
    for ((number, reason), outcome) in numbers.into_iter().zip(reasons).zip(outcomes) {
        report.read += 1;
        match outcome {
            Imported::Queued => report.queued += 1,
            Imported::Expired => report.expired += 1,
            Imported::Known => report.known += 1,
            Imported::Rejected => {
                report.refused += 1;
                let reason = format!("recorded as rejected: {}", reason.unwrap_or_default());
                listener(Event::Refused { path, line: number, reason });
            }
        }
    }
    Ok(())
}

fn preview(imported: &ImportedNotification, known: bool, now: Timestamp) -> Imported {
    let notification = &imported.notification;
    match &notification.notice.outcome {
        _ if known => Imported::Known,
        Err(_) => Imported::Rejected,
        Ok(_) if notification.link_expires_at().is_some_and(|at| at <= now) => Imported::Expired,
        Ok(_) => Imported::Queued,
    }
}

/// A line's notification; `None` for an empty line. A line that is rejected here is not recorded.
pub fn read_line(line: &[u8], now: Timestamp) -> Result<Option<ImportedNotification>, String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let text = decode(line);
    let no_object = || match line.first() {
        Some(b'[') => "it is a JSON array; expected one object per line (mongoexport without --jsonArray)".to_owned(),
        _ => "it is not a JSON object".to_owned(),
    };
    let fields: HashMap<String, &RawValue> = serde_json::from_str(&text).map_err(|_| no_object())?;
    let field =
        |wanted: &str| fields.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted)).map(|(_, raw)| *raw);
    let is_wrapped = fields.contains_key("body") && field("nome").is_none();
    let dated = if is_wrapped { field("receivedAt").map(|raw| instant(raw, now)).transpose()?.flatten() } else { None };
    let body = match field("body").filter(|_| is_wrapped) {
        Some(raw) => unwrapped(raw.get()),
        // The bytes as they were sent, in any encoding.
        None if !extended::may_hold(&text) => line.to_vec(),
        None => unwrapped(&text),
    };
    if body.len() > BODY_BYTES_MAX {
        return Err(format!("the body has more than {BODY_BYTES_MAX} bytes"));
    }
    let notice = ParsedNotification::from_json(&body).ok_or_else(no_object)?;
    if !has_any_key(&notice) {
        return Err("it has none of a notification's keys (`nome`, `dataProduto`, `url`)".to_owned());
    }
    // The portal sends within a second of signing, so this is when it was received if there is no other time.
    let sent_at = notice.claims.not_before.filter(|at| *at <= now);
    let stored_at = field("_id").and_then(object_id).filter(|at| *at <= now);
    let notification = NewNotification {
        id: NotificationId::new(),
        source: IMPORT.to_owned(),
        received_at: dated.or(sent_at).or(stored_at).unwrap_or(now),
        body_digest: Digest::of(&body),
        notice,
    };
    Ok(Some(ImportedNotification { notification, is_dated: dated.is_some() }))
}

/// Whether it has any of a notification's keys. A line without any is not a notification.
fn has_any_key(notice: &ParsedNotification) -> bool {
    let texts = [&notice.name, &notice.reference_date, &notice.process, &notice.macro_process];
    notice.link.is_some() || texts.iter().any(|text| text.is_some())
}

/// A body as it was sent. Some receivers store it as a JSON string; databases add their own types.
fn unwrapped(raw: &str) -> Vec<u8> {
    let text = match serde_json::from_str::<String>(raw) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(raw),
    };
    if extended::may_hold(&text)
        && let Ok(value) = serde_json::from_str(&text)
        && let Ok(bytes) = serde_json::to_vec(&extended::plain(value))
    {
        return bytes;
    }
    text.into_owned().into_bytes()
}

/// The instant in `receivedAt`; `None` if it is null.
fn instant(raw: &RawValue, now: Timestamp) -> Result<Option<Timestamp>, String> {
    match serde_json::from_str(raw.get()).map(extended::plain) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::String(text)) => past(&text, now).map(Some),
        _ => Err(not_an_instant(raw.get())),
    }
}

fn object_id(raw: &RawValue) -> Option<Timestamp> {
    match extended::plain(serde_json::from_str(raw.get()).ok()?) {
        Value::String(id) => extended::created_at(&id),
        _ => None,
    }
}

/// An instant that is not in the future.
pub(super) fn past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at: Timestamp = text.trim().parse().map_err(|_| not_an_instant(text))?;
    if at > now {
        return Err(format!("`receivedAt` is `{}`, which is in the future", excerpt(text)));
    }
    Ok(crate::domain::timestamp(crate::domain::millis(at)))
}

pub(super) fn not_an_instant(text: &str) -> String {
    let value = excerpt(text);
    format!("`receivedAt` is `{value}`, which is not a valid instant; expected RFC 3339, such as 2025-02-20T12:00:00Z")
}
