//! What can happen in a simulated world, as tests call it and as scenario files write it, and why a world
//! may refuse it. What it then does is the world's.

use super::device_kind::{Clock, Relay};
use serde::{Deserialize, Serialize};

/// One move of the world. In a scenario file: `action = { lose-sync = "clk1" }`, `action = "change-over"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// A clock loses its synchronisation. Redundant systems change over if they can.
    LoseSync(Clock),
    /// A clock is synchronous again.
    RegainSync(Clock),
    /// A clock's antenna is disconnected. The clock runs on: losing sync is an action of its own.
    AntennaOff(Clock),
    /// A clock's antenna is connected again.
    AntennaOn(Clock),
    /// The change-over switch goes to the other clock; refused in manual mode or when that clock is not
    /// synchronous, as the real switch does.
    ChangeOver,
    /// The mode of the change-over switch.
    RscMode(RscMode),
    /// A notification event is triggered, by name.
    FireEvent(String),
    /// A notification event is cleared, by name.
    ClearEvent(String),
    /// The module in a slot loses its power and vanishes from the document; the slot stays.
    PowerOff(String),
    /// The module in a slot has power again and is as it was before.
    PowerOn(String),
    /// A supervised output fails (single-clock systems).
    FailSignal(Signal),
    /// A supervised output is well again.
    RestoreSignal(Signal),
    /// Somebody else selects, at the device itself, the events that switch a relay which is wired to notification,
    /// and applies that with all that is pending. Where a device does not distinguish relays, it reaches all of them.
    RelayEvents {
        /// Slot of the relay module.
        slot: String,
        /// Relay A or C.
        relay: Relay,
        /// Names of the events.
        events: Vec<String>,
    },
    /// Somebody else chooses, at the device itself, all actions of an event (`email`, `snmp`, `relais`, ..), and
    /// applies that with all that is pending, or leaves it pending with `apply = false`.
    EventActions {
        /// Name of the event.
        event: String,
        /// The actions; those that are left out end.
        actions: Vec<String>,
        /// Whether it takes effect.
        #[serde(default = "yes")]
        apply: bool,
    },
    /// All is well again: clocks, antennas, power, signals, switch, and every event that is bad news.
    Recover,
}

fn yes() -> bool {
    true
}

/// How the change-over switch (RSC) decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RscMode {
    /// It leaves a clock that is not synchronous for one that is.
    Automatic,
    /// It stays where it is.
    Manual,
}

impl RscMode {
    /// The word in the document (assumed): `automatic`, `manual`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Manual => "manual",
        }
    }
}

/// An output that a single-clock system supervises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The pulse per second.
    #[serde(rename = "pps")]
    Pps,
    /// The 10 MHz output.
    #[serde(rename = "10mhz")]
    TenMhz,
}

impl Signal {
    /// `pps`, `10mhz`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pps => "pps",
            Self::TenMhz => "10mhz",
        }
    }
}

/// Why an action is impossible on a device. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// The chassis has only one clock.
    #[error("this chassis has no {}: use clk1, or a redundant device", .0.as_str())]
    NoClock(Clock),
    /// The chassis has no module that could be switched off in that slot.
    #[error("no module to switch in slot {slot:?}: this chassis has {known}")]
    NoModule {
        /// The slot that was asked for.
        slot: String,
        /// The slots that carry such a module.
        known: String,
    },
    /// This API generation has no event of that name.
    #[error("this device has no event {0:?}: take a name from the events of its status document")]
    NoEvent(String),
    /// The event cannot take that action.
    #[error("event {event:?} cannot take the action {action:?}")]
    NoAction {
        /// The event.
        event: String,
        /// The action that was asked for.
        action: String,
    },
    /// Only single-clock systems supervise outputs.
    #[error("this chassis does not supervise {}: use a single-clock device", .0.as_str())]
    NoSignal(Signal),
    /// Only redundant systems have a change-over switch.
    #[error("this chassis has no change-over switch: use a redundant device")]
    NoRsc,
    /// The change-over switch may not or cannot go to the other clock.
    #[error("the switch stays: {0}")]
    StaysPut(&'static str),
    /// The relay is wired to a signal, by jumpers.
    #[error("relay {relay:?} of slot {slot:?} is not wired to notification: events cannot switch it")]
    NotOnNotification {
        /// The slot that was asked for.
        slot: String,
        /// The relay that was asked for.
        relay: Relay,
    },
}
