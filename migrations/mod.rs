//! The steps by which the database came to its present form: one dated file each, forward only, for SQLite and
//! PostgreSQL alike. A step that was released is never edited.
use sea_orm_migration::prelude::*;

mod m20261124_000001_main;
mod m20261124_000002_retention;
mod m20261124_000003_bad_days;
mod m20261124_000004_views;
mod m20261125_000005_store;
mod m20261125_000006_hot_paths;
mod m20261125_000007_tombstones;
mod m20261125_000011_notices;
mod m20261126_000012_base;
mod m20261126_000014_unresolved;
mod m20261126_000015_verify;
mod m20261126_000015b_stored_digest;
mod m20261126_000016_queue_by_host;
mod m20261126_000017_dense;
mod m20261126_000022_hooks;
mod m20261126_000023_periods;
mod m20261126_000024_losses;
mod m20261126_000025_api_keys;
mod m20261126_000031_sessions;
mod m20261126_000031b_operation;
mod m20261126_000032_product_removals;
mod m20261126_000041_replicas;

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_main::Migration),
            Box::new(m20261124_000002_retention::Migration),
            Box::new(m20261124_000003_bad_days::Migration),
            Box::new(m20261124_000004_views::Migration),
            Box::new(m20261125_000005_store::Migration),
            Box::new(m20261125_000006_hot_paths::Migration),
            Box::new(m20261125_000007_tombstones::Migration),
            Box::new(m20261125_000011_notices::Migration),
            Box::new(m20261126_000012_base::Migration),
            Box::new(m20261126_000014_unresolved::Migration),
            Box::new(m20261126_000015_verify::Migration),
            Box::new(m20261126_000015b_stored_digest::Migration),
            Box::new(m20261126_000016_queue_by_host::Migration),
            Box::new(m20261126_000017_dense::Migration),
            Box::new(m20261126_000022_hooks::Migration),
            Box::new(m20261126_000023_periods::Migration),
            Box::new(m20261126_000024_losses::Migration),
            Box::new(m20261126_000025_api_keys::Migration),
            Box::new(m20261126_000031_sessions::Migration),
            Box::new(m20261126_000031b_operation::Migration),
            Box::new(m20261126_000032_product_removals::Migration),
            Box::new(m20261126_000041_replicas::Migration),
        ]
    }
}
