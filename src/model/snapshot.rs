//! What one poll reports about a device, as far as this project needs it.

use std::sync::Arc;

use super::{ChassisKind, Details, EventState, Position, Relay, Signal, SlotId, Status, Text, Via};

/// One poll's worth of knowledge. Two equal snapshots say that nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The way on which it came to be known.
    pub via: Via,
    /// What the device says of itself; shared with what is published of it.
    pub identity: Arc<Identity>,
    /// Clock slots (`clk1`, `clk2`) that the chassis has, fitted or not.
    pub clocks: Vec<Clock>,
    /// The changeover unit, where the profile finds one.
    pub rsc: Option<Rsc>,
    /// Whether the document shows the events at all. If it does not, nothing is known about any of them.
    pub events_seen: bool,
    /// Notification events, in the device's order.
    pub events: Arc<[EventState]>,
    /// Whether the document shows the slots at all. If it does not, nothing is known about any of them.
    pub chassis_seen: bool,
    /// Whether every slot in the document could be read: only then does a slot that is not among them not exist.
    pub all_slots_seen: bool,
    /// Every slot of the chassis, and the model of the module in it.
    pub slots: Vec<(SlotId, Module)>,
    /// Relay modules, by slot.
    pub relay_modules: Vec<(SlotId, RelayModule)>,
    /// Entries of the profile whose pointer finds nothing.
    pub unresolved: Vec<&'static str>,
    /// What could not be understood; each cost its field, not the document.
    pub notes: Vec<String>,
}

/// What the device says of itself; a field that it does not give is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Model of the chassis (`M3000`).
    pub model: Option<Text>,
    /// Serial number of the chassis.
    pub serial_number: Option<Text>,
    /// Host name.
    pub hostname: Option<Text>,
    /// Firmware as the device writes it (`fw_7.06.014-light`).
    pub firmware: Option<Text>,
    /// REST API version (`10.21.016`).
    pub api_version: Option<Text>,
    /// The API profile that read this document.
    pub profile: Text,
    /// URL of the device's web interface; the bridge's own knowledge, not the document's.
    pub web_interface: Text,
}

/// What stands in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Module {
    /// Nothing is fitted.
    Empty,
    /// A module, with its model where it reports one.
    Fitted(Option<Text>),
}

/// A clock slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// [`Signal::Clk1`] or [`Signal::Clk2`].
    pub signal: Signal,
    /// `ok`, `fail`, `unknown`, or `absent` where no module is fitted.
    pub status: Status,
    /// Whether the changeover unit has selected it; `None` where the device does not say.
    pub selected: Option<bool>,
    /// Whether the device says something of the two above that could not be read.
    pub is_malformed: bool,
    /// What else the device says about it.
    pub detail: Details,
}

/// The changeover unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rsc {
    /// What the profile finds about it.
    pub detail: Details,
}

/// What a module says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleInfo {
    /// Type name (`rel1000`).
    pub model: Text,
    /// Serial number, without the blanks that devices pad it with.
    pub serial_number: Option<Text>,
    /// Software revision.
    pub software_revision: Option<Text>,
}

/// A relay module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelayModule {
    /// What the module says of itself.
    pub info: ModuleInfo,
    /// Positions that the device reports, for A, B and C.
    pub positions: [Option<Position>; 3],
    /// Signals whose state the module reports.
    pub signals: Vec<(Signal, Status)>,
}

impl RelayModule {
    /// The position that the device reports for `relay`.
    pub fn position(&self, relay: Relay) -> Option<Position> {
        self.positions[relay as usize]
    }

    /// The state that the module reports for `signal`.
    pub fn signal(&self, signal: Signal) -> Option<Status> {
        self.signals
            .iter()
            .find(|(name, _)| *name == signal)
            .map(|(_, status)| *status)
    }
}

impl Snapshot {
    /// The clock in that slot, where the chassis has one.
    pub fn clock(&self, signal: Signal) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.signal == signal)
    }

    /// What stands in the slot of that id; `None` where the chassis has no such slot.
    pub fn module(&self, slot: &SlotId) -> Option<&Module> {
        self.slots
            .iter()
            .find(|(id, _)| id == slot)
            .map(|(_, module)| module)
    }

    /// The relay module in that slot.
    pub fn relay_module(&self, slot: &SlotId) -> Option<&RelayModule> {
        self.relay_modules
            .iter()
            .find(|(id, _)| id == slot)
            .map(|(_, module)| module)
    }

    /// Major version of the REST API (10 of `10.21.016`).
    pub fn api_major(&self) -> Option<u32> {
        self.identity.api_version.as_deref().and_then(major_version)
    }

    /// Gives back what room it has to spare: the last one of each device is kept.
    pub fn shrink_to_fit(&mut self) {
        self.clocks.shrink_to_fit();
        self.slots.shrink_to_fit();
        self.relay_modules.shrink_to_fit();
        self.unresolved.shrink_to_fit();
    }

    /// The kind of chassis that this document shows: redundant with a changeover unit or a second clock fitted.
    pub fn chassis_kind(&self) -> ChassisKind {
        let second_clock = self
            .clock(Signal::Clk2)
            .is_some_and(|clock| clock.status != Status::Absent);
        if self.rsc.is_some() || second_clock {
            ChassisKind::Redundant
        } else {
            ChassisKind::SingleClock
        }
    }
}

/// 10 of `10.21.016` and of `LANTIME REST API V10.21.016`.
pub fn major_version(text: &str) -> Option<u32> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    text[start..].split('.').next()?.parse().ok()
}
