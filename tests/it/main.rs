//! Tests from the outside, with real parts: a temporary database, a folder, the simulated portal on port 0.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot continue ends")]

mod harness;

/// Access: hosts, origins, credentials, and headers of a body.
mod access;
/// Responses of GraphQL: the order of their fields, and what is computed once for concurrent requests.
mod answers;
/// Copies of a running instance.
mod backup;
/// "Enviar Tudo" and what can go wrong between the portal and the archive.
mod bad_days;
/// Notifications with unusual or invalid bodies: their response, and what is recorded.
mod bad_input;
/// Files in encodings that need another file.
mod bases;
/// Notification bodies as SINtegre sends them: archived, sent again and imported.
mod bodies;
/// The limits of queries, and that nothing else waits for queries.
mod bounds;
/// Invalid rows: each is an error that names it, and everything else continues.
mod broken_rows;
/// An archive in a bucket of an S3-compatible service.
mod buckets;
/// The files of a query at once: as a zip, and in a folder.
mod bulk;
/// The command line, run as a user runs it.
mod cli;
/// Clocks that are wrong, jump, and differ between replicas.
mod clocks;
/// The dense tier: compaction, its interruptions, and what it owes to retention and verification.
mod compact;
/// Settings and their problems.
mod configuration;
/// Silent connections and guessed keys: they must not block others.
mod connections;
/// Searches inside files: what is found, how it is shown, and what hostile files can do.
mod content;
/// What every store of objects must do, on each implementation.
mod contract;
/// Coverage of many products.
mod coverage;
/// `kill -9` at bad moments.
mod crash;
/// Large numbers of clients and requests delay no notification.
mod crowds;
/// Files of the archive that were altered on the disk.
mod damage;
/// The dense encodings: what they cost, and what damage and hostile files can do.
mod dense;
/// Putting the service in place: its first configuration, systemd, the unit.
mod deploy;
/// What changed between two revisions.
mod diff;
/// The commands in documents and in printed hints.
mod documents;
/// Downloads whose client reads nothing.
mod downloads;
/// Exports: CSV, NDJSON and Parquet against GraphQL.
mod export;
/// `Acervo-Feed`: what an answer shows, and what it must show.
mod feed;
/// Fetching: names, retries, faults, links that expire.
mod fetch;
/// `GET /files`: bytes, names, ranges, the stored frame, members.
mod files;
/// Values of filters and searches: long texts, control characters, dates.
mod filters;
/// A full disk.
mod full_disk;
/// GraphQL: filters, search, paging, bounds.
mod graphql;
/// Counts in groups over segments that lack values.
mod groups;
/// Links to addresses that the service must not connect to.
mod guard;
/// Queries of tools: search, groups, coverage, the feed, subscriptions, hostile queries.
mod history;
/// Years of publications, as the benchmarks have them.
#[path = "../../benches/common/history.rs"]
mod history_of_years;
/// Hooks: what they send, in which order, and what happens when the other side fails.
mod hooks;
/// Backfill: bodies of another receiver, files that exist already.
mod import;
/// Tars, manifests and lines as other programs write them.
mod import_sources;
/// The index: deleted, rebuilt, kept up to date.
mod index;
/// What a portal sends instead of a file, and files in unusual formats.
mod judged;
/// Keys of the API while a service runs.
mod keys;
/// The webhook under a load of silent connections; measures another build if `ACERVO_TEST_LOAD` names one.
mod load;
/// Locks between processes, and who may renew them.
mod locks;
/// Lost publications and who acknowledges them.
mod losses;
/// Members of zips: their names, their compression, the cost of listing them.
mod members;
/// GraphQL documents: how selections are merged and values coerced, and how requests are read.
mod merging;
/// Metrics: their conventions, their document, the alerts and the dashboard over them.
mod metrics;
/// Copies of an instance to another database and archive.
mod migrate;
/// Archives of earlier versions: old rows and their values after the migrations.
mod migrations;
/// Which names products and publications have.
mod names;
/// Log-in, the operator's view, the first steps and the editor in a browser.
mod operation_browser;
/// The operator's views on the page, the first steps and the editor of queries.
mod operation_page;
/// The procedures of docs/operations.md.
mod operations;
/// `acervo status` and the log: what an operator reads.
mod operator;
/// The page, over HTTP and in a browser.
mod page;
/// Paging through a long list while it changes.
mod paging;
/// Exports as plain folders, and their restores.
mod plain;
/// How the database executes frequent statements.
mod plans;
/// The feed with a filter, and requests that wait for the next change.
mod polls;
/// The portal's buttons.
mod portal;
/// The command line in Portuguese.
mod portuguese;
/// What other users of the machine can read of the archive.
mod private;
/// Requests of parts of exports.
mod ranges;
/// The same tests with real notifications, files and names.
mod real;
/// Secrets, which must not appear anywhere.
mod redaction;
/// Commands that ask a remote instance.
mod remote;
/// Removals of whole products.
mod removals;
/// Repeated requests: the same response from memory, never an old one, and within every limit.
mod repeated;
/// Several services on one PostgreSQL, and failures of the server.
mod replicas;
/// Exports over HTTP: HEAD, tags, conditions, codings, parameters.
mod representations;
/// Notifications between their record and their publications.
mod resolving;
/// Policies, plans, runs and the schedule.
mod retention;
/// The order of revisions, against a naive model.
mod revisions;
/// Replicas as processes: what fails among them, and restarts one after the other.
mod scale;
/// Search: words in any order, inflected or misspelt.
mod search;
/// Secrets of the configuration in files.
mod secrets;
/// Log-in on the page: sessions, their cookies and their ends.
mod session;
/// Spans that are sent over OTLP.
mod spans;
/// Exports for people: time zones, Portuguese names, workbooks.
mod spreadsheets;
/// Long work that ends early when the process is asked to stop, and continues later.
mod stopping;
/// The store of files alone.
mod store;
/// Sweeps and undo: killed at every step, and while files are archived and imported.
mod sweep;
/// Files that were stored and not recorded.
mod unrecorded;
/// Verification: what is broken, who needs it, and its repair.
mod verify;
