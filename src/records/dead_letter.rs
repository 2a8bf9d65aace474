//! Dead letters: how one begins, and the one constructor of their records. [`Standing`] tells which failures an archive
//! leaves without their end.
//!
//! When a letter is due is decided where the failure is seen; the archive is the store's.

mod standing;

use jiff::Timestamp;
use uuid::Uuid;

use super::Record;
use crate::contract::dead_letter as contract;
use crate::contract::topics::Destination;
use crate::model::{DeadLetter, DeviceId, ErrorReport, Operation};
pub use standing::Standing;

/// A letter with an id of its own, about something that went wrong `at` that time, for the first time.
pub fn new(operation: Operation, error: ErrorReport, at: Timestamp) -> DeadLetter {
    DeadLetter {
        id: Uuid::now_v7(),
        at,
        device: None,
        slot: None,
        operation,
        error,
        attempts: 1,
        first_at: at,
        repeats: None,
        recovered: false,
        origin: None,
    }
}

/// The record that tells `letter`, as the bridge of that id publishes it.
pub fn record(letter: &DeadLetter, bridge: &DeviceId) -> Record {
    let destination = Destination::DeadLetter(letter.device.clone());
    Record::of(letter.id, destination, &contract::DeadLetter::of(letter, bridge))
}
