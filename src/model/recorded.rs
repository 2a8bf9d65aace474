//! What was last recorded of a device: the next run makes its records from there, so that no change is lost between a
//! state and its record, nor while no bridge watches.

use std::collections::BTreeMap;

use jiff::Timestamp;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::{
    DeviceView, EventName, EventState, EventType, LastFault, LastTriggered, Position, Provenance, Relay,
    RelayState, Signal, SignalState, SlotId, SlotView, Status, Text, Transition,
};

/// The values of a device of which there are records; `None` for a part that is as it was recorded before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Of its relays and signals.
    pub slots: Option<RecordedSlots>,
    /// Of its notification events, which seldom change.
    pub events: Option<RecordedEvents>,
}

/// Relays and signals. As JSON they are on disk: later versions read it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSlots {
    serial_number: Option<Text>,
    slots: BTreeMap<Text, RecordedSlot>,
    /// Whether another bridge has recorded that: what differs from it, this one has not seen happen.
    #[serde(skip)]
    by_another: bool,
}

/// Notification events, likewise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordedEvents(BTreeMap<Text, RecordedEvent>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedSlot {
    relays: BTreeMap<Relay, Position>,
    signals: BTreeMap<Signal, Status>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    last_faults: BTreeMap<Relay, LastFault>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RecordedEvent {
    triggered: Option<bool>,
    /// RFC 3339, or [`NEVER`]; `None` where that is not clear.
    last_triggered: Option<String>,
    /// Whether a trap has reported it that no poll has shown.
    by_trap: bool,
}

const NEVER: &str = "never";

impl Recorded {
    /// What is recorded after `earlier`, which is not on disk yet.
    pub fn after(self, earlier: Recorded) -> Recorded {
        Recorded {
            slots: self.slots.or(earlier.slots),
            events: self.events.or(earlier.events),
        }
    }

    /// Whether it may be of the device that shows itself so over REST: another one may have its address now.
    pub fn may_be_of(&self, view: &DeviceView) -> bool {
        let slots = self.slots.as_ref();
        let recorded = slots.and_then(|slots| slots.serial_number.as_ref());
        let numbers = recorded.zip(serial_number(view));
        numbers.is_none_or(|(recorded, shown)| recorded == shown)
    }
}

/// The serial number, where it is one to compare: what SNMP says may be written otherwise, and of one that is damaged
/// nobody knows which it is.
fn serial_number(view: &DeviceView) -> Option<&Text> {
    let identity = view.identity.as_ref()?;
    let number = identity.serial_number.as_ref()?;
    let is_of_rest = !identity.profile.is_empty();
    (is_of_rest && !number.contains(char::REPLACEMENT_CHARACTER)).then_some(number)
}

impl RecordedSlots {
    /// What another bridge has published of a device, and so recorded. What was not read is unknown, and was never seen.
    pub fn by_another<'s>(
        serial_number: Option<String>,
        slots: impl IntoIterator<Item = (&'s SlotId, &'s SlotView)>,
    ) -> RecordedSlots {
        let known = |(id, slot): (&SlotId, &SlotView)| {
            let relays = slot.relays.iter();
            let relays =
                relays.filter(|(_, state)| state.position != Position::Unknown || state.last.is_some());
            let signals = slot.signals.iter();
            let signals =
                signals.filter(|(_, state)| state.status != Status::Unknown || state.last.is_some());
            let recorded = RecordedSlot {
                relays: relays.map(|(relay, state)| (*relay, state.position)).collect(),
                signals: signals.map(|(signal, state)| (*signal, state.status)).collect(),
                last_faults: BTreeMap::new(),
            };
            (id.as_str().into(), recorded)
        };
        RecordedSlots {
            serial_number: serial_number.map(Text::from),
            slots: slots.into_iter().map(known).collect(),
            by_another: true,
        }
    }

    /// What is recorded once there are records of all that this view shows, after `self`: what the view does not show
    /// stays.
    pub fn with(mut self, view: &DeviceView) -> RecordedSlots {
        if let Some(number) = serial_number(view) {
            self.serial_number = Some(number.clone());
        }
        for (id, slot) in &view.slots {
            self.slots.entry(id.as_str().into()).or_default().take(slot);
        }
        self
    }

    /// The last faults of relays go on from what is recorded, where `known` has none. What was looked at is taken out.
    pub fn restore_last_faults(
        &mut self,
        view: &mut DeviceView,
        known: &LiteMap<SlotId, SlotView>,
        now: Timestamp,
    ) {
        for (id, slot) in view.slots.iter_mut() {
            let Some(recorded) = self.slots.get_mut(id.as_str()) else {
                continue;
            };
            let known = known.get(id);
            for (relay, state) in slot.relays.iter_mut() {
                let Some(fault) = recorded.last_faults.remove(relay) else {
                    continue;
                };
                let known = known.and_then(|slot| slot.relays.get(relay));
                if known.is_none_or(|known| known.last_fault.is_none()) {
                    let stands = (state.since, state.cause.as_deref());
                    let fault = LastFault::after(Some(&fault), state.position, stands, now);
                    state.last_fault = fault.map(Box::new);
                }
            }
        }
    }

    /// What has changed since. What was compared is taken out.
    pub fn take_transitions(&mut self, view: &DeviceView) -> Vec<Transition> {
        let slots = view.slots.iter();
        slots
            .flat_map(|(id, slot)| {
                let recorded = self.slots.get_mut(id.as_str());
                recorded.map_or(Vec::new(), |recorded| {
                    recorded.take_transitions(id, slot, self.by_another)
                })
            })
            .collect()
    }
}

impl RecordedEvents {
    /// Events as they were last known, and whether a trap has reported each that no poll has shown.
    pub fn of<'e>(events: impl IntoIterator<Item = (&'e EventState, bool)>) -> RecordedEvents {
        let events = events.into_iter().map(|(event, by_trap)| {
            let recorded = RecordedEvent::of(event, by_trap);
            (event.name.as_str().into(), recorded)
        });
        RecordedEvents(events.collect())
    }

    /// The same again.
    pub fn states(&self) -> impl Iterator<Item = (EventState, bool)> {
        let events = self.0.iter();
        events.filter_map(|(name, event)| Some((event.state(EventName::canonical(name)?)?, event.by_trap)))
    }
}

impl RecordedSlot {
    fn take(&mut self, slot: &SlotView) {
        let relays = seen_relays(slot);
        self.relays
            .extend(relays.map(|(relay, state)| (*relay, state.position)));
        let faults = slot.relays.iter();
        let faults = faults.filter_map(|(relay, state)| Some((*relay, *state.last_fault.clone()?)));
        self.last_faults.extend(faults);
        let signals = seen_signals(slot);
        self.signals
            .extend(signals.map(|(signal, state)| (*signal, state.status)));
    }

    fn take_transitions(&mut self, id: &SlotId, slot: &SlotView, taken_over: bool) -> Vec<Transition> {
        let relays = seen_relays(slot).filter_map(|(relay, new)| {
            let old = self.relays.remove(relay)?;
            (new.position != old).then(|| Transition::Relay {
                slot: id.clone(),
                relay: *relay,
                old,
                new: new.clone(),
                taken_over,
            })
        });
        let signals = seen_signals(slot).filter_map(|(signal, new)| {
            let old = self.signals.remove(signal)?;
            (new.status != old).then(|| Transition::Signal {
                slot: id.clone(),
                signal: *signal,
                old,
                new: new.clone(),
                taken_over,
            })
        });
        relays.chain(signals).collect()
    }
}

fn seen_relays(slot: &SlotView) -> impl Iterator<Item = (&Relay, &RelayState)> {
    let relays = slot.relays.iter();
    relays.filter(|(_, state)| state.provenance != Provenance::Unseen)
}

fn seen_signals(slot: &SlotView) -> impl Iterator<Item = (&Signal, &SignalState)> {
    let signals = slot.signals.iter();
    signals.filter(|(_, state)| state.provenance != Provenance::Unseen)
}

impl RecordedEvent {
    fn of(event: &EventState, by_trap: bool) -> RecordedEvent {
        RecordedEvent {
            by_trap,
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
    use crate::model::{Availability, Identity};

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
                profile: "api-10".into(),
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
    fn read<T: Serialize + serde::de::DeserializeOwned>(written: T) -> T {
        serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap()
    }

    fn recorded(view: &DeviceView) -> RecordedSlots {
        read(RecordedSlots::default().with(view))
    }

    #[test]
    fn what_has_changed_since_is_a_transition_once() {
        let good = view("1", Position::No, Status::Ok);
        assert_eq!(recorded(&good).take_transitions(&good), []);
        let bad = view("1", Position::Nc, Status::Fail);
        let mut slots = recorded(&good);
        let transitions = slots.take_transitions(&bad);
        assert!(matches!(
            &transitions[..],
            [
                Transition::Relay { old: Position::No, new: relay, .. },
                Transition::Signal { old: Status::Ok, new: signal, .. },
            ] if relay.position == Position::Nc && signal.status == Status::Fail
        ));
        assert_eq!(slots.take_transitions(&bad), []);
        assert_eq!(
            RecordedSlots::default().take_transitions(&bad),
            [],
            "a first sight"
        );
    }

    #[test]
    fn what_is_not_seen_stays_as_it_was_recorded() {
        let good = view("1", Position::No, Status::Ok);
        let mut unseen = good.clone();
        let slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
        unseen.slots.insert(SlotId::new("io3").unwrap(), slot);
        let mut slots = recorded(&good);
        assert_eq!(slots.take_transitions(&unseen), []);
        assert_eq!(slots.clone().with(&unseen), recorded(&good));
        let bad = view("1", Position::Nc, Status::Ok);
        assert_eq!(slots.take_transitions(&bad).len(), 1, "compared when it is seen");
    }

    #[test]
    fn of_what_another_bridge_has_published_the_unknown_counts_where_it_was_known_before() {
        let now = view("1", Position::No, Status::Ok);
        let mut published = view("1", Position::Unknown, Status::Unknown);
        let slots = |view: &DeviceView| RecordedSlots::by_another(Some("1".to_owned()), view.slots.iter());
        assert_eq!(slots(&published).take_transitions(&now), [], "never seen");
        let slot = published.slots.get_mut(&SlotId::new("io3").unwrap()).unwrap();
        let relay = slot.relays.get_mut(&Relay::A).unwrap();
        relay.last = Some((Position::Nc, Timestamp::UNIX_EPOCH));
        let transitions = slots(&published).take_transitions(&now);
        assert!(matches!(
            &transitions[..],
            [Transition::Relay {
                old: Position::Unknown,
                taken_over: true,
                ..
            }]
        ));
        let recorded = Recorded {
            slots: Some(slots(&published)),
            events: None,
        };
        assert!(!recorded.may_be_of(&view("2", Position::No, Status::Ok)));
    }

    #[test]
    fn another_device_is_known_by_the_serial_number_that_rest_gives() {
        let slots = Some(recorded(&view("1", Position::No, Status::Ok)));
        let recorded = Recorded { slots, events: None };
        let mut other = view("2", Position::No, Status::Ok);
        assert!(!recorded.may_be_of(&other));
        other.identity.as_mut().unwrap().profile = "".into();
        assert!(recorded.may_be_of(&other), "over SNMP");
        assert!(
            recorded.may_be_of(&view("1\u{fffd}", Position::No, Status::Ok)),
            "damaged"
        );
    }

    #[test]
    fn events_come_back_as_they_were() {
        let at = LastTriggered::At("2026-02-10T09:45:48.25Z".parse().unwrap());
        for (event, by_trap) in [
            (event(Some(true), at), true),
            (event(Some(false), LastTriggered::Never), false),
            (event(None, LastTriggered::Unclear), false),
        ] {
            let recorded = read(RecordedEvents::of([(&event, by_trap)]));
            assert_eq!(Vec::from_iter(recorded.states()), [(event, by_trap)]);
        }
    }
}
