//! Why a device is offline, for those who bring commands: they look, and wait for nothing.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::ErrorReport;

/// Why a device is offline, while it is. The task of the device notes it.
#[derive(Debug, Clone, Default)]
pub struct OfflineReason(Arc<Mutex<Option<Box<ErrorReport>>>>);

impl OfflineReason {
    /// What was last noted.
    pub fn get(&self) -> Option<ErrorReport> {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason.as_deref().cloned()
    }

    pub(super) fn set(&self, reason: Option<ErrorReport>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(Box::new);
    }
}
