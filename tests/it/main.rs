//! Tests from the outside, with real parts: a temporary database, a folder, the simulated portal on port 0.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot continue ends")]

mod harness;

/// Access: hosts, origins, credentials, and headers of a body.
mod access;
/// Answers to requests: their order, and what is computed for them once.
mod answers;
/// "Enviar Tudo" and what can go wrong between the portal and the archive.
mod bad_days;
/// Bad notifications, each with its answer, and nothing lost.
mod bad_input;
/// Files in encodings that need another file.
mod bases;
/// Notification bodies in the forms that SINtegre sends, archived, sent again and imported.
mod bodies;
/// The limits of queries, and that nothing else waits for queries.
mod bounds;
/// Rows that are broken: each is an error that names it, and nothing else stops.
mod broken_rows;
/// The command line, run as a user runs it.
mod cli;
/// Clocks that are wrong, jump, and differ between replicas.
mod clocks;
/// Settings and their problems.
mod configuration;
/// Connections that wait, and guesses at keys: whom they must not keep out.
mod connections;
/// What every store of objects must do, on each implementation.
mod contract;
/// `kill -9` at bad moments.
mod crash;
/// Large numbers of clients and requests delay no notification.
mod crowds;
/// Files of the archive that were altered on the disk.
mod damage;
/// The commands that documents and outputs name.
mod documents;
/// Downloads whose client reads nothing.
mod downloads;
/// Exports: CSV, NDJSON and Parquet against GraphQL.
mod export;
/// Fetching: names, retries, faults, links that expire.
mod fetch;
/// `GET /files`: bytes, names, ranges, the stored frame, members.
mod files;
/// What filters and searches take: long texts, control characters, dates.
mod filters;
/// A full disk.
mod full_disk;
/// GraphQL: filters, search, paging, bounds.
mod graphql;
/// Counts in groups over segments that lack values.
mod groups;
/// Links to addresses that the service must not connect to.
mod guard;
/// The history for tools: search, groups, coverage, the feed, subscriptions, hostile queries.
mod history;
/// Years of publications, as the benchmarks have them.
#[path = "../../benches/common/history.rs"]
mod history_of_years;
/// Backfill: bodies of another receiver, files that exist already.
mod import;
/// Tars, manifests and lines as other programs write them.
mod import_sources;
/// The index: thrown away, rebuilt, followed.
mod index;
/// What a portal sends instead of a file, and files in unusual forms.
mod judged;
/// The webhook under a load of silent connections, measured where a binary is named.
mod load;
/// Locks between processes, and who may renew them.
mod locks;
/// Members of zips: their names, their compression, the cost of listing them.
mod members;
/// GraphQL documents: how selections are merged and values coerced, and how requests are read.
mod merging;
/// Archives of earlier versions: old rows and their values after the migrations.
mod migrations;
/// Which names products and publications have.
mod names;
/// Paging through a long list while it changes.
mod paging;
/// How the database executes frequent statements.
mod plans;
/// The portal's buttons.
mod portal;
/// The same of the real notifications, files and names.
mod real;
/// What must not be seen anywhere.
mod redaction;
/// Several services on one PostgreSQL, and the server's own bad days.
mod replicas;
/// Exports over HTTP: HEAD, tags, conditions, codings, parameters.
mod representations;
/// Policies, plans, runs and the schedule.
mod retention;
/// The order of revisions, against a naive model.
mod revisions;
/// Search for people: words in any order and form, and slips of the pen.
mod search;
/// Long work that ends early when the process is asked to stop, and goes on later.
mod stopping;
/// The store of files alone.
mod store;
/// Sweeps and undo: killed at every step, and while files are archived and imported.
mod sweep;
/// Files that were stored and not recorded.
mod unrecorded;
