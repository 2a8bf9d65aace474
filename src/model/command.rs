//! What can be commanded, and what comes of it. How a topic or a payload writes it is not known here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::time::rfc3339;
use super::{DeviceId, EventName, Operation, Relay, SlotId, Via};

/// What the topic of a command says: which command, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommandTopic {
    /// Select the events that switch a relay.
    RelayEvents {
        /// Which device.
        device: DeviceId,
        /// The level that names the slot, be it right or wrong.
        slot: String,
        /// The level that names the relay, be it right or wrong.
        relay: String,
    },
    /// Poll a device now.
    Refresh(DeviceId),
    /// Switch or resize the log of a device's HTTP sessions.
    HttpSessions(DeviceId),
    /// Acknowledge the last faults of relays of a device.
    AcknowledgeFaults(DeviceId),
    /// Run the command of a dead letter again.
    Replay,
}

impl CommandTopic {
    /// Which command it is.
    pub fn operation(&self) -> Operation {
        match self {
            CommandTopic::RelayEvents { .. } => Operation::RelayEvents,
            CommandTopic::Refresh(_) => Operation::Refresh,
            CommandTopic::HttpSessions(_) => Operation::HttpSessions,
            CommandTopic::AcknowledgeFaults(_) => Operation::AcknowledgeFaults,
            CommandTopic::Replay => Operation::Replay,
        }
    }

    /// The device that it is for; `None` for the bridge itself.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            CommandTopic::RelayEvents { device, .. }
            | CommandTopic::Refresh(device)
            | CommandTopic::HttpSessions(device)
            | CommandTopic::AcknowledgeFaults(device) => Some(device),
            CommandTopic::Replay => None,
        }
    }

    /// The slot that it is for, where it names one that can be.
    pub fn slot(&self) -> Option<SlotId> {
        match self {
            CommandTopic::RelayEvents { slot, .. } => SlotId::new(slot.as_str()),
            CommandTopic::Refresh(_)
            | CommandTopic::HttpSessions(_)
            | CommandTopic::AcknowledgeFaults(_)
            | CommandTopic::Replay => None,
        }
    }
}

/// A command for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceCommand {
    /// Select the events that switch a relay.
    RelayEvents {
        /// Slot of the relay module.
        slot: SlotId,
        /// Which relay.
        relay: Relay,
        /// What to change.
        change: EventsChange,
    },
    /// Poll now.
    Refresh,
    /// Switch or resize the log of HTTP sessions.
    HttpSessions {
        /// Whether sessions are kept.
        enabled: Option<bool>,
        /// How many of them.
        max_count: Option<usize>,
    },
    /// Note that somebody has seen the last faults.
    AcknowledgeFaults {
        /// Those of this slot; of all slots.
        slot: Option<SlotId>,
        /// Those of this relay; of all relays.
        relay: Option<Relay>,
        /// Who, in one line.
        by: Option<String>,
    },
}

/// A change of the set of events that switch a relay; names as they were given, in any spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventsChange {
    /// Just these from now on.
    Replace(Vec<String>),
    /// These in addition, and those no longer; no event is in both.
    Edit {
        /// Events to add.
        add: Vec<String>,
        /// Events to remove.
        remove: Vec<String>,
    },
}

/// A relay of a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RelayPlace {
    /// Slot of the module.
    pub slot: SlotId,
    /// Which of the three.
    pub relay: Relay,
}

/// What came of a command that was carried out: the `result` of its reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// These events switch the relay now, as was read back from the device.
    RelayEvents {
        /// Slot of the module.
        slot: SlotId,
        /// Which relay.
        relay: Relay,
        /// The events.
        events: BTreeSet<EventName>,
        /// Whether anything had to be changed.
        changed: bool,
        /// All that the change reaches, where the device does not distinguish these relays; else the relay alone.
        applies_to: Vec<RelayPlace>,
        /// What to know of a selection that may leave the relay where it is, whatever happens.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        /// The way that was taken.
        via: Via,
    },
    /// The device was polled.
    Refresh {
        /// When its answer came.
        #[serde(serialize_with = "as_time")]
        polled_at: Timestamp,
    },
    /// The log of HTTP sessions is like this now.
    HttpSessions {
        /// Whether sessions are kept.
        enabled: bool,
        /// How many of them.
        max_count: usize,
    },
    /// The last faults are acknowledged.
    AcknowledgeFaults {
        /// The relays of which that was not noted before.
        acknowledged: Vec<RelayPlace>,
    },
}

impl Outcome {
    /// Of which command it is.
    pub fn operation(&self) -> Operation {
        match self {
            Outcome::RelayEvents { .. } => Operation::RelayEvents,
            Outcome::Refresh { .. } => Operation::Refresh,
            Outcome::HttpSessions { .. } => Operation::HttpSessions,
            Outcome::AcknowledgeFaults { .. } => Operation::AcknowledgeFaults,
        }
    }
}

fn as_time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}
