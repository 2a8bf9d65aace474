//! Relays A, B and C of a REL1000: contact positions, and what the jumpers allow.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventName, LastFault, Provenance, Signal, UnknownReason, Via};

/// One of the three relays of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relay {
    /// Relay A.
    A,
    /// Relay B.
    B,
    /// Relay C.
    C,
}

impl Relay {
    /// All relays of a module.
    pub const ALL: [Relay; 3] = [Relay::A, Relay::B, Relay::C];

    /// The name in topics and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Relay::A => "a",
            Relay::B => "b",
            Relay::C => "c",
        }
    }

    /// The relay of that name.
    pub fn from_name(name: &str) -> Option<Relay> {
        Relay::ALL.into_iter().find(|relay| relay.as_str() == name)
    }

    /// The signals that the jumpers of this relay can select (vendor's REL1000 setup guide).
    pub fn possible_inputs(self) -> &'static [Signal] {
        match self {
            Relay::A => &[Signal::Clk1, Signal::Notification],
            Relay::B => &[Signal::Clk2, Signal::Pps],
            Relay::C => &[Signal::Rsc, Signal::TenMhz, Signal::Notification],
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Position of a relay's contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Position {
    /// CO-NO connected: normal operation.
    #[serde(rename = "NO")]
    No,
    /// CO-NC connected: fault, or no power.
    #[serde(rename = "NC")]
    Nc,
    /// Not known.
    #[serde(rename = "unknown")]
    Unknown,
}

impl Position {
    /// Its name in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Position::No => "NO",
            Position::Nc => "NC",
            Position::Unknown => "unknown",
        }
    }

    /// Whether the position stands for a fault; `None` where it is not known.
    pub fn fault(self) -> Option<bool> {
        match self {
            Position::No => Some(false),
            Position::Nc => Some(true),
            Position::Unknown => None,
        }
    }
}

/// The kind of chassis, as far as the usual wiring of a relay module depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChassisKind {
    /// Two clocks and a changeover unit (RSC).
    Redundant,
    /// One clock (SPT), as in every M500.
    SingleClock,
}

/// Which signal the jumpers of a module let drive each relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Wiring {
    /// What drives relay A.
    pub a: Signal,
    /// What drives relay B.
    pub b: Signal,
    /// What drives relay C.
    pub c: Signal,
}

impl Wiring {
    /// The wiring that the vendor's setup guide gives as usual for this kind of chassis.
    pub fn usual(kind: ChassisKind) -> Wiring {
        match kind {
            ChassisKind::Redundant => Wiring {
                a: Signal::Clk1,
                b: Signal::Clk2,
                c: Signal::Rsc,
            },
            ChassisKind::SingleClock => Wiring {
                a: Signal::Clk1,
                b: Signal::Pps,
                c: Signal::TenMhz,
            },
        }
    }

    /// What drives `relay`.
    pub fn driver(&self, relay: Relay) -> Signal {
        match relay {
            Relay::A => self.a,
            Relay::B => self.b,
            Relay::C => self.c,
        }
    }

    /// Whether any relay of the module is driven by `signal`.
    pub fn uses(&self, signal: Signal) -> bool {
        Relay::ALL.into_iter().any(|relay| self.driver(relay) == signal)
    }
}

/// Where the wiring of a slot comes from: no interface of the device reports its jumpers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WiringSource {
    /// The configuration says so.
    Configured,
    /// The usual wiring of this kind of chassis.
    Assumed,
}

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
    /// The events; `None` where nobody knows.
    pub events: Option<BTreeSet<EventName>>,
    /// Whether the device reported them when they were last read.
    pub confirmed: bool,
    /// The way on which it became known.
    pub via: Option<Via>,
    /// When the bridge first saw these events.
    pub since: Timestamp,
}
