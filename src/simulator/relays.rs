//! Where the relays of a world stand. Normal operation is NO; a fault, and a module without power, is NC.

use super::action::Signal;
use super::device_kind::{Driver, Relay};
use super::events::EventType;
use super::world::World;

/// A relay's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Normal operation: CO and NO are connected.
    No,
    /// Fault: CO and NC are connected.
    Nc,
}

impl Position {
    /// The word in the document (assumed): `no`, `nc`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Nc => "nc",
        }
    }
}

impl World {
    /// Where a relay stands; `None` when no relay module is fitted in that slot.
    pub fn relay(&self, slot: &str, relay: Relay) -> Option<Position> {
        let module = self
            .kind()
            .chassis
            .relay_modules()
            .iter()
            .find(|module| module.slot == slot)?;
        let well = self.has_power(slot)
            && match module.driver(relay) {
                Driver::Clock(clock) => self.is_synchronous(clock),
                Driver::Rsc => self.has_power("rsc1") && self.is_synchronous(self.active_clock()),
                Driver::Pps => self.is_well(Signal::Pps),
                Driver::TenMhz => self.is_well(Signal::TenMhz),
                Driver::Notification => !self.is_notified(slot, relay),
            };
        Some(if well { Position::No } else { Position::Nc })
    }

    /// Whether one of the events selected for the relay stands; good news never moves a relay.
    fn is_notified(&self, slot: &str, relay: Relay) -> bool {
        let selection = self.relay_events(slot, relay);
        let mut standing = self
            .events
            .iter()
            .filter(|e| e.triggered && e.kind != EventType::Info);
        standing.any(|event| selection.contains(event.name))
    }
}
