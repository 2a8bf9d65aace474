//! What a device went through: what records keep, and notifications report. Two views that lie further apart do not show
//! it all, so transitions are noted when they happen, and kept where updates are merged.

use jiff::Timestamp;

use super::{
    Availability, DeviceTopic, DeviceView, ErrorKind, EventState, Position, Provenance, Relay, RelayState,
    Signal, SignalState, SlotId, SlotState, SlotTopic, Status, Via,
};

/// Something known has become something else. A first sight is no transition, but for that of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The device answers again, or no longer; or it is watched from now on.
    Availability {
        /// Before; `None` where nothing was known of it.
        old: Option<Availability>,
        /// Now: the same where it is only watched again.
        new: Availability,
        /// The kind of the error that stands.
        error: Option<ErrorKind>,
        /// As of a relay.
        taken_over: bool,
        /// When it was last watched, where nobody did for a while.
        not_observed_since: Option<Timestamp>,
    },
    /// A slot has another state.
    Slot {
        /// Which slot.
        slot: SlotId,
        /// Before.
        old: SlotState,
        /// Now.
        new: SlotState,
        /// As of a relay.
        taken_over: bool,
    },
    /// An event has come, of which no trap has made a record, or it has ended, as a poll shows or a trap that clears it.
    Event {
        /// As it is published now.
        event: EventState,
        /// Whether it has come; it has ended otherwise.
        triggered: bool,
        /// The way on which that came to be known.
        via: Via,
    },
    /// A relay has another position.
    Relay {
        /// Slot of the module.
        slot: SlotId,
        /// Which of the three.
        relay: Relay,
        /// Before.
        old: Position,
        /// As it is published now.
        new: RelayState,
        /// Whether another bridge polled the device before, and has not recorded it.
        taken_over: bool,
    },
    /// A signal has another status.
    Signal {
        /// Slot of the module that monitors it.
        slot: SlotId,
        /// Which signal.
        signal: Signal,
        /// Before.
        old: Status,
        /// As it is published now.
        new: SignalState,
        /// As of a relay.
        taken_over: bool,
    },
}

impl Transition {
    /// What of these changes from `old` to `new` are transitions, but for events: whether one of these is due, the device's
    /// task knows.
    pub fn between(old: &DeviceView, new: &DeviceView, changes: &[DeviceTopic]) -> Vec<Transition> {
        let of_slots = changes.iter().filter_map(|change| match change {
            DeviceTopic::Slot(slot, below) => Transition::of_slot(slot, *below, old, new),
            _ => None,
        });
        Transition::of_device(old, new)
            .into_iter()
            .chain(of_slots)
            .collect()
    }

    fn of_device(old: &DeviceView, new: &DeviceView) -> Option<Transition> {
        let error = new.problem.as_ref().map(|problem| problem.error.kind);
        let (old, new) = (old.availability?, new.availability?);
        (old != new).then_some(Transition::Availability {
            old: Some(old),
            new,
            error,
            taken_over: false,
            not_observed_since: None,
        })
    }

    fn of_slot(slot: &SlotId, below: SlotTopic, old: &DeviceView, new: &DeviceView) -> Option<Transition> {
        match below {
            SlotTopic::Relay(relay) => {
                let (old, new) = (old.relay(slot, relay)?, new.relay(slot, relay)?.clone());
                let has_moved = old.position != new.position && old.provenance != Provenance::Unseen;
                let (slot, old) = (slot.clone(), old.position);
                has_moved.then_some(Transition::Relay {
                    slot,
                    relay,
                    old,
                    new,
                    taken_over: false,
                })
            }
            SlotTopic::Signal(signal) => {
                let (old, new) = (old.signal(slot, signal)?, new.signal(slot, signal)?.clone());
                let has_changed = old.status != new.status && old.provenance != Provenance::Unseen;
                let (slot, old) = (slot.clone(), old.status);
                has_changed.then_some(Transition::Signal {
                    slot,
                    signal,
                    old,
                    new,
                    taken_over: false,
                })
            }
            SlotTopic::State => {
                let is_known = old.has_seen(slot);
                let (old, new) = (old.slots.get(slot)?.state, new.slots.get(slot)?.state);
                (is_known && old != new).then(|| Transition::Slot {
                    slot: slot.clone(),
                    old,
                    new,
                    taken_over: false,
                })
            }
            SlotTopic::Info | SlotTopic::RelayEvents(_) => None,
        }
    }
}
