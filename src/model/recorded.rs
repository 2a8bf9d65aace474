//! What was last recorded of a device: the next run makes its records from there, so that no change is lost between a
//! state and its record, nor while no bridge watches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    DeviceTopic, DeviceView, EventName, EventState, EventType, LastTriggered, Position, Provenance, Relay,
    Signal, SlotId, SlotTopic, SlotView, Status, Text, Transition,
};

/// The values of a device of which there are records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Of its relays and signals.
    pub slots: RecordedSlots,
    /// Of its notification events, which seldom change; `None` where they are as they were recorded before.
    pub events: Option<RecordedEvents>,
}

/// Relays and signals. As JSON they are on disk: later versions read it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSlots {
    serial_number: Option<Text>,
    slots: BTreeMap<Text, RecordedSlot>,
}

/// Notification events, likewise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordedEvents(BTreeMap<Text, RecordedEvent>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedSlot {
    relays: BTreeMap<Relay, Position>,
    signals: BTreeMap<Signal, Status>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedEvent {
    triggered: Option<bool>,
    /// RFC 3339, or [`NEVER`]; `None` where that is not clear.
    last_triggered: Option<String>,
}

const NEVER: &str = "never";

impl Recorded {
    /// What is recorded once there are records of these changes to this view; `None` where no record is due of any of
    /// them, and before the device has answered.
    pub fn of(view: &DeviceView, changes: &[DeviceTopic]) -> Option<Recorded> {
        let identity = view.identity.as_ref()?;
        let has_events = changes
            .iter()
            .any(|change| matches!(change, DeviceTopic::Event(_)));
        let is_recorded = |change: &DeviceTopic| {
            matches!(
                change,
                DeviceTopic::Slot(_, SlotTopic::Relay(_) | SlotTopic::Signal(_))
            )
        };
        if !has_events && !changes.iter().any(is_recorded) {
            return None;
        }
        let slots = view.slots.iter();
        let slots = slots.map(|(id, slot)| (id.as_str().into(), RecordedSlot::of(slot)));
        Some(Recorded {
            slots: RecordedSlots {
                serial_number: identity.serial_number.clone(),
                slots: slots.collect(),
            },
            events: has_events.then(|| RecordedEvents::of(&view.events)),
        })
    }

    /// What is recorded after `earlier`, which is not on disk yet.
    pub fn after(self, earlier: Option<Recorded>) -> Recorded {
        Recorded {
            events: self.events.or(earlier.and_then(|earlier| earlier.events)),
            ..self
        }
    }

    /// Whether it may be of the device that shows itself so: another one may have its address now.
    pub fn may_be_of(&self, view: &DeviceView) -> bool {
        let identity = view.identity.as_ref();
        let shown = identity.and_then(|identity| identity.serial_number.as_ref());
        let numbers = self.slots.serial_number.as_ref().zip(shown);
        numbers.is_none_or(|(recorded, shown)| recorded == shown)
    }

    /// What has changed since, but for events.
    pub fn transitions(&self, view: &DeviceView) -> Vec<Transition> {
        let slots = view.slots.iter();
        let recorded = &self.slots.slots;
        let known = slots.filter_map(|(id, slot)| Some((id, slot, recorded.get(id.as_str())?)));
        known
            .flat_map(|(id, slot, recorded)| recorded.transitions(id, slot))
            .collect()
    }
}

impl RecordedEvents {
    fn of(events: &[EventState]) -> RecordedEvents {
        let events = events.iter();
        let events = events.map(|event| (event.name.as_str().into(), RecordedEvent::of(event)));
        RecordedEvents(events.collect())
    }

    /// The events as they were.
    pub fn states(&self) -> Arc<[EventState]> {
        let events = self.0.iter();
        events
            .filter_map(|(name, event)| event.state(EventName::canonical(name)?))
            .collect()
    }
}

impl RecordedSlot {
    fn of(slot: &SlotView) -> RecordedSlot {
        let relays = slot.relays.iter();
        let signals = slot.signals.iter();
        RecordedSlot {
            relays: relays.map(|(relay, state)| (*relay, state.position)).collect(),
            signals: signals.map(|(signal, state)| (*signal, state.status)).collect(),
        }
    }

    fn transitions(&self, id: &SlotId, slot: &SlotView) -> Vec<Transition> {
        let relays = slot.relays.iter().filter_map(|(relay, new)| {
            let old = *self.relays.get(relay)?;
            let has_moved = new.provenance != Provenance::Unseen && new.position != old;
            has_moved.then(|| Transition::Relay {
                slot: id.clone(),
                relay: *relay,
                old,
                new: new.clone(),
            })
        });
        let signals = slot.signals.iter().filter_map(|(signal, new)| {
            let old = *self.signals.get(signal)?;
            let has_changed = new.provenance != Provenance::Unseen && new.status != old;
            has_changed.then(|| Transition::Signal {
                slot: id.clone(),
                signal: *signal,
                old,
                new: new.clone(),
            })
        });
        relays.chain(signals).collect()
    }
}

impl RecordedEvent {
    fn of(event: &EventState) -> RecordedEvent {
        RecordedEvent {
            triggered: event.triggered,
            last_triggered: match event.last_triggered {
                LastTriggered::Never => Some(NEVER.to_owned()),
                LastTriggered::At(time) => Some(time.to_string()),
                LastTriggered::Unclear => None,
            },
        }
    }

    fn state(&self, name: EventName) -> Option<EventState> {
        let last_triggered = match self.last_triggered.as_deref() {
            None => LastTriggered::Unclear,
            Some(NEVER) => LastTriggered::Never,
            Some(time) => LastTriggered::At(time.parse().ok()?),
        };
        Some(EventState {
            name,
            name_on_device: None,
            triggered: self.triggered,
            kind: EventType::Unknown,
            last_triggered,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{Availability, Identity, diff};

    fn view(serial_number: &str, position: Position, status: Status) -> DeviceView {
        let mut slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
        let relay = slot.relays.get_mut(&Relay::A).unwrap();
        (relay.position, relay.provenance) = (position, Provenance::Derived);
        let signal = slot.signals.get_mut(&Signal::Clk1).unwrap();
        (signal.status, signal.provenance) = (status, Provenance::Reported);
        DeviceView {
            availability: Some(Availability::Online),
            identity: Some(Identity {
                serial_number: Some(serial_number.into()),
                ..Identity::default()
            }),
            slots: [(SlotId::new("io3").unwrap(), slot)].into_iter().collect(),
            ..DeviceView::default()
        }
    }

    fn event(triggered: Option<bool>, last_triggered: LastTriggered) -> EventState {
        EventState {
            name: EventName::canonical("ntp-not-sync").unwrap(),
            name_on_device: None,
            triggered,
            kind: EventType::Unknown,
            last_triggered,
        }
    }

    /// As the next run reads it.
    fn recorded(view: &DeviceView) -> Recorded {
        fn read<T: Serialize + serde::de::DeserializeOwned>(written: T) -> T {
            serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap()
        }
        let Recorded { slots, events } = Recorded::of(view, &diff(&DeviceView::default(), view)).unwrap();
        Recorded {
            slots: read(slots),
            events: events.map(read),
        }
    }

    #[test]
    fn what_has_changed_since_is_a_transition() {
        let good = view("1", Position::No, Status::Ok);
        assert_eq!(recorded(&good).transitions(&good), []);
        let bad = view("1", Position::Nc, Status::Fail);
        let transitions = recorded(&good).transitions(&bad);
        assert!(matches!(
            &transitions[..],
            [
                Transition::Relay { old: Position::No, new: relay, .. },
                Transition::Signal { old: Status::Ok, new: signal, .. },
            ] if relay.position == Position::Nc && signal.status == Status::Fail
        ));
        assert_eq!(Recorded::default().transitions(&bad), [], "a first sight");
    }

    #[test]
    fn a_device_that_has_not_answered_shows_nothing() {
        let good = view("1", Position::No, Status::Ok);
        let mut unseen = good.clone();
        unseen.identity = None;
        assert_eq!(
            Recorded::of(&unseen, &diff(&DeviceView::default(), &unseen)),
            None
        );
        let slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
        unseen.slots.insert(SlotId::new("io3").unwrap(), slot);
        assert_eq!(recorded(&good).transitions(&unseen), []);
    }

    #[test]
    fn another_device_is_known_by_its_serial_number() {
        let recorded = recorded(&view("1", Position::No, Status::Ok));
        let mut other = view("2", Position::No, Status::Ok);
        assert!(!recorded.may_be_of(&other));
        other.identity = Some(Identity::default());
        assert!(recorded.may_be_of(&other), "it does not say");
    }

    #[test]
    fn events_come_back_as_they_were() {
        let at = LastTriggered::At("2026-02-10T09:45:48.25Z".parse().unwrap());
        for event in [
            event(Some(true), at),
            event(Some(false), LastTriggered::Never),
            event(None, LastTriggered::Unclear),
        ] {
            let mut view = view("1", Position::No, Status::Ok);
            view.events = [event.clone()].into();
            assert_eq!(*recorded(&view).events.unwrap().states(), [event]);
        }
    }

    #[test]
    fn what_has_not_changed_stays_as_it_was_recorded() {
        let mut good = view("1", Position::No, Status::Ok);
        good.events = [event(Some(true), LastTriggered::Never)].into();
        let first = recorded(&good);
        let mut bad = view("1", Position::Nc, Status::Fail);
        bad.events = good.events.clone();
        let second = Recorded::of(&bad, &diff(&good, &bad)).unwrap();
        assert_eq!(second.events, None);
        let both = second.after(Some(first.clone()));
        assert_eq!((both.transitions(&bad), both.events), (Vec::new(), first.events));
        assert_eq!(
            Recorded::of(&bad, &[DeviceTopic::State, DeviceTopic::Error]),
            None
        );
    }
}
