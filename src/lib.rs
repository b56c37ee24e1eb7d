//! Acervo archives what ONS publishes on its SINtegre portal: every notification, every file, every version of it.
//!
//! `docs/architecture.md` describes the modules and which may call which.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod contract;
pub mod domain;
pub mod engine;
pub mod export;
pub mod graphql;
pub mod http;
pub mod lang;
pub mod portal;
pub mod spans;
pub mod stage;
pub mod threads;
pub mod web;

#[cfg(feature = "testsuite")]
pub use engine::leaves;
pub use engine::{app, holds, jobs, losses, query, receive, reindex};
