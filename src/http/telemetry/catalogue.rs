//! Names, types and help texts of all metrics. `docs/metrics.md` says more, and a test compares both with what a service exposes.
//!
//! Names follow the conventions of Prometheus: base units, `_total` for counters only, `_timestamp_seconds` for instants. A
//! series that has no value is absent; 0 never means "none".
use metrics::{describe_counter, describe_gauge, describe_histogram};

use Kind::{Counter, Gauge, Histogram};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric: its name, its type, its help text.
type Metric = (&'static str, Kind, &'static str);

/// What this process counts as it happens.
pub(super) const COUNTED: &[Metric] = &[
    ("acervo_http_requests_total", Counter, "HTTP requests, by route, method and status"),
    (
        "acervo_http_request_duration_seconds",
        Histogram,
        "Time until the head of the response, by route, method and status",
    ),
    ("acervo_content_read_seconds", Histogram, "How long it takes to read the text of a file"),
    (crate::stage::METRIC, Histogram, "Time from the arrival of a notification until it has reached a stage"),
    ("acervo_fetches_total", Counter, "Fetches, by outcome"),
    ("acervo_fetched_bytes_total", Counter, "Bytes of files fetched"),
    ("acervo_denied_total", Counter, "Wrong keys and credentials, by where they were presented"),
    ("acervo_foreign_requests_total", Counter, "Requests refused because of their Host or the web page that sent them"),
    ("acervo_connections", Gauge, "Open connections, by listener"),
    (
        "acervo_connections_closed_total",
        Counter,
        "Connections closed while the service waited for their client, by reason",
    ),
    ("acervo_downloads_refused_total", Counter, "Downloads refused because too many were in progress"),
    ("acervo_downloads_stalled_total", Counter, "Downloads ended because their client read nothing"),
    ("acervo_damaged_reads_total", Counter, "Reads of files that turned out to be damaged"),
    ("acervo_queries_waiting", Gauge, "Queries and exports that wait for a slot or for memory"),
    ("acervo_queries_refused_total", Counter, "Queries and exports refused because no slot or memory was free in time"),
    (
        "acervo_queries_repeated_total",
        Counter,
        "GraphQL queries answered with the response to an earlier one, because nothing was committed since",
    ),
    ("acervo_responses_abandoned_total", Counter, "Responses that clients did not read in time"),
    ("acervo_archive_unreachable_total", Counter, "Requests to the service of the bucket that failed at every try"),
    ("acervo_sweep_failures_total", Counter, "Files that retention could not delete"),
    ("acervo_job_runs_total", Counter, "Runs of scheduled jobs, by job and outcome"),
    ("acervo_job_failing", Gauge, "1 if the last run of a scheduled job failed"),
    ("acervo_compacted_files_total", Counter, "Files that compaction has looked at"),
    ("acervo_compacted_before_bytes_total", Counter, "Stored bytes of these files before"),
    ("acervo_compacted_after_bytes_total", Counter, "Stored bytes of these files after"),
];

/// What is read from the database and the leaves for each scrape.
pub(super) const READ: &[Metric] = &[
    ("acervo_build_info", Gauge, "1, with the version of the service"),
    ("acervo_start_timestamp_seconds", Gauge, "When the service was started"),
    ("acervo_ready", Gauge, "1 if notifications can be recorded"),
    ("acervo_database_reachable", Gauge, "1 if the database answers"),
    ("acervo_notifications", Gauge, "Notifications, by state"),
    ("acervo_last_notification_timestamp_seconds", Gauge, "When the last notification was received"),
    ("acervo_queue_age_seconds", Gauge, "Age of the oldest notification that waits for its publication or its file"),
    ("acervo_next_link_expiry_timestamp_seconds", Gauge, "When the next link expires whose file is not archived yet"),
    ("acervo_dying_links", Gauge, "Links that expire within fetch.warn_before and whose file is not archived yet"),
    ("acervo_notifications_unresolved", Gauge, "Recorded notifications whose publications are not known yet"),
    ("acervo_oldest_unresolved_timestamp_seconds", Gauge, "When the first of these was received"),
    ("acervo_source_silent", Gauge, "1 if a source is silent for longer than its history makes likely"),
    ("acervo_source_last_notification_timestamp_seconds", Gauge, "When the last notification of a source was received"),
    ("acervo_source_denied_total", Counter, "Refused logins, by source, since the archive exists"),
    ("acervo_replay_waiting", Gauge, "Notifications of the newest replay whose file is not fetched yet"),
    ("acervo_fetching_waits", Gauge, "1 while fetching waits for disk space"),
    ("acervo_paused_hosts", Gauge, "Hosts that get no requests for a while, because they failed repeatedly"),
    ("acervo_lost_publications", Gauge, "Publications whose file is lost, and that no operator has acknowledged"),
    (
        "acervo_coverage_periods",
        Gauge,
        "Periods of the last 31 days that are late or missing, by process; at most five minutes old",
    ),
    ("acervo_publications", Gauge, "Publications"),
    ("acervo_revisions", Gauge, "Archived revisions"),
    ("acervo_files_bytes", Gauge, "Bytes of all distinct files, as published and as stored"),
    ("acervo_disk_free_bytes", Gauge, "Free bytes on the disk of the archive"),
    ("acervo_disk_size_bytes", Gauge, "Size of the disk of the archive"),
    ("acervo_index_lag", Gauge, "Changes that are not in the search index yet"),
    (
        "acervo_replica_index_lag",
        Gauge,
        "Changes that a replica did not have in its search index when it was last heard of",
    ),
    ("acervo_replica_seen_timestamp_seconds", Gauge, "When a replica was last heard of"),
    ("acervo_replica_gone", Gauge, "1 if a replica was not heard of for longer than one that works would be"),
    ("acervo_replica_leads", Gauge, "1 if a replica runs the scheduled jobs"),
    ("acervo_content_lag", Gauge, "Changes whose files were not read for the search inside files yet"),
    ("acervo_content_files", Gauge, "Files by what became of their text: read, partly, unreadable, no_text"),
    ("acervo_index_computations", Gauge, "Computations on the index, by state"),
    ("acervo_index_overdue_total", Counter, "Computations on the index that ran longer than their deadline"),
    ("acervo_polls_waiting", Gauge, "Requests that wait for the next change (`changes` with `wait`)"),
    ("acervo_hook_lag", Gauge, "Changes of the archive that a hook has not looked at yet"),
    (
        "acervo_hook_waiting_seconds",
        Gauge,
        "How long the event has waited that a hook failed to deliver and tries again",
    ),
    ("acervo_hook_dead_letters", Gauge, "Events that a hook gave up"),
    ("acervo_hook_disabled", Gauge, "1 if a hook sends nothing because its endpoint answered 410"),
    ("acervo_hook_delivered_total", Counter, "Events that a hook delivered, since the hook exists"),
    ("acervo_hook_failures_total", Counter, "Attempts of a hook that failed, since the hook exists"),
    ("acervo_broken_items", Gauge, "Damaged files and what else verification found"),
    (
        "acervo_last_verified_timestamp_seconds",
        Gauge,
        "When the whole archive had been verified last, in one run or in many",
    ),
    ("acervo_verify_cycle_start_timestamp_seconds", Gauge, "When the present cycle of verification began"),
    ("acervo_verify_cycle_progress_ratio", Gauge, "How much of the archive the present cycle has verified, 0 to 1"),
    ("acervo_verified_bytes_total", Counter, "Bytes read by verification, as published"),
];

/// Describes metrics to the current recorder.
pub(super) fn describe(metrics: &[Metric]) {
    for (name, kind, help) in metrics {
        match kind {
            Counter => describe_counter!(*name, *help),
            Gauge => describe_gauge!(*name, *help),
            Histogram => describe_histogram!(*name, *help),
        }
    }
}
