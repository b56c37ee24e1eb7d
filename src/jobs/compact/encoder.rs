//! A thread of the lowest priority that encodes: it uses the processor time that nothing else needs.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use crate::engine::dense::{Base, Content, DenseError, Encoded, Limits, Work, encode};
use crate::threads;

pub(super) struct Encoder {
    jobs: mpsc::Sender<Job>,
    stop: Arc<AtomicBool>,
}

struct Job {
    file: Arc<Content>,
    bases: Vec<Base>,
    result: oneshot::Sender<Result<Encoded, DenseError>>,
}

impl Encoder {
    pub fn start() -> std::io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = stop.clone();
        std::thread::Builder::new().name("compaction".to_owned()).spawn(move || {
            threads::lower_priority_to_lowest();
            while let Some(Job { file, bases, result }) = waiting.blocking_recv() {
                let work = Work { limits: Limits::default(), stop: &is_stopped };
                // Nobody waits for the result of a run that was stopped.
                let _ = result.send(encode(&file, &bases, &work));
            }
        })?;
        Ok(Self { jobs, stop })
    }

    /// Encodes a file. Dropping the future ends the work soon.
    pub async fn encode(&self, file: Arc<Content>, bases: Vec<Base>) -> anyhow::Result<Result<Encoded, DenseError>> {
        let (result, encoded) = oneshot::channel();
        let gone = "the thread that encodes has ended";
        self.jobs.send(Job { file, bases, result }).await.ok().context(gone)?;
        encoded.await.context(gone)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
