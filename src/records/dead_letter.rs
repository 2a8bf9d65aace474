//! Dead letters: how one begins, and the one constructor of their records.
//!
//! When one is due is decided where the failure is seen; the archive is the store's.

use jiff::Timestamp;
use uuid::Uuid;

use super::Record;
use crate::contract::dead_letter as contract;
use crate::contract::topics::Destination;
use crate::model::{DeadLetter, DeviceId, ErrorReport, IncidentReport, Operation, Stage};

/// A dead letter with an id of its own, about something that went wrong `at` that time, for the first time.
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

/// The dead letter that reports an incident, where one does.
pub fn of_incident(report: &IncidentReport) -> Option<DeadLetter> {
    let IncidentReport {
        incident,
        stage,
        repeats,
    } = report;
    let first_id = (*stage == Stage::Begun).then_some(incident.id);
    incident.key.kind.has_dead_letter(*stage).then(|| DeadLetter {
        id: first_id.unwrap_or_else(Uuid::now_v7),
        device: incident.key.device.clone(),
        first_at: incident.first_at,
        repeats: *repeats,
        recovered: *stage == Stage::Over,
        ..new(incident.operation, incident.error.clone(), incident.reported_at)
    })
}

/// The record of a dead letter, as the bridge of that id publishes it.
pub fn record(dead_letter: &DeadLetter, bridge: &DeviceId) -> Record {
    let destination = Destination::DeadLetter(dead_letter.device.clone());
    Record::of(
        dead_letter.id,
        destination,
        &contract::DeadLetter::of(dead_letter, bridge),
    )
}
