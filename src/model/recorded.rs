//! What was last recorded of a device: the next run makes its records from there, so that no change is lost between a
//! state and its record, nor while no bridge watches.

use std::collections::BTreeMap;

use jiff::Timestamp;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::{
    Availability, DeviceView, EventName, EventState, EventType, LastFault, LastTriggered, Position,
    Provenance, Relay, RelayState, Signal, SignalState, SlotId, SlotState, SlotView, Status, Text,
    Transition,
};

/// The values of a device of which there are records; `None` for a part that is as it was recorded before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Of the device itself, its slots, relays and signals.
    pub slots: Option<RecordedSlots>,
    /// Of its notification events, which seldom change.
    pub events: Option<RecordedEvents>,
}

/// Device, slots, relays and signals. As JSON they are on disk: later versions read it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSlots {
    serial_number: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    availability: Option<Availability>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<SlotState>,
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
                state: None,
                relays: relays.map(|(relay, state)| (*relay, state.position)).collect(),
                signals: signals.map(|(signal, state)| (*signal, state.status)).collect(),
                last_faults: BTreeMap::new(),
            };
            (id.as_str().into(), recorded)
        };
        RecordedSlots {
            serial_number: serial_number.map(Text::from),
            availability: None,
            slots: slots.into_iter().map(known).collect(),
            by_another: true,
        }
    }

    /// The same with what that bridge has published of the device itself, and of its slots.
    pub fn with_states(
        mut self,
        availability: Option<Availability>,
        state: impl Fn(&str) -> Option<SlotState>,
    ) -> RecordedSlots {
        self.availability = availability;
        for (id, slot) in &mut self.slots {
            slot.state = state(id);
        }
        self
    }

    /// What is recorded once there are records of all that this view shows, after `self`: what the view does not show
    /// stays.
    pub fn with(mut self, view: &DeviceView) -> RecordedSlots {
        if let Some(number) = serial_number(view) {
            self.serial_number = Some(number.clone());
        }
        self.availability = view.availability.or(self.availability);
        for (id, slot) in &view.slots {
            let recorded = self.slots.entry(id.as_str().into()).or_default();
            recorded.take(slot);
            if is_known(view, id) {
                recorded.state = Some(slot.state);
            }
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
                    let state = recorded.take_state(id, view, self.by_another);
                    let below = recorded.take_transitions(id, slot, self.by_another);
                    state.into_iter().chain(below).collect()
                })
            })
            .collect()
    }

    /// Whether the device answered when that was last recorded, and whether another bridge has recorded it. It is taken out.
    pub fn take_availability(&mut self) -> Option<(Availability, bool)> {
        Some((self.availability.take()?, self.by_another))
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

    /// How the slot has changed. While the device is offline so is the slot, but what is in it is compared when it is seen.
    fn take_state(&mut self, id: &SlotId, view: &DeviceView, taken_over: bool) -> Option<Transition> {
        let new = view.slots.get(id)?.state;
        if !is_known(view, id) {
            return None;
        }
        let old = self.state.take()?;
        self.state = (!view.has_seen(id)).then_some(new);
        (old != new).then(|| Transition::Slot {
            slot: id.clone(),
            old,
            new,
            taken_over,
        })
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

/// Whether it is known how that slot stands: it was seen, or the device is offline.
fn is_known(view: &DeviceView, slot: &SlotId) -> bool {
    view.availability == Some(Availability::Offline) || view.has_seen(slot)
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
                LastTriggered::At(moment) => Some(moment.time().to_string()),
                LastTriggered::Unclear => None,
            },
        }
    }

    fn state(&self, name: EventName) -> Option<EventState> {
        let last_triggered = match self.last_triggered.as_deref() {
            None => LastTriggered::Unclear,
            Some(NEVER) => LastTriggered::Never,
            Some(time) => LastTriggered::at(time.parse().ok()?),
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
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::model::Identity;

    fn view(serial_number: &str, position: Position, status: Status) -> DeviceView {
        let mut slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
        let relay = slot.relays.get_mut(&Relay::A).unwrap();
        (relay.position, relay.provenance) = (position, Provenance::Derived);
        let signal = slot.signals.get_mut(&Signal::Clk1).unwrap();
        (signal.status, signal.provenance) = (status, Provenance::Reported);
        DeviceView {
            availability: Some(Availability::Online),
            identity: Some(
                Identity {
                    serial_number: Some(serial_number.into()),
                    profile: "api-10".into(),
                    ..Identity::default()
                }
                .into(),
            ),
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

    fn with_state(state: SlotState, availability: Availability) -> DeviceView {
        let mut view = view("1", Position::No, Status::Ok);
        view.slots.iter_mut().for_each(|(_, slot)| slot.state = state);
        view.availability = Some(availability);
        view
    }

    /// Old and new state of the slots that have changed.
    fn states(transitions: &[Transition]) -> Vec<(SlotState, SlotState)> {
        let state = |transition: &Transition| match transition {
            Transition::Slot { old, new, .. } => Some((*old, *new)),
            _ => None,
        };
        transitions.iter().filter_map(state).collect()
    }

    #[test]
    fn a_slot_that_went_offline_with_its_device_is_compared_again_when_it_is_seen() {
        let online = with_state(SlotState::Online, Availability::Online);
        let absent = with_state(SlotState::Absent, Availability::Online);
        let mut unseen = with_state(SlotState::Offline, Availability::Online);
        let slot = SlotView::unseen(None, [Relay::A], [Signal::Clk1], Timestamp::UNIX_EPOCH);
        unseen.slots.insert(SlotId::new("io3").unwrap(), slot);
        let mut slots = recorded(&online);
        assert_eq!(states(&slots.take_transitions(&unseen)), []);
        unseen.availability = Some(Availability::Offline);
        let went = states(&slots.take_transitions(&unseen));
        assert_eq!(went, [(SlotState::Online, SlotState::Offline)]);
        assert_eq!(states(&slots.take_transitions(&unseen)), []);
        let after = slots.clone().with(&unseen);
        for mut slots in [slots, read(after)] {
            let came = states(&slots.take_transitions(&absent));
            assert_eq!(came, [(SlotState::Offline, SlotState::Absent)]);
            assert_eq!(states(&slots.take_transitions(&online)), []);
        }
    }

    #[test]
    fn what_an_earlier_version_has_recorded_is_read() {
        let json = r#"{"serial_number":"1","slots":{"io3":{"relays":{"a":"NO"},"signals":{"clk1":"ok"}}}}"#;
        let mut slots: RecordedSlots = serde_json::from_str(json).unwrap();
        assert_eq!(slots.take_availability(), None);
        let fallen = view("1", Position::Nc, Status::Ok);
        let transitions = slots.take_transitions(&fallen);
        assert!(
            matches!(&transitions[..], [Transition::Relay { .. }]),
            "{transitions:?}"
        );
        let json = serde_json::to_value(slots.with(&fallen)).unwrap();
        assert_eq!(
            (&json["availability"], &json["slots"]["io3"]["state"]),
            (&"online".into(), &"offline".into())
        );
    }

    #[test]
    fn of_what_another_bridge_has_published_states_count_too() {
        let now = with_state(SlotState::Online, Availability::Online);
        let mut slots = RecordedSlots::by_another(None, now.slots.iter())
            .with_states(Some(Availability::Offline), |_| Some(SlotState::Absent));
        assert_eq!(slots.take_availability(), Some((Availability::Offline, true)));
        assert_eq!(slots.take_availability(), None);
        assert!(matches!(
            &slots.take_transitions(&now)[..],
            [Transition::Slot {
                old: SlotState::Absent,
                new: SlotState::Online,
                taken_over: true,
                ..
            }]
        ));
    }

    #[test]
    fn another_device_is_known_by_the_serial_number_that_rest_gives() {
        let slots = Some(recorded(&view("1", Position::No, Status::Ok)));
        let recorded = Recorded { slots, events: None };
        let mut other = view("2", Position::No, Status::Ok);
        assert!(!recorded.may_be_of(&other));
        Arc::make_mut(other.identity.as_mut().unwrap()).profile = "".into();
        assert!(recorded.may_be_of(&other), "over SNMP");
        assert!(
            recorded.may_be_of(&view("1\u{fffd}", Position::No, Status::Ok)),
            "damaged"
        );
    }

    #[test]
    fn events_come_back_as_they_were() {
        let at = LastTriggered::at("2026-02-10T09:45:48.25Z".parse().unwrap());
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
