//! The dead letters that the store itself writes.

use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;

use super::health::Failure;
use super::options::Limit;
use super::tables::Dropping;
use crate::model::{
    DeadLetter, DeviceId, ErrorKind, ErrorReport, Incident, IncidentKey, IncidentKind, IncidentReport,
    Operation, Stage,
};
use crate::records::{Record, dead_letter};

/// Room for a dead letter about dropped records.
pub(super) const ROOM: Limit = Limit::of(1, 2048);

const DISK: &str = "check the disk of state.directory: whether it is there, whether it is full, whether it may be written, whether it works";
const DROPPING: &str = "too many records wait for the broker: the oldest are dropped";
const BROKER: &str = "see why the broker takes no records, or takes them slowly; dead letters among the dropped that were \
                      on disk stay in the archive (lantime2mqtt dead-letters list)";

/// The disk has failed, and records are kept in memory.
pub(super) fn disk_fails(error: &str, first_at: Timestamp) -> IncidentReport {
    let message = format!(
        "the durable store cannot be written: {error}; records are kept in memory and are lost when the bridge \
         ends, and commands are not taken until the disk works again"
    );
    IncidentReport {
        incident: incident(IncidentKind::Store, message, DISK, first_at, 1),
        stage: Stage::Begun,
        repeats: None,
    }
}

/// The disk works again.
pub(super) fn disk_works(failure: &Failure) -> IncidentReport {
    let message = format!(
        "the durable store could not be written: {}; it works again",
        failure.error
    );
    IncidentReport {
        incident: incident(
            IncidentKind::Store,
            message,
            DISK,
            failure.first_at,
            failure.count,
        ),
        stage: Stage::Over,
        repeats: Some(failure.count),
    }
}

/// The outbox is full, as long as there is no room.
pub(super) fn outbox_full(dropping: Dropping) -> Incident {
    incident(
        IncidentKind::Outbox,
        DROPPING.to_owned(),
        BROKER,
        dropping.since,
        dropping.count,
    )
}

fn incident(kind: IncidentKind, message: String, remedy: &str, first_at: Timestamp, count: u64) -> Incident {
    Incident {
        key: IncidentKey::new(kind),
        id: Uuid::now_v7(),
        operation: Operation::Store,
        error: ErrorReport::new(ErrorKind::Storage, message, remedy),
        first_at,
        reported_at: Timestamp::now(),
        count,
    }
}

/// The outbox is full, and so many records have been dropped by now.
pub(super) fn dropping(bridge: &DeviceId, dropped: u64, first_at: Timestamp) -> Record {
    record(
        bridge,
        DROPPING.to_owned(),
        BROKER,
        first_at,
        Some(dropped),
        false,
    )
}

/// There is room again; so many records were dropped.
pub(super) fn dropped(bridge: &DeviceId, dropped: u64, first_at: Timestamp) -> Record {
    let message = format!(
        "too many records waited for the broker: the oldest {dropped} were dropped; there is room again"
    );
    record(bridge, message, BROKER, first_at, Some(dropped), true)
}

/// The file was damaged, and a new one is begun.
pub(super) fn damaged(bridge: &DeviceId, aside: &Path, error: &str) -> Record {
    let message = format!(
        "the durable store was damaged ({error}) and a new one is begun: what it held (records not sent yet, commands \
         not answered yet, dead letters) is lost, and topics of earlier configurations may stay at the broker"
    );
    let remedy = format!(
        "check the disk of state.directory; the damaged file is kept as {}, delete it when it is of no more use",
        aside.display()
    );
    record(bridge, message, &remedy, Timestamp::now(), None, false)
}

/// Another file took the place of the store's, and is set aside.
pub(super) fn displaced(bridge: &DeviceId, aside: &Path) -> Record {
    let message = "another file took the place of the durable store while the bridge ran: it is set aside, and the store \
                   is written again with all that it held";
    let remedy = format!(
        "the other file is kept as {}; stop the bridge before you put another file in its place, and delete this one when \
         it is of no more use",
        aside.display()
    );
    record(bridge, message.to_owned(), &remedy, Timestamp::now(), None, false)
}

/// So many entries could not be understood, and are dropped.
pub(super) fn unreadable(bridge: &DeviceId, what: &str, count: usize, error: &str) -> Record {
    let message =
        format!("the durable store held {count} {what}(s) that cannot be understood: {error}; dropped");
    let remedy = "check the disk of state.directory; where a later version ran before, run that one again";
    record(bridge, message, remedy, Timestamp::now(), None, false)
}

/// So many commands are of a later version, and stay.
pub(super) fn newer(bridge: &DeviceId, count: usize) -> Record {
    let message = format!(
        "the durable store holds {count} command(s) in a format of a later version: they are not carried out, and stay in it"
    );
    let remedy = "run that version again, which carries them out";
    record(bridge, message, remedy, Timestamp::now(), None, false)
}

fn record(
    bridge: &DeviceId,
    message: String,
    remedy: &str,
    first_at: Timestamp,
    repeats: Option<u64>,
    recovered: bool,
) -> Record {
    let error = ErrorReport::new(ErrorKind::Storage, message, remedy);
    let dead_letter = DeadLetter {
        first_at,
        repeats,
        recovered,
        ..dead_letter::new(Operation::Store, error, Timestamp::now())
    };
    dead_letter::record(&dead_letter, bridge)
}
