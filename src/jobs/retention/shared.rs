//! Plans for requests: a plan reads all revisions, so one is made at a time, and concurrent requests share it.
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::{InventoryPlan, make_plan};
use crate::app::App;

/// Why a plan could not be made, shared by all requests that waited for it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

type PlanInProgress = Shared<BoxFuture<'static, Result<Arc<InventoryPlan>, PlanError>>>;

/// The plan that is being made, if one is. Clones share it.
#[derive(Clone, Default)]
pub struct SharedPlans(Arc<Mutex<Option<PlanInProgress>>>);

impl SharedPlans {
    /// The plan that is being made, or a new one.
    pub async fn current(&self, app: &App) -> Result<Arc<InventoryPlan>, PlanError> {
        let in_progress = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert_with(|| self.start(app.clone())).clone()
        };
        in_progress.await
    }

    /// Makes a plan. It is completed even if no request waits for it any more.
    fn start(&self, app: App) -> PlanInProgress {
        let slot = self.0.clone();
        let planning = tokio::spawn(async move { make_plan(&app, app.clock.now()).await });
        let in_progress = async move {
            let planned = planning.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
            match planned {
                Ok(planned) => planned.map(Arc::new).map_err(|e| PlanError(format!("{e:#}"))),
                Err(e) => Err(PlanError(format!("the plan was interrupted: {e}"))),
            }
        };
        let in_progress = in_progress.boxed().shared();
        tokio::spawn(in_progress.clone());
        in_progress
    }
}
