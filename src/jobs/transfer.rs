//! How a transfer can end without a file.
use crate::app::NoRoom;
use crate::fetch::FetchError;
use crate::record::RecordError;
use crate::store::StoreError;

/// Why a transfer ended without a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Record(#[from] RecordError),
}
