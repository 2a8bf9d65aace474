//! The `events` record of a trap or inform. Pure but for the id.

use jiff::Timestamp;
use uuid::Uuid;

use super::Record;
use crate::contract::topics::Destination;
use crate::contract::{Time, record as contract};
use crate::model::{DeviceId, EventNaming, Trap, Via};

/// The record of a trap that a device has sent. One that the vendor's MIB does not know has no `event`.
pub fn record(device: &DeviceId, trap: &Trap, now: Timestamp) -> Record {
    let id = Uuid::now_v7();
    let (event_named_by, mib_event) = match &trap.naming {
        EventNaming::Document => (None, None),
        EventNaming::Mib => (Some("mib"), None),
        EventNaming::Matched(of_mib) => (Some("match"), Some(of_mib.as_str())),
    };
    let json = contract::Trap {
        id,
        at: Time(now),
        device,
        source: Via::Snmp,
        event: trap.event.as_ref(),
        event_named_by,
        mib_event,
        // A notification reports that its event came; that it is over is reported by another one that clears it.
        triggered: trap.event.is_some().then_some(true),
        message: trap.message.as_deref(),
        oid: trap.oid.as_deref(),
        version: trap.version,
        confirmed: trap.confirmed,
        varbinds: &trap.varbinds,
        varbinds_left_out: (trap.left_out > 0).then_some(trap.left_out),
    };
    Record::of(id, Destination::Events(device.clone()), &json)
}
