//! Retention: plan, then act. A run marks the revisions that its plan removes. A sweep deletes their bytes after the grace; until
//! then the run can be undone. Every step can be interrupted and is continued by the next run.
mod inventory;
mod plan;
mod product;
mod refusal;
mod reserve;
mod run;
mod shared;
mod sweep;

use super::fault;
use anyhow::Context;
use jiff::Timestamp;

use super::stop::{self, Stopped};
use crate::app::App;
use crate::config::Policy;
use crate::domain::Glob;
use crate::domain::RevisionId;

pub use inventory::{Inventory, Product, Publication, Revision};
pub use plan::{Decision, Plan, Rule, plan};
pub use product::{RemovalRequest, removal_extent, remove_product};
pub use refusal::RetentionRefusal;
pub(super) use reserve::reserve;
pub(super) use run::finish_pending;
pub use run::{Outcome, confirm_clock, run, start, start_undo, undo};
pub use shared::{PlanError, SharedPlans};
pub use sweep::SweepResult;
pub(super) use sweep::remove_unrecorded;

/// The name of the lock: one run, sweep or undo at a time, in all processes.
pub(super) const LOCK: &str = "retention";

/// Publications read in one query.
const PAGE: u64 = 5000;

/// Revisions marked or swept in one transaction: so few that other writers wait for milliseconds.
const BATCH: usize = 25;

/// A run pauses this many times as long as it works, because queries and notifications come first.
const PAUSE_FACTOR: u32 = 3;

/// A plan with the inventory that it was made for.
pub struct InventoryPlan {
    pub at: Timestamp,
    pub inventory: Inventory,
    pub plan: Plan,
}

/// A line of a plan, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub revision_id: RevisionId,
    pub publication_id: crate::domain::PublicationId,
    pub name: String,
    pub reference_date: String,
    pub number: i32,
    pub keep: bool,
    pub policy: Option<String>,
    pub rule: &'static str,
    pub reason: &'static str,
    pub bytes_freed: u64,
}

/// Reads the archive and plans; changes nothing.
pub async fn make_plan(app: &App, now: Timestamp) -> anyhow::Result<InventoryPlan> {
    fault("retention-plan");
    let inventory = load(app).await?;
    let retention = app.settings.retention.clone();
    let planning = tokio::task::spawn_blocking(move || {
        let plan = plan(&inventory, &retention.policies, retention.max_stored, now);
        InventoryPlan { at: now, inventory, plan }
    });
    tokio::select! {
        planned = planning => planned.context("making the plan panicked"),
        // The thread continues, but its result is discarded.
        () = app.stop.cancelled() => Err(Stopped.into()),
    }
}

/// What the configured policies would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub products: usize,
    /// In the order of the configuration.
    pub policies: Vec<PolicyPreview>,
    /// Revisions that are removed because the archive is larger than `max_stored`.
    pub removed_for_space: usize,
}

/// What one policy would do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyPreview {
    /// Revisions that it removes.
    pub removed: usize,
    /// Products that its names match.
    pub matched: usize,
    /// Its patterns that match no product, as written.
    pub unmatched: Vec<String>,
}

/// Computes what the policies would do, without changing anything.
pub async fn preview(app: &App, now: Timestamp) -> anyhow::Result<Preview> {
    let planned = make_plan(app, now).await?;
    let removed = planned.plan.removed_by_policy();
    let products = &planned.inventory.products;
    let of_policy = |(i, policy): (usize, &Policy)| {
        let matches_none =
            |glob: &&Glob| !products.iter().flat_map(|product| &product.names).any(|name| glob.matches(name));
        PolicyPreview {
            removed: removed.get(&Some(i)).copied().unwrap_or(0),
            matched: products.iter().filter(|product| policy.matching.is_named(&product.names)).count(),
            unmatched: policy.matching.names.iter().filter(matches_none).map(ToString::to_string).collect(),
        }
    };
    Ok(Preview {
        products: products.len(),
        policies: app.settings.retention.policies.iter().enumerate().map(of_policy).collect(),
        removed_for_space: removed.get(&None).copied().unwrap_or(0),
    })
}

async fn load(app: &App) -> anyhow::Result<Inventory> {
    let record = &app.record;
    let counts = record.monitor().counts().await?;
    // Only for the capacity.
    let count = |n: u64| usize::try_from(n).unwrap_or_default();
    let mut inventory =
        Inventory::with_capacity(count(counts.publications), count(counts.revisions), count(counts.files));
    for product in record.inventory().products().await? {
        inventory.add_product(product);
    }
    let mut after = None;
    loop {
        stop::check(app, "stop-in-plan")?;
        let files = record.inventory().files(after, PAGE).await?;
        let Some(last) = files.last() else { break };
        after = Some(last.digest);
        files.into_iter().for_each(|file| inventory.add_file(file));
    }
    let mut after = None;
    loop {
        stop::check(app, "stop-in-plan")?;
        let publications = record.inventory().publications(after, PAGE).await?;
        let (Some(first), Some(last)) = (publications.first(), publications.last()) else { break };
        after = Some(last.id);
        let revisions = record.inventory().revisions(first.id, last.id).await?;
        let mut rest = revisions.as_slice();
        for publication in publications {
            // Both are sorted by publication.
            let own = rest.iter().take_while(|revision| revision.publication == publication.id).count();
            let (own, others) = rest.split_at(own);
            rest = others;
            inventory.add_publication(publication, own);
        }
    }
    inventory.finish()?;
    Ok(inventory)
}

impl InventoryPlan {
    /// The number of lines.
    pub fn len(&self) -> usize {
        self.plan.decisions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.plan.decisions.is_empty()
    }

    /// The lines, in the order of the archive.
    pub fn lines<'a>(&'a self, app: &'a App) -> impl Iterator<Item = Line> + 'a {
        self.inventory.publications.iter().flat_map(move |publication| {
            self.inventory.of(publication).map(move |(i, revision)| {
                let decision = &self.plan.decisions[i as usize];
                let policy = decision.policy.and_then(|p| app.settings.retention.policies.get(usize::from(p)));
                Line {
                    revision_id: revision.id.into(),
                    publication_id: crate::domain::PublicationId(publication.id),
                    name: self.inventory.products[publication.product as usize].name.clone(),
                    reference_date: publication.reference_date(),
                    number: revision.number,
                    keep: decision.keep,
                    policy: policy.map(|policy| policy.name.clone()),
                    rule: decision.rule.as_str(),
                    reason: decision.rule.reason(),
                    bytes_freed: decision.bytes_freed,
                }
            })
        })
    }
}
