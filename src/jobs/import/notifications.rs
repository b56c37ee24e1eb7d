//! Notification bodies as another receiver kept them: one a line, alone or with the time they were received.
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lines::{self, Line};
use super::{Event, Listener, Report};
use crate::app::App;
use crate::domain::{Digest, Notice, NotificationId};
use crate::record::{IMPORT, Imported, ImportedNotification, NewNotification};

/// Notifications of one commit.
const BATCH: usize = 200;

const BODY_BYTES_MAX: usize = Notice::BYTES_MAX;

/// The longest line: a body and what may stand around it.
const LINE_MAX: usize = BODY_BYTES_MAX + 4096;

/// Imports a file of bodies.
pub async fn import(app: &App, path: &Path, dry_run: bool, listener: &mut Listener<'_>) -> anyhow::Result<Report> {
    let opened = lines::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (mut reader, progress) = opened;
    let mut report = Report::default();
    let mut batch = Vec::with_capacity(BATCH);
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
                match read_line(&text, app.clock.now()) {
                    Ok(None) => {}
                    Ok(Some(imported)) => batch.push((number, imported)),
                    Err(reason) => report.refuse(listener, path, number, reason),
                }
            }
            Ok(None) => ended = true,
            Err(e) => {
                // What was read of it so far is good.
                report.refuse(listener, path, number + 1, format!("the file cannot be read any further: {e}"));
                ended = true;
            }
        }
        if batch.len() == BATCH || (ended && !batch.is_empty()) {
            let began = Instant::now();
            take(app, std::mem::take(&mut batch), dry_run, &mut report, path, listener).await?;
            listener(Event::Progress { done: progress.done(), total: progress.total });
            if !dry_run {
                super::rest(began).await;
            }
        }
    }
    Ok(report)
}

async fn take(
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
        let known = app.record.known_imports(&batch).await?;
        batch.iter().zip(known).map(|(one, known)| would_be(one, known, now)).collect()
    } else {
        app.record.import_notifications(batch, now).await?
    };
    for ((number, reason), outcome) in numbers.into_iter().zip(reasons).zip(outcomes) {
        report.read += 1;
        match outcome {
            Imported::Queued => report.queued += 1,
            Imported::Expired => report.expired += 1,
            Imported::Known => report.known += 1,
            Imported::Rejected => {
                report.refused += 1;
                let reason = format!("kept, but not understood: {}", reason.unwrap_or_default());
                listener(Event::Refused { path, line: number, reason });
            }
        }
    }
    Ok(())
}

fn would_be(imported: &ImportedNotification, known: bool, now: Timestamp) -> Imported {
    let notification = &imported.notification;
    match &notification.notice.outcome {
        _ if known => Imported::Known,
        Err(_) => Imported::Rejected,
        Ok(_) if notification.link_expires_at().is_some_and(|at| at <= now) => Imported::Expired,
        Ok(_) => Imported::Queued,
    }
}

/// A body with the time at which it was received.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(rename = "receivedAt")]
    received_at: Option<String>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// A line's notification; `None` for an empty line.
pub fn read_line(text: &[u8], now: Timestamp) -> Result<Option<ImportedNotification>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    let (received_at, body) = match serde_json::from_slice::<Wrapped<'_>>(text) {
        Ok(wrapped) => (wrapped.received_at, unquoted(wrapped.body)),
        Err(_) => (None, text.to_vec()),
    };
    if body.len() > BODY_BYTES_MAX {
        return Err(format!("the body has more than {BODY_BYTES_MAX} bytes"));
    }
    let received_at = received_at.map(|text| past(&text, now)).transpose()?;
    let notice = Notice::from_json(&body).ok_or("it is no JSON object")?;
    // The portal sends within a second of signing: without another word that is when it was received.
    let sent_at = notice.claims.not_before.filter(|at| *at <= now);
    let notification = NewNotification {
        id: NotificationId::new(),
        source: IMPORT.to_owned(),
        received_at: received_at.or(sent_at).unwrap_or(now),
        body_digest: Digest::of(&body),
        notice,
    };
    Ok(Some(ImportedNotification { notification, is_dated: received_at.is_some() }))
}

/// Some receivers keep the body as a text.
fn unquoted(body: &RawValue) -> Vec<u8> {
    match serde_json::from_str::<String>(body.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => body.get().as_bytes().to_vec(),
    }
}

/// An instant that is over.
pub(super) fn past(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let shown: String = text.chars().take(60).collect();
    let at: Timestamp =
        text.parse().map_err(|_| format!("`receivedAt` is `{shown}`: no instant such as 2025-02-20T12:00:00Z"))?;
    if at > now {
        return Err(format!("`receivedAt` is `{shown}`: it is yet to come"));
    }
    Ok(crate::domain::timestamp(crate::domain::millis(at)))
}
