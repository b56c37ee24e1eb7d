//! The state as JSON.
use serde_json::{Value, json};

use super::needs::Need;
use super::{JobState, State};
use crate::cli::{hook, lost, token};
use crate::domain::{NotificationStatus, format_instant};
use crate::query::{Replay, Replica, SourceStatus};

pub(super) fn object(state: &State, needs: &[Need]) -> Value {
    let State { service, status, .. } = state;
    let counts = &status.counts;
    let by_status: serde_json::Map<String, serde_json::Value> = NotificationStatus::ALL
        .iter()
        .map(|status| (status.as_str().to_lowercase(), counts.of(*status).into()))
        .collect();
    json!({
        "version": status.version,
        "service": service.object(),
        "ready": service.is_ready(),
        "needs": needs.iter().map(Need::object).collect::<Vec<_>>(),
        "products": counts.products,
        "publications": counts.publications,
        "revisions": counts.revisions,
        "size": counts.size,
        "storedSize": counts.stored_size,
        "notifications": by_status,
        "lastNotificationAt": counts.last_notification_at.map(format_instant),
        "nextLinkExpiry": counts.next_link_expiry.map(format_instant),
        "diskFree": status.disk_free,
        "indexLag": status.index_lag,
        "feed": status.feed,
        "replicas": status.replicas.iter().map(replica).collect::<Vec<_>>(),
        "content": status.content.as_ref().map(|content| json!({
            "lag": content.lag,
            "read": content.read,
            "partly": content.partly,
            "unreadable": content.unreadable,
        })),
        "unresolved": status.unresolved.count,
        "unresolvedSince": status.unresolved.since.map(format_instant),
        "waitingSince": status.waiting_since().map(format_instant),
        "dyingLinks": status.expiring.count,
        "lost": status.lost.unacknowledged,
        "lostAcknowledged": status.lost.acknowledged,
        "lostPublications": state.lost.iter().map(lost::object).collect::<Vec<_>>(),
        "failures": state.failures.iter().map(|failure| json!({
            "status": failure.status.as_str().to_lowercase(),
            "reason": failure.reason,
            "count": failure.count,
            "name": failure.name,
        })).collect::<Vec<_>>(),
        "pausedHosts": service.paused_hosts().iter().map(|(host, until)| json!({
            "host": host,
            "until": format_instant(*until),
        })).collect::<Vec<_>>(),
        "damaged": status.damaged.count,
        "damagedFiles": status.damaged.first.iter().map(|file| json!({
            "sha256": file.digest.to_string(),
            "since": format_instant(file.since),
            "revisionId": file.revision.as_ref().map(|(id, _)| id.to_string()),
            "name": file.revision.as_ref().map(|(_, name)| name),
        })).collect::<Vec<_>>(),
        "verification": {
            "lastRun": status.verification.last_run.as_ref().map(|run| json!({
                "id": run.id,
                "scheduled": run.scheduled,
                "startedAt": format_instant(run.started_at),
                "endedAt": run.ended_at.map(format_instant),
                "share": run.share.part(),
                "files": run.files,
                "bytes": run.bytes,
                "broken": run.broken,
            })),
            "cycleStartedAt": status.verification.cycle.as_ref().map(|cycle| format_instant(cycle.started_at)),
            "cycleProgress": status.verification.cycle.as_ref().map(|cycle| cycle.progress()),
            "lastCycleEndedAt":
                status.verification.last_cycle.as_ref().and_then(|cycle| cycle.ended_at).map(format_instant),
            "broken": status.verification.broken,
            "bytesRead": status.verification.bytes_read,
        },
        "warned": status.warned.count,
        "lastWarning": status.warned.last,
        "fetchingWaits": status.fetching_waits,
        "deniedKeys": status.denied_keys,
        "lastDeniedKeyAt": status.last_denied_key_at.map(format_instant),
        "sources": status.sources.iter().map(source).collect::<Vec<_>>(),
        "hooks": status.hooks.iter().map(hook::hook_fields).collect::<Vec<_>>(),
        "lastReplay": status.last_replay.as_ref().map(replay),
        "keys": token::objects(&state.keys),
        "jobs": state.jobs.iter().map(job).collect::<Vec<_>>(),
    })
}

fn replica(replica: &Replica) -> Value {
    json!({
        "name": replica.name,
        "version": replica.version,
        "startedAt": format_instant(replica.started_at),
        "seenAt": format_instant(replica.seen_at),
        "feed": replica.feed,
        "lag": replica.lag,
        "gone": replica.is_gone,
        "leads": replica.leads,
    })
}

fn source(SourceStatus { source, is_silent }: &SourceStatus) -> Value {
    json!({
        "name": source.name,
        "lastNotificationAt": source.last_notification_at.map(format_instant),
        "silent": is_silent,
        "denied": source.denied,
        "lastDeniedAt": source.last_denied_at.map(format_instant),
    })
}

fn replay(replay: &Replay) -> Value {
    json!({
        "id": replay.id.to_string(),
        "source": replay.source,
        "startedAt": format_instant(replay.started_at),
        "endedAt": replay.ended_at.map(format_instant),
        "announced": replay.announced,
        "known": replay.known,
        "waiting": replay.waiting,
        "unchanged": replay.unchanged,
        "newRevisions": replay.new_revisions,
        "failed": replay.failed,
        "bytesAdded": replay.bytes_added,
    })
}

fn job(job: &JobState) -> Value {
    json!({
        "name": job.job.name(),
        "lastOutcome": job.last.as_ref().and_then(|(outcome, _)| outcome.clone()),
        "lastAt": job.last.as_ref().map(|(_, at)| format_instant(*at)),
        "nextAt": job.next.map(format_instant),
    })
}
