//! Metrics, for Prometheus to scrape: names and types in `catalogue`, HTTP requests in `requests`.
mod catalogue;
mod requests;

use std::cmp::Reverse;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::domain::NotificationStatus;
use crate::query::{CoverageByProcess, HookRow, Replica, SourceStatus, Status};
use crate::stage::{self, Stage};

pub(super) use requests::count as count_request;

static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Upper bounds of the buckets of requests, in seconds.
const REQUEST_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// Recorded values are moved into their buckets this often, also if nothing scrapes them.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Sources that have series of their own: a receiver without credentials accepts any name.
const SOURCES_MAX: usize = 50;

/// Processes that have series of their own: their names come from notifications.
const PROCESSES_MAX: usize = 50;

/// Replicas that have series of their own.
const REPLICAS_MAX: usize = 50;

/// Installs the exporter. Called once before anything is served; earlier counts are lost.
pub fn install() -> anyhow::Result<()> {
    let handle = PrometheusBuilder::new()
        .set_buckets(REQUEST_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(stage::METRIC.to_owned()), stage::BUCKETS)?
        .install_recorder()?;
    catalogue::describe(catalogue::COUNTED);
    begin_counters();
    Stage::register();
    let upkept = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkept.run_upkeep();
        }
    });
    // A second call, by another service in one process, has nothing to add.
    let _ = EXPORTER.set(handle);
    Ok(())
}

/// Counters whose labels are known begin at 0: a rate over a series that appears with its first event misses that event.
fn begin_counters() {
    for name in [
        "acervo_fetched_bytes_total",
        "acervo_downloads_refused_total",
        "acervo_downloads_stalled_total",
        "acervo_damaged_reads_total",
        "acervo_queries_refused_total",
        "acervo_queries_repeated_total",
        "acervo_responses_abandoned_total",
        "acervo_sweep_failures_total",
        "acervo_archive_unreachable_total",
        "acervo_compacted_files_total",
        "acervo_compacted_before_bytes_total",
        "acervo_compacted_after_bytes_total",
    ] {
        counter!(name).increment(0);
    }
    for outcome in ["archived", "refused", "failed"] {
        counter!("acervo_fetches_total", "outcome" => outcome).increment(0);
    }
    for door in ["webhook", "api", "socket", "login"] {
        counter!("acervo_denied_total", "door" => door).increment(0);
    }
    for by in ["origin", "host"] {
        counter!("acervo_foreign_requests_total", "by" => by).increment(0);
    }
    for reason in ["write", "socket", "head", "first_byte", "idle", "evicted", "socket_init"] {
        counter!("acervo_connections_closed_total", "reason" => reason).increment(0);
    }
    gauge!("acervo_queries_waiting").set(0.0);
}

/// All metrics as text. What the database and the leaves know gets a recorder of its own for each scrape, so that a series
/// without a value is absent, whatever earlier scrapes had.
///
/// `coverage` is absent if it could not be counted in time.
pub(super) fn render(
    status: &Status,
    coverage: Option<&CoverageByProcess>,
    paused_hosts: usize,
    now: Timestamp,
) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        catalogue::describe(catalogue::READ);
        gauge!("acervo_database_reachable").set(1.0);
        gauge!("acervo_paused_hosts").set(paused_hosts as f64);
        record_notifications(status, now);
        record_sources(&status.sources);
        record_archive(status);
        record_index(status);
        record_replicas(&status.replicas);
        record_hooks(status);
        record_coverage(coverage);
    });
    exposed(&recorder.handle())
}

/// The same while the database does not answer.
pub(super) fn render_without_database() -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        catalogue::describe(catalogue::READ);
        gauge!("acervo_database_reachable").set(0.0);
        gauge!("acervo_ready").set(0.0);
    });
    exposed(&recorder.handle())
}

/// What this process counts, and what was read.
fn exposed(read: &PrometheusHandle) -> String {
    EXPORTER.get().map(PrometheusHandle::render).unwrap_or_default() + &read.render()
}

fn set_instant(name: &'static str, at: Option<Timestamp>) {
    if let Some(at) = at {
        gauge!(name).set(seconds(at));
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

fn record_notifications(status: &Status, now: Timestamp) {
    let counts = &status.counts;
    for state in NotificationStatus::ALL {
        gauge!("acervo_notifications", "state" => state.as_str().to_lowercase()).set(counts.of(*state) as f64);
    }
    set_instant("acervo_last_notification_timestamp_seconds", counts.last_notification_at);
    set_instant("acervo_next_link_expiry_timestamp_seconds", counts.next_link_expiry);
    set_instant("acervo_oldest_unresolved_timestamp_seconds", status.unresolved.since);
    if let Some(since) = status.waiting_since() {
        gauge!("acervo_queue_age_seconds").set((seconds(now) - seconds(since)).max(0.0));
    }
    gauge!("acervo_notifications_unresolved").set(status.unresolved.count as f64);
    gauge!("acervo_lost_publications").set(status.lost.unacknowledged as f64);
    gauge!("acervo_dying_links").set(status.expiring.count as f64);
    if let Some(replay) = &status.last_replay {
        gauge!("acervo_replay_waiting").set(replay.waiting as f64);
    }
    gauge!("acervo_fetching_waits").set(flag(status.fetching_waits.is_some()));
}

fn record_sources(sources: &[SourceStatus]) {
    let mut sources: Vec<&SourceStatus> = sources.iter().collect();
    sources.sort_by_key(|status| Reverse(status.source.last_notification_at));
    for SourceStatus { source, is_silent } in sources.into_iter().take(SOURCES_MAX) {
        let name = source.name.clone();
        counter!("acervo_source_denied_total", "source" => name.clone()).absolute(source.denied);
        // One that never sent anything cannot fall silent.
        if let Some(last) = source.last_notification_at {
            gauge!("acervo_source_silent", "source" => name.clone()).set(flag(*is_silent));
            gauge!("acervo_source_last_notification_timestamp_seconds", "source" => name).set(seconds(last));
        }
    }
}

fn record_hooks(status: &Status) {
    for row in status.hooks.iter().filter(|row| row.settings.is_some()) {
        let HookRow { name, state, dead, lag, .. } = row;
        gauge!("acervo_hook_lag", "hook" => name.clone()).set(*lag as f64);
        if let Some(since) = row.waiting_since() {
            let waiting = (seconds(status.at) - seconds(since)).max(0.0);
            gauge!("acervo_hook_waiting_seconds", "hook" => name.clone()).set(waiting);
        }
        gauge!("acervo_hook_dead_letters", "hook" => name.clone()).set(*dead as f64);
        gauge!("acervo_hook_disabled", "hook" => name.clone()).set(flag(row.disabled_at().is_some()));
        if let Some(state) = state {
            counter!("acervo_hook_delivered_total", "hook" => name.clone()).absolute(state.delivered);
            counter!("acervo_hook_failures_total", "hook" => name.clone()).absolute(state.failed);
        }
    }
}

fn record_coverage(coverage: Option<&CoverageByProcess>) {
    let mut processes: Vec<_> = coverage.into_iter().flatten().collect();
    processes.sort_by_key(|(_, counts)| Reverse(counts.late + counts.missing));
    for (process, counts) in processes.into_iter().take(PROCESSES_MAX) {
        for (state, count) in [("late", counts.late), ("missing", counts.missing)] {
            gauge!("acervo_coverage_periods", "process" => process.clone(), "state" => state).set(count as f64);
        }
    }
}

fn record_archive(status: &Status) {
    gauge!("acervo_build_info", "version" => status.version).set(1.0);
    set_instant("acervo_start_timestamp_seconds", Some(status.started_at));
    gauge!("acervo_ready").set(flag(status.ready));
    gauge!("acervo_publications").set(status.counts.publications as f64);
    gauge!("acervo_revisions").set(status.counts.revisions as f64);
    gauge!("acervo_files_bytes", "as" => "published").set(status.counts.size as f64);
    gauge!("acervo_files_bytes", "as" => "stored").set(status.counts.stored_size as f64);
    if let (Some(free), Some(size)) = (status.disk_free, status.disk_size) {
        gauge!("acervo_disk_free_bytes").set(free as f64);
        gauge!("acervo_disk_size_bytes").set(size as f64);
    }
    let verification = &status.verification;
    gauge!("acervo_broken_items").set(verification.broken as f64);
    counter!("acervo_verified_bytes_total").absolute(verification.bytes_read);
    let last = verification.last_cycle.as_ref().and_then(|cycle| cycle.ended_at);
    set_instant("acervo_last_verified_timestamp_seconds", last);
    if let Some(cycle) = &verification.cycle {
        set_instant("acervo_verify_cycle_start_timestamp_seconds", Some(cycle.started_at));
        gauge!("acervo_verify_cycle_progress_ratio").set(cycle.progress());
    }
}

fn record_replicas(replicas: &[Replica]) {
    for replica in replicas.iter().take(REPLICAS_MAX) {
        let name = replica.name.clone();
        gauge!("acervo_replica_index_lag", "replica" => name.clone()).set(replica.lag as f64);
        gauge!("acervo_replica_seen_timestamp_seconds", "replica" => name.clone()).set(seconds(replica.seen_at));
        gauge!("acervo_replica_gone", "replica" => name.clone()).set(flag(replica.is_gone));
        gauge!("acervo_replica_leads", "replica" => name).set(flag(replica.leads));
    }
}

fn record_index(status: &Status) {
    gauge!("acervo_index_lag").set(status.index_lag as f64);
    if let Some(content) = &status.content {
        gauge!("acervo_content_lag").set(content.lag as f64);
        for (outcome, count) in [
            ("read", content.read),
            ("partly", content.partly),
            ("unreadable", content.unreadable),
            ("no_text", content.no_text),
        ] {
            gauge!("acervo_content_files", "outcome" => outcome).set(count as f64);
        }
    }
    let computing = status.computing;
    for (state, count) in
        [("running", computing.running), ("waiting", computing.waiting), ("overdue", computing.overdue)]
    {
        gauge!("acervo_index_computations", "state" => state).set(count as f64);
    }
    gauge!("acervo_polls_waiting").set(status.waiting_polls as f64);
    counter!("acervo_index_overdue_total").absolute(computing.overdue_total);
}
