//! What can be simulated: chassis, API generations, and how their relay modules are wired. Names and
//! tables only; what happens to a device over time is the world's, how it is published is the document's.

use serde::{Deserialize, Serialize};

/// One of the two clocks that a chassis can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The clock in slot `clk1`; every chassis has it.
    Clk1,
    /// The clock in slot `clk2`; redundant chassis only.
    Clk2,
}

impl Clock {
    /// The slot id, which is also the clock's name: `clk1`, `clk2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clk1 => "clk1",
            Self::Clk2 => "clk2",
        }
    }

    /// The clock's place in tables: 0 or 1.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Clk1 => 0,
            Self::Clk2 => 1,
        }
    }

    /// The other clock of a redundant pair.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Clk1 => Self::Clk2,
            Self::Clk2 => Self::Clk1,
        }
    }
}

/// One of the three relays of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relay {
    /// Relay A: clock 1 or notification events.
    A,
    /// Relay B: clock 2 or the pulse per second.
    B,
    /// Relay C: the change-over switch, 10 MHz or notification events.
    C,
}

/// What the jumpers of a module let a relay follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The TIME_SYNC signal of a clock.
    Clock(Clock),
    /// The change-over switch: its selected clock is synchronous.
    Rsc,
    /// Supervision of the pulse per second.
    Pps,
    /// Supervision of the 10 MHz output.
    TenMhz,
    /// Notification events that are selected for the relay.
    Notification,
}

impl Driver {
    /// The name used for this wiring in configurations: `clk1`, `rsc`, `pps`, `10mhz`, `notification`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock(clock) => clock.as_str(),
            Self::Rsc => "rsc",
            Self::Pps => "pps",
            Self::TenMhz => "10mhz",
            Self::Notification => "notification",
        }
    }
}

/// A relay module as it is fitted: its slot and the wiring of its relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayModule {
    /// Slot id, `io3`.
    pub slot: &'static str,
    /// What relay A follows.
    pub a: Driver,
    /// What relay B follows.
    pub b: Driver,
    /// What relay C follows.
    pub c: Driver,
}

impl RelayModule {
    /// What the given relay follows.
    pub const fn driver(&self, relay: Relay) -> Driver {
        match relay {
            Relay::A => self.a,
            Relay::B => self.b,
            Relay::C => self.c,
        }
    }
}

/// The chassis of a simulated device, which decides its modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chassis {
    /// Redundant: two clocks, a change-over switch (RSC), and two relay modules, one wired to the clocks
    /// (`io3`) and one whose A and C follow notification events (`io4`).
    M3000,
    /// One clock with an SPT in place of the switch, and one relay module in `io1`.
    M500,
}

const REDUNDANT: [RelayModule; 2] = [
    RelayModule {
        slot: "io3",
        a: Driver::Clock(Clock::Clk1),
        b: Driver::Clock(Clock::Clk2),
        c: Driver::Rsc,
    },
    RelayModule {
        slot: "io4",
        a: Driver::Notification,
        b: Driver::Clock(Clock::Clk2),
        c: Driver::Notification,
    },
];
const SINGLE: [RelayModule; 1] = [RelayModule {
    slot: "io1",
    a: Driver::Clock(Clock::Clk1),
    b: Driver::Pps,
    c: Driver::TenMhz,
}];

impl Chassis {
    /// The model's name as the device reports it.
    pub const fn model(self) -> &'static str {
        match self {
            Self::M3000 => "M3000",
            Self::M500 => "M500",
        }
    }

    /// Two clocks and a change-over switch.
    pub const fn is_redundant(self) -> bool {
        matches!(self, Self::M3000)
    }

    /// The clocks that are fitted.
    pub const fn clocks(self) -> &'static [Clock] {
        match self {
            Self::M3000 => &[Clock::Clk1, Clock::Clk2],
            Self::M500 => &[Clock::Clk1],
        }
    }

    /// The relay modules that are fitted, with their wiring.
    pub const fn relay_modules(self) -> &'static [RelayModule] {
        match self {
            Self::M3000 => &REDUNDANT,
            Self::M500 => &SINGLE,
        }
    }
}

/// The generation of the device's REST API, with the firmware that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiGeneration {
    /// API 10.21.016, firmware 7.06.014: Basic authentication only.
    V10,
    /// API 16.03.005, firmware 7.08.012 (both numbers invented within their generation): tokens too.
    V16,
    /// API 20.05.013, firmware 7.10.008: tokens too.
    V20,
}

impl ApiGeneration {
    /// The API's version: `10.21.016`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V10 => "10.21.016",
            Self::V16 => "16.03.005",
            Self::V20 => "20.05.013",
        }
    }

    /// The firmware's name: `fw_7.06.014-light`.
    pub const fn firmware(self) -> &'static str {
        match self {
            Self::V10 => "fw_7.06.014-light",
            Self::V16 => "fw_7.08.012",
            Self::V20 => "fw_7.10.008",
        }
    }

    /// The firmware's version alone: `7.06.014`.
    pub const fn firmware_version(self) -> &'static str {
        match self {
            Self::V10 => "7.06.014",
            Self::V16 => "7.08.012",
            Self::V20 => "7.10.008",
        }
    }

    /// Whether `PUT /api/get-token` exists: from firmware 7.08 on.
    pub const fn has_tokens(self) -> bool {
        !matches!(self, Self::V10)
    }
}

/// Everything that distinguishes one simulated device from another, apart from its name and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceKind {
    /// The chassis.
    pub chassis: Chassis,
    /// The API generation.
    pub api: ApiGeneration,
    /// Whether relay modules report the positions of their relays and the state of their inputs. No such
    /// document of a real device is public, so both kinds must work.
    pub reports_relays: bool,
}

impl DeviceKind {
    /// A kind with the usual reporting: generation 10 does not report relays, later ones do.
    pub const fn new(chassis: Chassis, api: ApiGeneration) -> Self {
        Self {
            chassis,
            api,
            reports_relays: !matches!(api, ApiGeneration::V10),
        }
    }
}
