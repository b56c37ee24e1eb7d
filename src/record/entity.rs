//! The tables, column by column; `migrations/` says what each is for, and `revision` has the table of revisions. Nothing outside
//! `record` sees these.
use sea_orm::entity::prelude::*;

pub use super::revision::revisions;
use crate::domain::{
    Breakage, ChangeKind, DeliveryOutcome, Digest, Encoding, Granularity, HookEvent, NotificationStatus,
    PublicationStatus,
};

macro_rules! table {
    ($module:ident, $name:literal, { $($body:tt)* }) => {
        pub mod $module {
            use super::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model { $($body)* }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table!(products, "products", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub identity: String,
    pub list_path: Option<String>,
    pub name: String,
    pub process: String,
    pub macro_process: String,
    pub publication_count: i32,
    pub revision_count: i32,
    pub size: i64,
    pub stored_size: i64,
    pub first_period_start: Option<String>,
    pub last_period_end: Option<String>,
});

table!(product_aliases, "product_aliases", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub product_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub name_folded: String,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
});

table!(publications, "publications", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub product_id: Uuid,
    pub process: String,
    pub macro_process: String,
    pub reference_date: String,
    pub period_start: String,
    pub period_end: String,
    pub granularity: Granularity,
    pub status: PublicationStatus,
    pub announced_at: i64,
    pub received_at: i64,
    pub latest_revision_id: Option<Uuid>,
    pub revision_count: i32,
    /// When its first notification was received; absent if that was before this column existed.
    pub first_received_at: Option<i64>,
    /// When it was last marked as LOST.
    pub lost_at: Option<i64>,
    /// Both are absent, or none is.
    pub lost_acknowledged_at: Option<i64>,
    pub lost_acknowledged_by: Option<String>,
});

table!(files, "files", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Digest,
    pub size: i64,
    pub stored_size: i64,
    pub encoding: Encoding,
    /// The file that is needed to decode it.
    pub base: Option<Digest>,
    pub stored_at: i64,
    pub removed_at: Option<i64>,
    pub tombstone_at: Option<i64>,
    pub removal_failed_at: Option<i64>,
    pub damaged_at: Option<i64>,
    pub list_at: Option<i64>,
    /// What is wrong with a damaged file.
    pub damage: Option<Breakage>,
    /// Of the object as stored.
    pub stored_digest: Option<Digest>,
    /// How many bases are decoded one after another before it.
    pub depth: i32,
    /// When compaction looked at it as it is stored now.
    pub compacted_at: Option<i64>,
});

table!(members, "members", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub digest: Digest,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub path: String,
    pub size: i64,
    pub compressed_size: Option<i64>,
    pub modified_at: Option<String>,
});

table!(notifications, "notifications", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub source: String,
    pub received_at: i64,
    pub status: NotificationStatus,
    pub attempts: i32,
    pub next_attempt_at: Option<i64>,
    pub lease_until: Option<i64>,
    pub lease: Option<Uuid>,
    pub error: Option<String>,
    pub link: Option<String>,
    pub file_key: Option<String>,
    pub list_path: Option<String>,
    pub is_file: Option<bool>,
    pub not_before: Option<i64>,
    pub link_expires_at: Option<i64>,
    pub announced_at: i64,
    /// 0 for new announcements and publications without a file, 1 for what a replay repeats.
    pub priority: i32,
    pub name: Option<String>,
    pub name_folded: Option<String>,
    pub process: Option<String>,
    pub macro_process: Option<String>,
    pub reference_date: Option<String>,
    pub period_start: Option<String>,
    pub period_end: Option<String>,
    pub body: Vec<u8>,
    pub body_digest: Digest,
    pub product_id: Option<Uuid>,
    pub publication_id: Option<Uuid>,
    pub revision_id: Option<Uuid>,
    pub host: Option<String>,
    pub replay_id: Option<Uuid>,
    /// A JSON list of texts; absent if there is none.
    pub warnings: Option<String>,
});

table!(key_uses, "key_uses", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub last_used_at: i64,
});

table!(revoked_keys, "revoked_keys", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub name: String,
    pub revoked_at: i64,
});

table!(sessions, "sessions", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    pub key_hash: String,
    pub started_at: i64,
    pub expires_at: i64,
});

table!(sources, "sources", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub last_at: Option<i64>,
    pub run_started_at: Option<i64>,
    pub run_count: i64,
    pub run_known: i64,
    pub run_replay: Option<Uuid>,
    pub denied: i64,
    pub denied_at: Option<i64>,
});

table!(source_hours, "source_hours", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub hour: i64,
    pub n: i64,
});

table!(totals, "totals", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub n: i64,
});

table!(replays, "replays", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub source: String,
    pub started_at: i64,
    pub last_at: i64,
    pub ended_at: Option<i64>,
    pub told: bool,
    pub known: i64,
});

table!(validators, "validators", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub file_key: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub digest: Digest,
});

table!(changes, "changes", {
    #[sea_orm(primary_key)]
    pub number: i64,
    pub at: i64,
    pub kind: ChangeKind,
    pub publication_id: Uuid,
    pub revision_id: Option<Uuid>,
});

table!(state, "state", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    pub value: String,
});

table!(retention_runs, "retention_runs", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub dry_run: bool,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub removed: i64,
    pub bytes_freed: i64,
    pub sweep_after: Option<i64>,
    pub undone_at: Option<i64>,
    pub swept_at: Option<i64>,
});

table!(product_removals, "product_removals", {
    /// That of its retention run.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub product_id: Uuid,
    pub name: String,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: i64,
    pub completed_at: Option<i64>,
});

table!(job_runs, "job_runs", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub slot: i64,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub outcome: Option<String>,
    pub detail: String,
    /// The service that runs it; absent where no other one could.
    pub replica: Option<String>,
});

table!(replicas, "replicas", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub version: String,
    pub started_at: i64,
    pub seen_at: i64,
    pub index_feed: i64,
    pub record_feed: i64,
});

table!(findings, "findings", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: Breakage,
    pub point: i64,
    pub digest: Option<Digest>,
    pub publication_id: Option<Uuid>,
    pub revision_id: Option<Uuid>,
    pub detail: String,
    pub found_at: i64,
    pub run: String,
});

table!(verify_runs, "verify_runs", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub scheduled: bool,
    pub from_point: i64,
    pub to_point: i64,
    pub started_at: i64,
    pub updated_at: i64,
    pub ended_at: Option<i64>,
    pub next: Option<Digest>,
    pub files: i64,
    pub bytes: i64,
    pub broken: Option<i64>,
});

table!(verify_cycles, "verify_cycles", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub point: i64,
});

table!(hooks, "hooks", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub created_at: i64,
    pub feed: i64,
    pub event: i64,
    pub pending: Option<String>,
    pub pending_at: Option<i64>,
    pub attempts: i32,
    pub failing_since: Option<i64>,
    pub next_attempt_at: Option<i64>,
    pub last_error: Option<String>,
    pub delivered: i64,
    pub failed: i64,
    pub last_delivered_at: Option<i64>,
    pub disabled_at: Option<i64>,
});

table!(hook_events, "hook_events", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: i64,
    pub feed: i64,
    pub kind: HookEvent,
    pub name: String,
    pub data: String,
});

table!(hook_letters, "hook_letters", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub hook: String,
    pub kind: HookEvent,
    pub change: Option<i64>,
    pub event: Option<i64>,
    pub at: i64,
    pub dead_at: i64,
    pub attempts: i32,
    pub error: String,
    pub redeliver_at: Option<i64>,
});

table!(hook_deliveries, "hook_deliveries", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub hook: String,
    pub message: String,
    pub kind: String,
    pub at: i64,
    pub attempt: i32,
    pub outcome: DeliveryOutcome,
    pub status: Option<i32>,
    pub error: Option<String>,
    pub took: i64,
});
