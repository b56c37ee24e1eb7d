//! `[query]`: limits on queries and exports.
use std::time::Duration;

use super::layers::Layers;
use super::values::{self, Problem};

/// See `default.toml`.
#[derive(Clone, Debug)]
pub struct Query {
    pub timeout: Duration,
    pub wait: Duration,
    pub write_timeout: Duration,
    pub memory: u64,
    pub answer_max: u64,
    pub concurrency: usize,
    pub concurrency_per_key: usize,
    pub exports: usize,
    pub exports_per_key: usize,
    pub subscriptions: usize,
    pub subscriptions_per_socket: usize,
    pub threads: usize,
    pub index_threads: usize,
}

/// Too little for the responses that tools request.
const MEMORY_MIN: u64 = 1 << 20;

impl Query {
    pub(super) fn read(layers: &mut Layers) -> Option<Self> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let timeout = layers.get("query.timeout", values::duration);
        let wait = layers.get("query.wait", values::duration);
        let write_timeout = layers.get("query.write_timeout", values::duration);
        let memory = layers.get("query.memory", values::size);
        let answer_max = layers.get("query.answer_max", values::size);
        let concurrency = layers.get("query.concurrency", values::count);
        let concurrency_per_key = layers.get("query.concurrency_per_key", values::count);
        let exports = layers.get("query.exports", values::count);
        let exports_per_key = layers.get("query.exports_per_key", values::count);
        let subscriptions = layers.get("query.subscriptions", values::count);
        let subscriptions_per_socket = layers.get("query.subscriptions_per_socket", values::count);
        let threads = layers.get("query.threads", values::count).unwrap_or(processors);
        let index_threads = layers.get("query.index_threads", values::count).unwrap_or(processors.max(2));
        for (key, size) in [("query.memory", memory), ("query.answer_max", answer_max)] {
            if size.is_some_and(|size| size < MEMORY_MIN) {
                layers.problems.push(Problem::new(
                    key,
                    "is less than 1 MiB, which is too little for responses; give at least \"1 MiB\"",
                ));
            }
        }
        Some(Self {
            timeout: timeout?,
            wait: wait?,
            write_timeout: write_timeout?,
            memory: memory?,
            answer_max: answer_max?,
            concurrency: concurrency?,
            concurrency_per_key: concurrency_per_key?,
            exports: exports?,
            exports_per_key: exports_per_key?,
            subscriptions: subscriptions?,
            subscriptions_per_socket: subscriptions_per_socket?,
            threads,
            index_threads,
        })
    }
}
