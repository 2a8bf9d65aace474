//! What is owed for a notification until its record is stored.

use std::net::IpAddr;
use std::sync::mpsc::SyncSender;

use tokio::sync::OwnedSemaphorePermit;

/// The place of a notification among those that wait, and the acknowledgement of an inform. Dropped, it frees the place,
/// and the inform is not acknowledged.
#[derive(Debug)]
pub struct Receipt {
    /// Of an inform: by this it is known when it comes again.
    pub(crate) inform: Option<InformId>,
    /// Of an inform: takes whether it is safe, and so to be acknowledged.
    pub(super) safe: Option<SyncSender<bool>>,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// What stays the same when an inform is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InformId {
    /// Where it comes from.
    pub source: IpAddr,
    /// The number that its sender has given it.
    pub request: i32,
    /// What it is about.
    pub oid: Option<String>,
}

impl Receipt {
    /// Nobody waits for it any more: the place is free, and an inform will not be acknowledged.
    pub(super) fn release(&mut self) {
        (self.safe, self.place) = (None, None);
    }

    /// The notification is safe: an inform is acknowledged, where its sender waits still.
    pub(crate) fn acknowledge(self) {
        if let Some(safe) = self.safe {
            let _ = safe.try_send(true);
        }
    }

    /// For a test, with what gets the acknowledgement.
    #[cfg(test)]
    pub(crate) fn of_test(inform: Option<InformId>) -> (Receipt, std::sync::mpsc::Receiver<bool>) {
        let (safe, is_safe) = std::sync::mpsc::sync_channel(1);
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let receipt = Receipt {
            inform,
            safe: Some(safe),
            place: places.try_acquire_owned().ok(),
        };
        (receipt, is_safe)
    }
}
