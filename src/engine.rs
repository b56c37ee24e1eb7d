//! engine: the leaves, and the use cases over them.
//!
//! The leaves (`record`, `fetch`, `store`, `index`, `hooks`), `outgoing`, which the clients of other services share, and the codecs
//! `dense`, `compare` and `extract` are private to this module, and so are their values in [`app::App`]: an edge
//! can name neither and calls a use case. What an edge shows of a leaf, such as a row, `query` re-exports.
//!
//! ```compile_fail,E0603
//! use acervo::engine::record::Record;
//! ```
//! ```compile_fail,E0616
//! async fn count(app: &acervo::app::App) {
//!     let _ = app.record.monitor().counts().await;
//! }
//! ```
//! ```
//! async fn count(app: &acervo::app::App) {
//!     let _ = acervo::query::Queries::new(app.clone()).status().await;
//! }
//! ```

#[path = "compare/mod.rs"]
mod compare;

// Some of what a leaf offers is called by tests alone.
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "dense/mod.rs"]
mod dense;
#[path = "extract/mod.rs"]
mod extract;
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "fetch/mod.rs"]
mod fetch;
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "hooks/mod.rs"]
mod hooks;
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "index/mod.rs"]
mod index;
#[path = "outgoing.rs"]
mod outgoing;
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "record/mod.rs"]
mod record;
#[cfg_attr(not(feature = "testsuite"), allow(dead_code, unused_imports))]
#[path = "store/mod.rs"]
mod store;

#[path = "app/mod.rs"]
pub mod app;
#[path = "holds.rs"]
pub mod holds;
#[path = "jobs/mod.rs"]
pub mod jobs;
#[path = "losses.rs"]
pub mod losses;
#[path = "query/mod.rs"]
pub mod query;
#[path = "receive/mod.rs"]
pub mod receive;
#[path = "reindex.rs"]
pub mod reindex;

/// The leaves, for the tests, benches and fuzz targets of this repository. No build that is shipped has this module.
#[cfg(feature = "testsuite")]
pub mod leaves {
    use super::app::App;

    pub mod dense {
        pub use crate::engine::dense::*;
    }
    pub mod extract {
        pub use crate::engine::extract::*;
    }
    pub mod fetch {
        pub use crate::engine::fetch::*;
    }
    pub mod hooks {
        pub use crate::engine::hooks::*;
    }
    pub mod index {
        pub use crate::engine::index::*;
    }
    pub mod record {
        pub use crate::engine::record::*;
    }
    pub mod store {
        pub use crate::engine::store::*;
    }

    /// The record of an archive.
    pub fn record(app: &App) -> &record::Record {
        &app.record
    }

    /// The index of an archive.
    pub fn index(app: &App) -> &index::Index {
        &app.index
    }
}
