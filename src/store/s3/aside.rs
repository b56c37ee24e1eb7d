//! What is kept aside of damaged objects: below `damaged/`, under the name of the object, `_` and an id.
use futures_util::TryStreamExt;

use super::{AsideObject, DAMAGED, S3Store, StoreError, locator_of, name_of};
use crate::domain::Locator;

/// Copies an object aside; `false` if there is none.
pub(super) async fn keep(store: &S3Store, locator: &Locator) -> Result<bool, StoreError> {
    let name = format!("{}_{}", name_of(locator.digest, locator.encoding), uuid::Uuid::now_v7());
    store.copy_path(&store.path_of(locator), &store.below(DAMAGED).join(name)).await
}

/// Two requests: what fails between them leaves the object in its place and aside.
pub(super) async fn take_away(store: &S3Store, locator: &Locator) -> Result<(), StoreError> {
    if keep(store, locator).await? {
        store.delete_path(&store.path_of(locator)).await?;
    }
    Ok(())
}

pub(super) async fn kept(store: &S3Store) -> Result<Vec<AsideObject>, StoreError> {
    let found = store.list_below(&store.below(DAMAGED));
    let aside = found.try_filter_map(|found| {
        let name = found.location.filename().map(str::to_owned);
        let aside = name.and_then(|id| {
            let locator = id.split_once('_').and_then(|(object, _)| locator_of(object))?;
            Some(AsideObject { locator, id })
        });
        std::future::ready(Ok(aside))
    });
    aside.try_collect().await
}
