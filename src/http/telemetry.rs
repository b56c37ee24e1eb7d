//! Metrics, for Prometheus to scrape.
use std::sync::OnceLock;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::query::{SourceStatus, Status};

static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the exporter. Called once before anything is served; earlier counts are lost.
pub fn install() -> anyhow::Result<()> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])?
        .install_recorder()?;
    describe_counter!("acervo_notifications_total", "Notifications by the HTTP status of the response");
    describe_histogram!(
        "acervo_notification_seconds",
        "Time from a notification's first byte to the response, in seconds"
    );
    describe_counter!("acervo_fetches_total", "Fetches by outcome");
    describe_counter!("acervo_fetched_bytes_total", "Bytes of files fetched");
    describe_gauge!("acervo_notifications", "Notifications by state");
    describe_gauge!(
        "acervo_next_link_expiry_seconds",
        "When the next link expires whose file is not archived yet; 0 for none"
    );
    describe_gauge!("acervo_last_notification_seconds", "When the last notification was received; 0 for never");
    describe_gauge!(
        "acervo_dying_links",
        "Links that expire within fetch.warn_before and whose file is not archived yet"
    );
    describe_gauge!("acervo_source_silent", "1 if a source is silent for longer than its history makes likely");
    describe_gauge!("acervo_source_last_notification_seconds", "When the last notification of a source was received");
    describe_counter!("acervo_denied_total", "Wrong keys and credentials, by where they were presented");
    describe_counter!(
        "acervo_foreign_requests_total",
        "Requests refused because of their Host or the web page that sent them"
    );
    describe_counter!(
        "acervo_connections_closed_total",
        "Connections closed while the service waited for their client, by reason"
    );
    describe_gauge!("acervo_connections", "Open connections, by listener");
    describe_counter!("acervo_source_denied_total", "Refused logins, by source");
    describe_gauge!("acervo_replay_waiting", "Notifications of the newest replay whose file is not fetched yet");
    describe_gauge!("acervo_fetching_waits", "1 while fetching waits for disk space");
    describe_gauge!("acervo_publications", "Publications");
    describe_gauge!("acervo_revisions", "Archived revisions");
    describe_gauge!("acervo_files_bytes", "Bytes of all distinct files, as published and as stored");
    describe_gauge!("acervo_disk_free_bytes", "Free bytes on the disk of the archive");
    describe_gauge!("acervo_index_computations", "Computations on the index, by state");
    describe_counter!("acervo_index_overdue_total", "Computations on the index that ran longer than their deadline");
    describe_counter!(
        "acervo_queries_refused_total",
        "Queries and exports refused because no slot or memory was free in time"
    );
    describe_counter!(
        "acervo_queries_repeated_total",
        "GraphQL queries answered with the response to an earlier one, because nothing was committed since"
    );
    describe_gauge!("acervo_queries_waiting", "Queries and exports that wait for a slot or for memory");
    describe_counter!("acervo_responses_abandoned_total", "Responses that clients did not read in time");
    describe_gauge!("acervo_notifications_unresolved", "Recorded notifications whose publications are not known yet");
    describe_gauge!("acervo_unresolved_since_seconds", "When the first of these was received; 0 without any");
    describe_gauge!("acervo_index_lag", "Changes that are not in the search index yet");
    describe_gauge!("acervo_broken_items", "Damaged files and what else verification found");
    describe_gauge!(
        "acervo_last_verified_seconds",
        "When the whole archive had been verified last, in one run or in many; 0 for never"
    );
    describe_gauge!("acervo_verify_cycle_progress", "How much of the archive the present cycle has verified, 0 to 1");
    describe_counter!("acervo_verified_bytes_total", "Bytes read by verification, as published");
    // A second call, by another service in one process, has nothing to add.
    let _ = EXPORTER.set(handle);
    Ok(())
}

pub(super) fn render(status: &Status) -> String {
    for (state, count) in &status.counts.by_status {
        gauge!("acervo_notifications", "state" => state.as_str().to_lowercase()).set(*count as f64);
    }
    let seconds = |at: Option<jiff::Timestamp>| at.map_or(0.0, |at| at.as_millisecond() as f64 / 1000.0);
    gauge!("acervo_next_link_expiry_seconds").set(seconds(status.counts.next_link_expiry));
    gauge!("acervo_last_notification_seconds").set(seconds(status.counts.last_notification_at));
    gauge!("acervo_dying_links").set(status.expiring.count as f64);
    for SourceStatus { source, is_silent } in &status.sources {
        let name = source.name.clone();
        gauge!("acervo_source_silent", "source" => name.clone()).set(f64::from(u8::from(*is_silent)));
        gauge!("acervo_source_last_notification_seconds", "source" => name.clone())
            .set(seconds(source.last_notification_at));
        counter!("acervo_source_denied_total", "source" => name).absolute(source.denied);
    }
    gauge!("acervo_replay_waiting").set(status.last_replay.as_ref().map_or(0, |replay| replay.waiting) as f64);
    gauge!("acervo_fetching_waits").set(f64::from(u8::from(status.fetching_waits.is_some())));
    gauge!("acervo_publications").set(status.counts.publications as f64);
    gauge!("acervo_revisions").set(status.counts.revisions as f64);
    gauge!("acervo_files_bytes", "as" => "published").set(status.counts.size as f64);
    gauge!("acervo_files_bytes", "as" => "stored").set(status.counts.stored_size as f64);
    if let Some(free) = status.disk_free {
        gauge!("acervo_disk_free_bytes").set(free as f64);
    }
    let computing = status.computing;
    for (state, count) in
        [("running", computing.running), ("waiting", computing.waiting), ("overdue", computing.overdue)]
    {
        gauge!("acervo_index_computations", "state" => state).set(count as f64);
    }
    counter!("acervo_index_overdue_total").absolute(computing.overdue_total);
    gauge!("acervo_notifications_unresolved").set(status.unresolved.count as f64);
    gauge!("acervo_unresolved_since_seconds").set(seconds(status.unresolved.since));
    gauge!("acervo_index_lag").set(status.index_lag as f64);
    let verification = &status.verification;
    gauge!("acervo_broken_items").set(verification.broken as f64);
    gauge!("acervo_last_verified_seconds")
        .set(seconds(verification.last_cycle.as_ref().and_then(|cycle| cycle.ended_at)));
    gauge!("acervo_verify_cycle_progress").set(verification.cycle.as_ref().map_or(0.0, |cycle| cycle.progress()));
    counter!("acervo_verified_bytes_total").absolute(verification.bytes_read);
    EXPORTER.get().map(PrometheusHandle::render).unwrap_or_default()
}
