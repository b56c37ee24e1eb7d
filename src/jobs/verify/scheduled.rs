//! Scheduled runs. Together they make cycles: each run verifies as much as brings the cycle to where it should be at the time of the
//! next run, so that a cycle takes as long as is configured, also after runs were missed.
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::run::verify;
use super::{LOCK, Options};
use crate::app::App;
use crate::domain::{Share, sao_paulo};
use crate::engine::record::VerifyCycle;
use crate::jobs::lock::Guard;

/// Verifies the next share of the cycle.
pub(in crate::engine::jobs) async fn scheduled(app: &App) -> anyhow::Result<Value> {
    let holder = format!("verify-{}", uuid::Uuid::now_v7());
    let Some(guard) = Guard::take(app, LOCK, &holder).await? else {
        return Ok(json!({ "skipped": "another verification is running" }));
    };
    let outcome = advance(app, &guard).await;
    guard.release().await;
    outcome
}

async fn advance(app: &App, guard: &Guard) -> anyhow::Result<Value> {
    let record = app.record.verify();
    let settings = &app.settings.verify;
    let now = app.clock.now();
    let mut cycle = match record.open_cycle().await? {
        Some(cycle) => cycle,
        None => record.add_cycle(now, None).await?,
    };
    let next_run = settings.schedule.as_ref().and_then(|schedule| schedule.after(now)).unwrap_or(now);
    let goal = goal(&cycle, next_run, settings.cycle)?;
    // A run that was interrupted is completed first.
    let interrupted = record.open_run(true, None).await?.map(|run| run.share);
    let interrupted = interrupted.filter(|share| share.from == cycle.point);
    if interrupted.is_none() {
        record.give_up_runs(true, None).await?;
    }
    let rest_from = interrupted.map_or(cycle.point, |share| share.to);
    let (mut files, mut bytes, mut broken) = (0, 0, 0);
    for share in interrupted.into_iter().chain(Share::new(rest_from, goal)) {
        let options = Options { share, max_rate: Some(settings.max_rate), restart: false, accepts_empty: false };
        let report = verify(app, guard, options, true, &|_| {}).await?;
        files += report.run.files;
        bytes += report.run.bytes;
        broken += report.broken;
        record.advance_cycle(&cycle.id, share.to, app.clock.now()).await?;
        cycle.point = share.to;
    }
    tracing::info!(files, bytes, broken, "verified a share of the archive");
    Ok(json!({ "files": files, "bytes": bytes, "broken": broken, "cycle": cycle.point as f64 / Share::END as f64 }))
}

/// The point that a cycle should be at by the time of the next run.
fn goal(cycle: &VerifyCycle, next_run: Timestamp, length: Span) -> anyhow::Result<u64> {
    let end = cycle.started_at.to_zoned_datetime(sao_paulo().clone()).checked_add(length)?.timestamp();
    let millis = |from: Timestamp, to: Timestamp| u128::try_from(to.duration_since(from).as_millis()).unwrap_or(0);
    let (elapsed, whole) = (millis(cycle.started_at, next_run), millis(cycle.started_at, end).max(1));
    let point = (elapsed.saturating_mul(Share::END.into()) / whole).min(Share::END.into());
    Ok(u64::try_from(point)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(point: u64) -> VerifyCycle {
        let started_at = "2026-01-01T06:00:00Z".parse().expect("an instant");
        VerifyCycle { id: String::new(), started_at, ended_at: None, point }
    }

    #[test]
    fn thirty_nights_are_a_cycle() {
        let month = Span::new().days(30);
        let at = |day: i64| cycle(0).started_at + jiff::SignedDuration::from_hours(24 * day);
        let part = Share::END / 30;
        for night in 1..=30 {
            let goal = goal(&cycle(0), at(night), month).expect("a goal");
            assert!(goal.abs_diff(part * night as u64) < 30, "{night}: {goal}");
        }
        assert_eq!(goal(&cycle(0), at(30), month).expect("a goal"), Share::END);
        // Missed nights are made up for, and nothing is beyond the end.
        assert_eq!(goal(&cycle(0), at(400), month).expect("a goal"), Share::END);
        assert_eq!(goal(&cycle(0), at(-1), month).expect("a goal"), 0);
    }
}
