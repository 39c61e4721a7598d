//! The cluster as the source or target of a copy.

use std::sync::Arc;

use crate::store::settings::StoreSettings;
use crate::store::transfer::Transfer;
use crate::store::{StoreError, StoreErrorKind};

/// Opens the servers of the settings.
pub(crate) async fn open(settings: &StoreSettings) -> Result<Arc<dyn Transfer>, StoreError> {
    settings.all_named()?;
    Err(StoreError::new(StoreErrorKind::Unavailable, "the cluster stores are not built yet"))
}
