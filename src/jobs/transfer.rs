//! Why a transfer can fail.
use crate::app::DiskFull;
use crate::engine::fetch::FetchError;
use crate::engine::record::RecordError;
use crate::engine::store::StoreError;

/// Why a transfer ended without a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    #[error(transparent)]
    Record(#[from] RecordError),
}
