//! The threads for computations on the index: few and dedicated, so that no query can delay archiving or notifications.
//! Each computation has a [`Deadline`]. One that continues after it is counted as overdue, because it occupies a thread.
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Deadline, IndexError};

/// How long a computation may take to notice that it must stop.
const GRACE: Duration = Duration::from_secs(1);

/// An idle thread ends after this time.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The queue length per thread.
const WAITING_PER_THREAD: usize = 512;

/// A pool of threads. Clones share it.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    threads_max: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: HashMap<u64, Running>,
    threads: usize,
    idle: usize,
    last_id: u64,
    overdue_total: u64,
}

struct Job {
    id: u64,
    deadline: Deadline,
    work: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Running {
    /// When its caller went away.
    abandoned_at: Option<Instant>,
    is_counted: bool,
}

/// The state of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    pub threads_max: usize,
    pub running: usize,
    pub waiting: usize,
    /// Running computations that should have stopped.
    pub overdue: usize,
    /// The total number of computations that were overdue.
    pub overdue_total: u64,
}

impl PoolStatus {
    /// Whether overdue computations occupy all threads.
    pub fn is_stuck(&self) -> bool {
        self.overdue >= self.threads_max
    }
}

impl Pool {
    pub fn new(threads_max: usize) -> Self {
        Self(Arc::new(Shared { threads_max: threads_max.max(1), state: Mutex::default(), work: Condvar::new() }))
    }

    /// Runs a computation and waits for it until its deadline. Dropping the future cancels the computation.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: &Deadline,
        work: impl FnOnce(&Deadline) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let deadline = deadline.child();
        let (sender, receiver) = oneshot::channel();
        let own = deadline.clone();
        let work = move || {
            let _ = sender.send(work(&own));
        };
        let id = self.0.add(&deadline, Box::new(work))?;
        let _waiter = Waiter { shared: self.0.clone(), id, deadline: deadline.clone() };
        match tokio::time::timeout_at(deadline.instant().into(), receiver).await {
            Ok(Ok(result)) => result,
            // The sender was dropped: the work was cancelled before it started, or it panicked.
            Ok(Err(_)) if deadline.is_over() => Err(IndexError::Interrupted),
            Ok(Err(_)) => Err(std::io::Error::other("a computation on the index panicked").into()),
            Err(_) => Err(IndexError::Interrupted),
        }
    }

    pub fn status(&self) -> PoolStatus {
        let mut state = self.0.lock();
        let now = Instant::now();
        let mut overdue = 0;
        let mut newly = 0;
        for running in state.running.values_mut().filter(|running| running.is_overdue(now)) {
            overdue += 1;
            newly += u64::from(!std::mem::replace(&mut running.is_counted, true));
        }
        state.overdue_total += newly;
        PoolStatus {
            threads_max: self.0.threads_max,
            running: state.running.len(),
            waiting: state.waiting.len(),
            overdue,
            overdue_total: state.overdue_total,
        }
    }
}

impl Running {
    fn is_overdue(&self, now: Instant) -> bool {
        self.abandoned_at.is_some_and(|at| now >= at + GRACE)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, deadline: &Deadline, work: Box<dyn FnOnce() + Send>) -> Result<u64, IndexError> {
        let mut state = self.lock();
        if state.waiting.len() >= self.threads_max * WAITING_PER_THREAD {
            return Err(IndexError::Busy);
        }
        if state.idle <= state.waiting.len() && state.threads < self.threads_max {
            let shared = self.clone();
            let spawned = std::thread::Builder::new().name("index".to_owned()).spawn(move || shared.run_jobs());
            match spawned {
                Ok(_) => state.threads += 1,
                // The running threads will take the job.
                Err(e) if state.threads > 0 => tracing::warn!(error = %e, "a thread could not be started"),
                Err(e) => return Err(e.into()),
            }
        }
        state.last_id += 1;
        let id = state.last_id;
        state.waiting.push_back(Job { id, deadline: deadline.clone(), work });
        self.work.notify_one();
        Ok(id)
    }

    /// Runs jobs until idle for too long.
    fn run_jobs(&self) {
        crate::threads::lower_priority();
        let mut state = self.lock();
        loop {
            let Some(job) = state.waiting.pop_front() else {
                state.idle += 1;
                let (woken, waited) = self.work.wait_timeout(state, IDLE_MAX).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if waited.timed_out() && state.waiting.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            if job.deadline.is_over() {
                continue;
            }
            state.running.insert(job.id, Running::default());
            drop(state);
            // The panic hook has logged it; the thread continues with the next job.
            let _ = catch_unwind(AssertUnwindSafe(job.work));
            state = self.lock();
            let ended = state.running.remove(&job.id).unwrap_or_default();
            if ended.is_overdue(Instant::now()) && !ended.is_counted {
                state.overdue_total += 1;
            }
        }
    }
}

/// The caller of a computation. Dropping it cancels the computation.
struct Waiter {
    shared: Arc<Shared>,
    id: u64,
    deadline: Deadline,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.deadline.cancel();
        if let Some(running) = self.shared.lock().running.get_mut(&self.id) {
            running.abandoned_at = Some(Instant::now());
        }
    }
}
