//! Revisions: the one list of their columns. From it follow the table's model, the rows that leave this module, the statement
//! that reads them and the view for other programs. A new column is one line here, at the end of the list (PostgreSQL appends
//! columns to a view and moves none), after the migration that adds it.
use jiff::Timestamp;

use super::pack::packed;
use crate::domain::{PublicationId, RevisionId, StoredFile};

/// Declares the table and the row. A public column has the type it is stored as in brackets, and then that of the row's field.
macro_rules! revisions {
    (
        internal { $($internal:ident: [$($internal_type:tt)+],)* }
        public { $($(#[$doc:meta])* $public:ident: [$($stored:tt)+] $type:ty,)* }
    ) => {
        pub mod revisions {
            use sea_orm::entity::prelude::*;

            use crate::domain::Digest;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "revisions")]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Uuid,
                pub digest: Digest,
                $(pub $internal: $($internal_type)+,)*
                $(pub $public: $($stored)+,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }

        packed! {
            /// One content of a publication.
            pub struct Revision from "revisions r LEFT JOIN files f ON f.digest = r.digest" {
                id: RevisionId = "r.id",
                file: StoredFile = "r.digest",
                $($(#[$doc])* $public: $type = concat!("r.", stringify!($public)),)*
            }
        }
    };
}

revisions! {
    internal {
        notification_id: [Uuid],
        announced_by: [Uuid],
        purge_run: [Option<String>],
        swept_at: [Option<i64>],
    }
    public {
        publication_id: [Uuid] PublicationId,
        number: [i32] i32,
        file_name: [String] String,
        extension: [Option<String>] Option<String>,
        content_type: [Option<String>] Option<String>,
        announced_at: [i64] Timestamp,
        received_at: [i64] Timestamp,
        archived_at: [i64] Timestamp,
        superseded_at: [Option<i64>] Option<Timestamp>,
        purged_at: [Option<i64>] Option<Timestamp>,
        /// Protected from retention by a hold.
        held: [bool] bool,
        hold_reason: [Option<String>] Option<String>,
        held_by: [Option<String>] Option<String>,
        held_at: [Option<i64>] Option<Timestamp>,
        /// The policy and the rule that removed it.
        purge_rule: [Option<String>] Option<String>,
        warnings: [String] Vec<String>,
    }
}
