//! Two views of a device -> the parts of what is published that have changed between them.

use litemap::LiteMap;

use super::{Availability, DeviceTopic, DeviceView, EventName, EventState, SlotTopic, SlotView};

/// Everything that has to be published to get from `old` to `new`. `online` comes last, `offline`
/// first: whoever reads `online` may trust what stands beside it.
pub fn diff(old: &DeviceView, new: &DeviceView) -> Vec<DeviceTopic> {
    let mut changes = Vec::new();
    let availability = new.availability.filter(|_| old.availability != new.availability);
    if availability == Some(Availability::Offline) {
        changes.push(DeviceTopic::State);
    }
    let is_described = new.identity.is_some();
    if is_described && (&old.identity, &old.place) != (&new.identity, &new.place) {
        changes.push(DeviceTopic::Info);
    }
    if old.problem != new.problem {
        changes.push(DeviceTopic::Error);
    }
    if old.events != new.events {
        changes.extend(
            diff_events(&old.events, &new.events)
                .cloned()
                .map(DeviceTopic::Event),
        );
    }
    for id in differing(Some(&old.slots), Some(&new.slots)) {
        let below = diff_slot(old.slots.get(id), new.slots.get(id));
        changes.extend(
            below
                .into_iter()
                .map(|below| DeviceTopic::Slot(id.clone(), below)),
        );
    }
    if availability == Some(Availability::Online) {
        changes.push(DeviceTopic::State);
    }
    changes
}

fn diff_events<'e>(old: &'e [EventState], new: &'e [EventState]) -> impl Iterator<Item = &'e EventName> {
    let has_changed = |(index, event): &(usize, &EventState)| named(old, &event.name, *index) != Some(*event);
    let changed = new.iter().enumerate().filter(has_changed);
    let removed = old.iter().enumerate();
    let removed = removed.filter(|(index, event)| named(new, &event.name, *index).is_none());
    changed.chain(removed).map(|(_, event)| &event.name)
}

/// The event of that name; devices keep their order, so it is nearly always at the same index.
fn named<'e>(events: &'e [EventState], name: &EventName, index: usize) -> Option<&'e EventState> {
    let is_named = |event: &&EventState| event.name == *name;
    let here = events.get(index).filter(is_named);
    here.or_else(|| events.iter().find(is_named))
}

fn diff_slot(old: Option<&SlotView>, new: Option<&SlotView>) -> Vec<SlotTopic> {
    let mut changes = Vec::new();
    if old.map(|slot| slot.state) != new.map(|slot| slot.state) {
        changes.push(SlotTopic::State);
    }
    if old.and_then(described) != new.and_then(described) {
        changes.push(SlotTopic::Info);
    }
    let relays = differing(old.map(|slot| &slot.relays), new.map(|slot| &slot.relays));
    changes.extend(relays.copied().map(SlotTopic::Relay));
    let events = differing(
        old.map(|slot| &slot.relay_events),
        new.map(|slot| &slot.relay_events),
    );
    changes.extend(events.copied().map(SlotTopic::RelayEvents));
    let signals = differing(old.map(|slot| &slot.signals), new.map(|slot| &slot.signals));
    changes.extend(signals.copied().map(SlotTopic::Signal));
    changes
}

/// What is published of a slot's module and wiring.
fn described(slot: &SlotView) -> Option<impl PartialEq> {
    slot.is_described().then_some((&slot.module, &slot.wiring))
}

/// The keys whose values differ; those that only `old` has come last.
fn differing<'m, K: Ord, V: PartialEq>(
    old: Option<&'m LiteMap<K, V>>,
    new: Option<&'m LiteMap<K, V>>,
) -> impl Iterator<Item = &'m K> {
    let value = |map: Option<&'m LiteMap<K, V>>, key| map.and_then(|map| map.get(key));
    let changed = new.into_iter().flatten();
    let changed = changed.filter(move |(key, new)| value(old, key) != Some(new));
    let removed = old
        .into_iter()
        .flatten()
        .filter(move |(key, _)| value(new, key).is_none());
    changed.chain(removed).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{EventType, LastTriggered, Position, Relay, Signal, SlotId, SlotState};

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
        let event = |name| DeviceTopic::Event(EventName::canonical(name).unwrap());
        assert_eq!(changes, [event("c"), event("a")]);
    }

    #[test]
    fn a_slot_that_leaves_takes_everything_below_it_along() {
        let mut old = view(&[]);
        let slot = SlotView::unseen(None, Relay::ALL, [Signal::Clk1], Timestamp::UNIX_EPOCH);
        let slot = SlotView {
            state: SlotState::Online,
            ..slot
        };
        let id = SlotId::new("io3").unwrap();
        old.slots.insert(id.clone(), slot);
        let all = [SlotTopic::State, SlotTopic::Info].into_iter();
        let all = all
            .chain(Relay::ALL.map(SlotTopic::Relay))
            .chain([SlotTopic::Signal(Signal::Clk1)]);
        let all: Vec<_> = all.map(|below| DeviceTopic::Slot(id.clone(), below)).collect();
        assert_eq!(diff(&old, &view(&[])), all);
    }

    #[test]
    fn a_relay_that_moves_is_all_that_changes() {
        let mut old = view(&[]);
        let id = SlotId::new("io3").unwrap();
        let slot = SlotView::unseen(None, [Relay::B], [], Timestamp::UNIX_EPOCH);
        old.slots.insert(id.clone(), slot);
        let mut new = old.clone();
        let slot = new.slots.iter_mut().next().unwrap().1;
        slot.relays.get_mut(&Relay::B).unwrap().position = Position::Nc;
        let relay = DeviceTopic::Slot(id, SlotTopic::Relay(Relay::B));
        assert_eq!(diff(&old, &new), [relay]);
    }
}
