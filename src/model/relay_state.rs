//! What is known of a relay, as it is published.

use std::sync::Arc;

use jiff::Timestamp;

use super::{EventName, LastFault, Position, Provenance, Signal, UnknownReason, Via};

/// Something that holds a relay in NC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The name of a notification event, or what is wrong with the signal that drives the relay.
    pub name: String,
    /// When the bridge first saw that it holds the relay.
    pub since: Timestamp,
}

/// A relay as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayState {
    /// Where the contact stands.
    pub position: Position,
    /// The signal that drives the relay; `None` only before the device was seen for the first time.
    pub driven_by: Option<Signal>,
    /// What made the relay fall; only in a fault, and the same as long as the relay stays there.
    pub cause: Option<String>,
    /// All that is known to hold it in NC now.
    pub causes: Vec<Cause>,
    /// How `position` came to be known.
    pub provenance: Provenance,
    /// Why `position` is unknown, where it is.
    pub unknown_reason: Option<UnknownReason>,
    /// Whether the last poll failed: `position` is of the one before.
    pub stale: bool,
    /// On which way.
    pub via: Via,
    /// When the bridge first saw this position.
    pub since: Timestamp,
    /// The last known position and when it was last seen, while the device is offline.
    pub last: Option<(Position, Timestamp)>,
    /// The last fault: the one that stands, or the one before.
    pub last_fault: Option<Box<LastFault>>,
}

/// What switches a relay that follows notification events, as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayEventsState {
    /// The events, in the order of their names; `None` where nobody knows.
    pub events: Option<Arc<[EventName]>>,
    /// Whether the device reported them when they were last read.
    pub confirmed: bool,
    /// The way on which it became known.
    pub via: Option<Via>,
    /// When the bridge first saw these events.
    pub since: Timestamp,
}
