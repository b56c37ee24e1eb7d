//! The tasks of all hooks, which follow the configuration: when it was read again, a hook that was removed ends, one that was added
//! begins, and one that changed ends and continues from its position with its new settings.
use std::collections::HashMap;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{late, run};
use crate::app::App;
use crate::config::Hooks;
use crate::domain::{Digest, HookEvent};

/// Until the process stops.
pub(super) async fn run(app: App) {
    let mut changes = app.access.changes();
    let mut tasks = Tasks::default();
    loop {
        changes.borrow_and_update();
        tasks.follow(&app, &app.access.settings().hooks).await;
        tokio::select! {
            () = app.stop.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    end(tasks.hooks.into_values().chain(tasks.late)).await;
}

#[derive(Default)]
struct Tasks {
    hooks: HashMap<String, Task>,
    /// Finds late periods for the hooks that are about them.
    late: Option<Task>,
}

struct Task {
    /// Of what it was started for.
    fingerprint: Digest,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl Tasks {
    async fn follow(&mut self, app: &App, hooks: &Hooks) {
        let is_current =
            |name: &str, task: &Task| hooks.named(name).is_some_and(|hook| hook.fingerprint == task.fingerprint);
        // Ended before they are started again: of each hook one task sends.
        end(self.hooks.extract_if(|name, task| !is_current(name, task)).map(|(_, task)| task)).await;
        for hook in &hooks.all {
            if !self.hooks.contains_key(&hook.name) {
                let task = Task::start(app, hook.fingerprint, |stop| run::run(app.clone(), hook.clone(), stop));
                self.hooks.insert(hook.name.clone(), task);
            }
        }
        let about_late: Vec<&str> = hooks
            .all
            .iter()
            .filter(|hook| hook.events.contains(&HookEvent::Late))
            .map(|hook| hook.name.as_str())
            .collect();
        let fingerprint = Digest::of(about_late.join("\n").as_bytes());
        if self.late.as_ref().is_none_or(|task| task.fingerprint != fingerprint) {
            end(self.late.take()).await;
            let is_needed = !about_late.is_empty();
            self.late = is_needed.then(|| Task::start(app, fingerprint, |stop| late::run(app.clone(), stop)));
        }
    }
}

impl Task {
    fn start<F>(app: &App, fingerprint: Digest, work: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = app.stop.child_token();
        Self { fingerprint, handle: tokio::spawn(work(stop.clone())), stop }
    }
}

async fn end(tasks: impl IntoIterator<Item = Task>) {
    let tasks: Vec<Task> = tasks.into_iter().collect();
    tasks.iter().for_each(|task| task.stop.cancel());
    for task in tasks {
        if let Err(e) = task.handle.await {
            tracing::error!(error = %e, "the task of a hook panicked");
        }
    }
}
