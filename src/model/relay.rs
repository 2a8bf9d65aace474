//! Relays A, B and C of a REL1000: contact positions, and what the jumpers allow.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Signal;

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
