//! Acervo archives what ONS publishes on its SINtegre portal: every notification, every file, every version of it.
//!
//! The rooms and who may call whom are described in `docs/architecture.md`.
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod export;
pub mod fetch;
pub mod graphql;
pub mod http;
pub mod index;
pub mod jobs;
pub mod portal;
pub mod query;
pub mod receive;
pub mod record;
pub mod store;
pub mod threads;
