//! Comparisons run on threads of their own, of low priority, few at once, and end with the request.
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout_at;

use crate::engine::store::{Budget, CancelOnDrop, MemberError, OpenFile, StoreError, Work};
use crate::query::{Queries, QueryError, RevisionRow};

/// The largest file that is opened: it may have to be copied to do so.
pub(super) const FILE_BYTES_MAX: u64 = 2 << 30;

/// Bytes that one comparison may unpack.
const UNPACKED_MAX: u64 = 1 << 30;

/// The part of its time that a comparison may spend before it returns what it has: three quarters.
const TIME_SHARE: (u32, u32) = (3, 4);

/// The two files on the thread that compares them.
pub(super) struct Files {
    pub from: OpenFile,
    pub to: OpenFile,
    /// As they were published.
    pub names: [String; 2],
    pub work: Work,
    pub until: Instant,
}

impl Queries {
    /// When the response to a comparison must be made.
    pub(in crate::engine::query) fn comparison_deadline(&self) -> Instant {
        self.limits().deadline().min(Instant::now() + self.app.settings.query.timeout)
    }

    pub(super) fn timed_out(&self) -> QueryError {
        QueryError::TimedOut { timeout: self.app.settings.query.timeout }
    }

    /// Runs a comparison of two files; `None` if one of them is too large to be opened.
    pub(super) async fn compare<T: Send + 'static>(
        &self,
        from: &RevisionRow,
        to: &RevisionRow,
        compare: impl FnOnce(Files) -> Result<T, MemberError> + Send + 'static,
    ) -> Result<Option<T>, QueryError> {
        if from.revision.file.size.max(to.revision.file.size) > FILE_BYTES_MAX {
            return Ok(None);
        }
        let deadline = self.comparison_deadline();
        let slot = self.comparison_slot(deadline).await?;
        let open = async {
            let mut opened = Vec::with_capacity(2);
            for row in [from, to] {
                match self.app.store.open_file(row.revision.file).await {
                    Ok(file) => opened.push(file),
                    Err(e) => return Err(self.record_and_explain(&row.revision, e).await),
                }
            }
            Ok(opened)
        };
        let opened = timeout_at(deadline.into(), open).await.map_err(|_| self.timed_out())??;
        let Ok([from_file, to_file]) = <[OpenFile; 2]>::try_from(opened) else {
            return Err(StoreError::Interrupted.into());
        };
        let guard = CancelOnDrop(Arc::default());
        let time = deadline.saturating_duration_since(Instant::now()) * TIME_SHARE.0 / TIME_SHARE.1;
        let work = Work::new(Budget { bytes: UNPACKED_MAX, time }, guard.0.clone());
        let names = [from, to].map(|row| row.revision.file_name.clone());
        let files = Files { from: from_file, to: to_file, names, work, until: Instant::now() + time };
        match self.on_thread(slot, deadline, move || compare(files)).await? {
            Ok(found) => Ok(Some(found)),
            Err(MemberError::Cancelled) => Err(self.timed_out()),
            Err(MemberError::Store(e)) => {
                let is_to = e.damaged() == Some(to.revision.file.digest);
                Err(self.record_and_explain(if is_to { &to.revision } else { &from.revision }, e).await)
            }
            Err(
                e @ (MemberError::NotAZip(_)
                | MemberError::NoMember(_)
                | MemberError::Ambiguous { .. }
                | MemberError::Unsupported(_)),
            ) => Err(QueryError::Unsupported(e.to_string())),
        }
    }

    pub(in crate::engine::query) async fn comparison_slot(
        &self,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, QueryError> {
        let slot = timeout_at(deadline.into(), self.comparisons.clone().acquire_owned());
        slot.await.map_err(|_| QueryError::Overloaded)?.map_err(|_| QueryError::Overloaded)
    }

    /// Runs a computation on a thread of its own. The slot is free again once the thread ends, also if nobody waits for it.
    pub(in crate::engine::query) async fn on_thread<T: Send + 'static>(
        &self,
        slot: OwnedSemaphorePermit,
        deadline: Instant,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let (sender, computed) = tokio::sync::oneshot::channel();
        let run = move || {
            crate::threads::lower_priority();
            let _slot = slot;
            // If nobody waits for it any more, it is not needed.
            let _ = sender.send(compute());
        };
        std::thread::Builder::new().name("compare".to_owned()).spawn(run).map_err(StoreError::from)?;
        let computed = timeout_at(deadline.into(), computed).await.map_err(|_| self.timed_out())?;
        Ok(computed.map_err(|_| StoreError::Interrupted)?)
    }
}
