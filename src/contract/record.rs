//! Records of changes, events and traps. A field that does not apply is left out.

use serde::Serialize;
use uuid::Uuid;

use super::{Time, is_unset};
use crate::model::{DeviceId, EventName, EventType, Provenance, Relay, Signal, SlotId, Varbind, Via};

/// `{device}/events`: a poll shows that an event came or went.
#[derive(Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) id: Uuid,
    pub(crate) at: Time,
    pub(crate) device: &'a DeviceId,
    pub(crate) source: Via,
    pub(crate) event: &'a EventName,
    pub(crate) triggered: bool,
    #[serde(rename = "type")]
    pub(crate) kind: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_triggered: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name_on_device: Option<&'a str>,
}

/// `{device}/events`: a device has sent a trap or an inform.
#[derive(Serialize)]
pub(crate) struct Trap<'a> {
    pub(crate) id: Uuid,
    pub(crate) at: Time,
    pub(crate) device: &'a DeviceId,
    pub(crate) source: Via,
    /// None of one that the vendor's MIB does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<&'a EventName>,
    /// Where the name comes from, unless a document of the device has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event_named_by: Option<&'static str>,
    /// The name made from the MIB, where that of the device stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mib_event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) triggered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oid: Option<&'a str>,
    pub(crate) version: &'static str,
    pub(crate) confirmed: bool,
    pub(crate) varbinds: &'a [Varbind],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) varbinds_left_out: Option<usize>,
}

/// `{device}/{slot}/changes`: a relay, a signal or the state of the slot has changed; `{device}/changes`: that of the device.
#[derive(Serialize)]
pub(crate) struct Change<'a> {
    pub(crate) id: Uuid,
    pub(crate) at: Time,
    pub(crate) device: &'a DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<&'a SlotId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) relay: Option<Relay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<Signal>,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<&'a str>,
    /// Of relays and signals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provenance: Option<Provenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) driven_by: Option<Signal>,
    /// In a cluster: it changed while the device went from one bridge to another; `at` is when the next one has seen it.
    #[serde(skip_serializing_if = "is_unset")]
    pub(crate) takeover: bool,
    /// When the device was last watched before, where nobody did for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_observed_since: Option<Time>,
}
