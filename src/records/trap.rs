//! The `events` record of a trap or inform. Pure but for the id.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Destination, Record};
use crate::model::time::rfc3339;
use crate::model::{DeviceId, EventNaming, Trap, Varbind};

#[derive(Serialize)]
struct TrapJson<'a> {
    id: Uuid,
    at: String,
    device: &'a str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_named_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mib_event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triggered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oid: Option<&'a str>,
    version: &'static str,
    confirmed: bool,
    varbinds: &'a [Varbind],
    #[serde(skip_serializing_if = "Option::is_none")]
    varbinds_left_out: Option<usize>,
}

/// The record of a trap that a device has sent. One that the vendor's MIB does not know has no `event`.
pub fn record(device: &DeviceId, trap: &Trap, now: Timestamp) -> Record {
    let id = Uuid::now_v7();
    let (event_named_by, mib_event) = match &trap.naming {
        EventNaming::Document => (None, None),
        EventNaming::Mib => (Some("mib"), None),
        EventNaming::Matched(of_mib) => (Some("match"), Some(of_mib.as_str())),
    };
    let json = TrapJson {
        id,
        at: rfc3339(now),
        device: device.as_str(),
        source: "snmp",
        event: trap.event.as_ref().map(|event| event.as_str()),
        event_named_by,
        mib_event,
        // A notification says that its event came; that one has gone is told by another that clears it.
        triggered: trap.event.is_some().then_some(true),
        message: trap.message.as_deref(),
        oid: trap.oid.as_deref(),
        version: trap.version,
        confirmed: trap.confirmed,
        varbinds: &trap.varbinds,
        varbinds_left_out: (trap.left_out > 0).then_some(trap.left_out),
    };
    super::change::record(id, Destination::Events(device.clone()), &json)
}
