//! What is published of a device, by part: each has a topic of its own, and changes as a whole.

use super::{EventName, Relay, Signal, SlotId};

/// A part of a device's published state, and its topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeviceTopic {
    /// `state`: whether the device is online.
    State,
    /// `info`: how the device describes itself.
    Info,
    /// `error`: the error that stands.
    Error,
    /// `event/{event}`
    Event(EventName),
    /// `http/sessions`
    HttpSessions,
    /// `http/stats`
    HttpStats,
    /// Below `{slot}`.
    Slot(SlotId, SlotTopic),
}

/// A part of a slot's published state, and its topic below the slot's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotTopic {
    /// `state`: whether a relay module is there.
    State,
    /// `info`: the module and its wiring.
    Info,
    /// `relay/{relay}`
    Relay(Relay),
    /// `relay/{relay}/events`: what switches a relay that follows notification events.
    RelayEvents(Relay),
    /// `signal/{signal}`
    Signal(Signal),
}
