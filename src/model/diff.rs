//! Two views of a device -> what has changed between them. `None` as a new value means: no longer there.

use std::collections::BTreeMap;

use super::snapshot::ModuleInfo;
use super::{
    Availability, DeviceView, EventName, EventState, Identity, Problem, Relay, RelayEventsState, RelayState,
    Signal, SignalState, SlotId, SlotState, SlotView, Via, Wiring, WiringSource,
};

/// One change of a device's published state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The device was heard of, or no longer.
    Availability(Availability),
    /// The device describes itself.
    Identity(Box<Identity>),
    /// Another error stands, or none.
    Problem(Option<Box<Problem>>),
    /// A notification event: what was published before, and now.
    Event {
        /// Which event.
        name: EventName,
        /// Before.
        old: Option<Box<EventState>>,
        /// Now.
        new: Option<Box<EventState>>,
        /// The way on which it came to be known.
        via: Via,
        /// Whether a record says already that it came: that of the trap.
        recorded: bool,
    },
    /// A slot's state.
    SlotState(SlotId, Option<SlotState>),
    /// A slot's module and wiring.
    SlotInfo(SlotId, Option<Box<SlotInfo>>),
    /// A relay: what was published before, and now.
    Relay {
        /// Slot of the module.
        slot: SlotId,
        /// Which of the three.
        relay: Relay,
        /// Before.
        old: Option<Box<RelayState>>,
        /// Now.
        new: Option<Box<RelayState>>,
    },
    /// What switches a relay that follows notification events.
    RelayEvents {
        /// Slot of the module.
        slot: SlotId,
        /// Which of the three.
        relay: Relay,
        /// Now.
        new: Option<Box<RelayEventsState>>,
    },
    /// A signal: what was published before, and now.
    Signal {
        /// Slot of the module that monitors it.
        slot: SlotId,
        /// Which signal.
        signal: Signal,
        /// Before.
        old: Option<Box<SignalState>>,
        /// Now.
        new: Option<Box<SignalState>>,
    },
}

/// A slot's module and wiring, as they are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// The module, while the device reports one.
    pub module: Option<ModuleInfo>,
    /// What drives the relays, and how that is known.
    pub wiring: Option<(Wiring, WiringSource)>,
}

/// Everything that has to be published to get from `old` to `new`. That the device is there comes last, that it is away
/// first: whoever reads `online` may trust what stands beside it.
pub fn diff(old: &DeviceView, new: &DeviceView) -> Vec<Change> {
    let mut changes = Vec::new();
    let availability = new.availability.filter(|_| old.availability != new.availability);
    if availability == Some(Availability::Offline) {
        changes.push(Change::Availability(Availability::Offline));
    }
    if let Some(identity) = new.identity.as_ref().filter(|_| old.identity != new.identity) {
        changes.push(Change::Identity(Box::new(identity.clone())));
    }
    if old.problem != new.problem {
        changes.push(Change::Problem(new.problem.clone().map(Box::new)));
    }
    if old.events != new.events {
        diff_events(&old.events, &new.events, &mut changes);
    }
    diff_maps(&old.slots, &new.slots, |id, old, new| {
        diff_slot(id, old, new, &mut changes)
    });
    if availability == Some(Availability::Online) {
        changes.push(Change::Availability(Availability::Online));
    }
    changes
}

fn diff_events(old: &[EventState], new: &[EventState], changes: &mut Vec<Change>) {
    let mut push = |name: &EventName, old: Option<&EventState>, new: Option<&EventState>| {
        changes.push(Change::Event {
            name: name.clone(),
            old: old.cloned().map(Box::new),
            new: new.cloned().map(Box::new),
            via: Via::Rest,
            recorded: false,
        });
    };
    for (index, event) in new.iter().enumerate() {
        let before = named(old, &event.name, index);
        if before != Some(event) {
            push(&event.name, before, Some(event));
        }
    }
    for (index, event) in old.iter().enumerate() {
        if named(new, &event.name, index).is_none() {
            push(&event.name, Some(event), None);
        }
    }
}

/// The event of that name; devices keep their order, so it is nearly always at the same index.
fn named<'e>(events: &'e [EventState], name: &EventName, index: usize) -> Option<&'e EventState> {
    let is_named = |event: &&EventState| event.name == *name;
    let here = events.get(index).filter(is_named);
    here.or_else(|| events.iter().find(is_named))
}

fn diff_slot(id: &SlotId, old: Option<&SlotView>, new: Option<&SlotView>, changes: &mut Vec<Change>) {
    let state = new.map(|slot| slot.state);
    if old.map(|slot| slot.state) != state {
        changes.push(Change::SlotState(id.clone(), state));
    }
    let described = |slot: Option<&'_ SlotView>| {
        slot.filter(|slot| slot.is_described()).map(|slot| SlotInfo {
            module: slot.module.clone(),
            wiring: slot.wiring,
        })
    };
    let info = described(new);
    if described(old) != info {
        changes.push(Change::SlotInfo(id.clone(), info.map(Box::new)));
    }
    let (no_relays, no_events, no_signals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let relays = (
        old.map_or(&no_relays, |slot| &slot.relays),
        new.map_or(&no_relays, |slot| &slot.relays),
    );
    diff_maps(relays.0, relays.1, |relay, old, new| {
        let (slot, old, new) = (id.clone(), old.cloned().map(Box::new), new.cloned().map(Box::new));
        changes.push(Change::Relay {
            slot,
            relay: *relay,
            old,
            new,
        });
    });
    let chosen = (
        old.map_or(&no_events, |slot| &slot.relay_events),
        new.map_or(&no_events, |slot| &slot.relay_events),
    );
    diff_maps(chosen.0, chosen.1, |relay, _, new| {
        changes.push(Change::RelayEvents {
            slot: id.clone(),
            relay: *relay,
            new: new.cloned().map(Box::new),
        });
    });
    let signals = (
        old.map_or(&no_signals, |slot| &slot.signals),
        new.map_or(&no_signals, |slot| &slot.signals),
    );
    diff_maps(signals.0, signals.1, |signal, old, new| {
        let (slot, old, new) = (id.clone(), old.cloned().map(Box::new), new.cloned().map(Box::new));
        changes.push(Change::Signal {
            slot,
            signal: *signal,
            old,
            new,
        });
    });
}

/// Calls `changed` for every key whose value differs; a key that only one side has is `None` on the other.
fn diff_maps<K: Ord, V: PartialEq>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    mut changed: impl FnMut(&K, Option<&V>, Option<&V>),
) {
    for (key, value) in new {
        let before = old.get(key);
        if before != Some(value) {
            changed(key, before, Some(value));
        }
    }
    for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(key)) {
        changed(key, Some(value), None);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{EventType, LastTriggered, Position};

    fn view(names: &[&str]) -> DeviceView {
        let events = names
            .iter()
            .map(|name| EventState {
                name: EventName::canonical(name).unwrap(),
                name_on_device: None,
                triggered: Some(false),
                kind: EventType::Info,
                last_triggered: LastTriggered::Never,
            })
            .collect();
        DeviceView {
            availability: Some(Availability::Online),
            events,
            ..DeviceView::default()
        }
    }

    #[test]
    fn equal_views_have_no_changes() {
        assert_eq!(diff(&view(&["a", "b"]), &view(&["a", "b"])), []);
    }

    #[test]
    fn an_event_that_the_device_no_longer_lists_is_cleared() {
        let changes = diff(&view(&["a", "b"]), &view(&["b", "c"]));
        let names: Vec<_> = changes
            .iter()
            .map(|change| match change {
                Change::Event { name, new, .. } => (name.as_str(), new.is_some()),
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(names, [("c", true), ("a", false)]);
    }

    #[test]
    fn a_slot_that_leaves_takes_everything_below_it_along() {
        let mut old = view(&[]);
        let slot = SlotView::unseen(None, Relay::ALL, [Signal::Clk1], Timestamp::UNIX_EPOCH);
        let slot = SlotView {
            state: SlotState::Online,
            ..slot
        };
        old.slots.insert(SlotId::new("io3").unwrap(), slot);
        let changes = diff(&old, &view(&[]));
        assert_eq!(changes.len(), 1 + 1 + 3 + 1);
        assert!(changes.iter().all(|change| matches!(
            change,
            Change::SlotState(_, None)
                | Change::SlotInfo(_, None)
                | Change::Relay { new: None, .. }
                | Change::Signal { new: None, .. }
        )));
    }

    #[test]
    fn a_relay_change_carries_old_and_new() {
        let mut old = view(&[]);
        let slot = SlotView::unseen(None, [Relay::B], [], Timestamp::UNIX_EPOCH);
        old.slots.insert(SlotId::new("io3").unwrap(), slot);
        let mut new = old.clone();
        let relay = new
            .slots
            .values_mut()
            .next()
            .unwrap()
            .relays
            .get_mut(&Relay::B)
            .unwrap();
        relay.position = Position::Nc;
        let [
            Change::Relay {
                old: Some(before),
                new: Some(after),
                ..
            },
        ] = &diff(&old, &new)[..]
        else {
            panic!("one relay changed");
        };
        assert_eq!(
            (before.position, after.position),
            (Position::Unknown, Position::Nc)
        );
    }
}
