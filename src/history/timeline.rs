//! How all of a device was in a window: its history, and how it is now. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::spans::{Span, Window, covered, not_kept, not_observed, spans};
use super::{Entry, Part, Subject, Value};
use crate::model::{DeviceView, EventName, Relay, Signal, SlotId};

/// How a device was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The device itself.
    pub device: Vec<Span>,
    /// Its slots.
    pub slots: BTreeMap<SlotId, SlotTimeline>,
    /// Events that have changed, or are triggered.
    pub events: BTreeMap<EventName, Vec<Span>>,
}

/// How a slot was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotTimeline {
    /// The slot itself.
    pub state: Vec<Span>,
    /// Its relays.
    pub relays: BTreeMap<Relay, Vec<Span>>,
    /// Its signals.
    pub signals: BTreeMap<Signal, Vec<Span>>,
}

/// What there is of a device.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The entries of each subject, oldest first, from the last one before the window on.
    pub history: &'a [(Subject, Vec<Entry>)],
    /// Before then nothing is kept.
    pub kept_since: Option<Timestamp>,
    /// How it is now, where this bridge polls it.
    pub view: Option<&'a DeviceView>,
}

impl Timeline {
    /// How the device was in that window.
    pub fn of(known: Known<'_>, window: Window) -> Timeline {
        let now = now(known.view);
        let mut parts: BTreeMap<Option<&Part>, (&[Entry], Value)> = BTreeMap::new();
        let with_entries = known.history.iter();
        parts.extend(
            with_entries.map(|(subject, entries)| (subject.part.as_ref(), (&entries[..], Value::Unknown))),
        );
        for (part, value) in &now {
            parts.entry(part.as_ref()).or_insert((&[], *value)).1 = *value;
        }
        let (of_device, value) = parts.remove(&None).unwrap_or((&[], Value::Unknown));
        let mut unknown = not_observed(of_device, window);
        if let Some(not_kept) = not_kept(of_device, known.kept_since, window) {
            unknown = covered(&unknown, &[not_kept]);
        }
        let device = covered(&spans(of_device, value, window), &unknown);
        let offline = only_offline(&device);
        let mut timeline = Timeline {
            device,
            slots: BTreeMap::new(),
            events: BTreeMap::new(),
        };
        // A slot comes before what belongs to it.
        for (part, (entries, value)) in parts {
            let Some(part) = part else { continue };
            let shown = covered(&covered(&spans(entries, value, window), &offline), &unknown);
            timeline.put(part, shown);
        }
        timeline
    }

    fn put(&mut self, part: &Part, shown: Vec<Span>) {
        match part {
            Part::Event(event) => drop(self.events.insert(event.clone(), shown)),
            Part::Slot(slot) => self.slots.entry(slot.clone()).or_default().state = shown,
            Part::Relay(slot, relay) => {
                let slot = self.slots.entry(slot.clone()).or_default();
                let shown = covered(&shown, &only_offline(&slot.state));
                slot.relays.insert(*relay, shown);
            }
            Part::Signal(slot, signal) => {
                let slot = self.slots.entry(slot.clone()).or_default();
                let shown = covered(&shown, &only_offline(&slot.state));
                slot.signals.insert(*signal, shown);
            }
        }
    }
}

/// The times in which it was offline: all that belongs to it was, too.
fn only_offline(spans: &[Span]) -> Vec<Span> {
    let offline = spans.iter().filter(|span| span.value == Value::Offline);
    offline.cloned().collect()
}

/// How each part of a device is now, but for events that are not triggered.
fn now(view: Option<&DeviceView>) -> Vec<(Option<Part>, Value)> {
    let Some(view) = view else { return Vec::new() };
    let value = |name: &str| Value::from_name(name).unwrap_or(Value::Unknown);
    let mut now = Vec::new();
    now.extend(view.availability.map(|state| (None, value(state.as_str()))));
    for (id, slot) in &view.slots {
        now.push((Some(Part::Slot(id.clone())), value(slot.state.as_str())));
        let relays = slot.relays.iter();
        now.extend(relays.map(|(relay, state)| {
            let part = Part::Relay(id.clone(), *relay);
            (Some(part), value(state.position.as_str()))
        }));
        let signals = slot.signals.iter();
        now.extend(signals.map(|(signal, state)| {
            let part = Part::Signal(id.clone(), *signal);
            (Some(part), value(state.status.as_str()))
        }));
    }
    let triggered = view.events.iter().filter(|event| event.triggered == Some(true));
    now.extend(triggered.map(|event| (Some(Part::Event(event.name.clone())), Value::True)));
    now
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{Availability, Position, Provenance, SlotState, SlotView};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn of(subject: &str, changes: &[(i64, Value, Value)]) -> (Subject, Vec<Entry>) {
        let subject: Subject = subject.parse().unwrap();
        let entry = |(second, old, new): &(i64, Value, Value)| Entry {
            id: Uuid::nil(),
            at: at(*second),
            subject: subject.clone(),
            old: *old,
            new: *new,
            provenance: None,
            cause: None,
            driven_by: None,
            takeover: false,
            not_observed_since: None,
        };
        (subject.clone(), changes.iter().map(entry).collect())
    }

    fn view() -> DeviceView {
        let mut slot = SlotView::unseen(None, [Relay::A, Relay::B], [Signal::Clk1], at(0));
        slot.state = SlotState::Online;
        for (_, relay) in slot.relays.iter_mut() {
            (relay.position, relay.provenance) = (Position::No, Provenance::Reported);
        }
        DeviceView {
            availability: Some(Availability::Online),
            slots: [(SlotId::new("io3").unwrap(), slot)].into_iter().collect(),
            ..DeviceView::default()
        }
    }

    fn shown(spans: &[Span]) -> String {
        let shown = |span: &Span| {
            let (at, until) = (span.at.as_second(), span.until.as_second());
            format!("{at}..{until} {}", span.value.as_str())
        };
        spans.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_belongs_to_a_device_was_offline_with_it_and_not_observed_while_nobody_watched() {
        use Value::{False, Nc, No, Offline, Online, True, Unknown};
        let mut device = of(
            "m1",
            &[
                (10, Unknown, Online),
                (40, Online, Offline),
                (50, Offline, Online),
                (80, Online, Online),
            ],
        );
        device.1[3].not_observed_since = Some(at(70));
        let history = [
            device,
            of("m1/event/ntp-not-sync", &[(20, False, True), (75, True, False)]),
            of("m1/io3", &[(40, Online, Offline), (50, Offline, Online)]),
            of(
                "m1/io3/a",
                &[(30, No, Nc), (40, Nc, Unknown), (51, Unknown, Nc), (60, Nc, No)],
            ),
        ];
        let view = view();
        let known = Known {
            history: &history,
            kept_since: Some(at(0)),
            view: Some(&view),
        };
        let window = Window {
            from: at(0),
            to: at(100),
        };
        let timeline = Timeline::of(known, window);
        assert_eq!(
            shown(&timeline.device),
            "0..10 not-kept, 10..40 online, 40..50 offline, 50..70 online, 70..80 not-observed, 80..100 online"
        );
        let slot = &timeline.slots[&SlotId::new("io3").unwrap()];
        assert_eq!(
            shown(&slot.relays[&Relay::A]),
            "0..10 not-kept, 10..30 NO, 30..40 NC, 40..50 offline, 50..51 unknown, 51..60 NC, 60..70 NO, 70..80 not-observed, 80..100 NO"
        );
        assert_eq!(
            shown(&slot.relays[&Relay::B]),
            "0..10 not-kept, 10..40 NO, 40..50 offline, 50..70 NO, 70..80 not-observed, 80..100 NO",
            "it never changed"
        );
        assert_eq!(
            shown(&timeline.events[&EventName::canonical("ntp-not-sync").unwrap()]),
            "0..10 not-kept, 10..20 false, 20..40 true, 40..50 offline, 50..70 true, 70..80 not-observed, 80..100 false"
        );
    }

    #[test]
    fn of_a_device_that_another_bridge_polls_the_history_alone_is_shown() {
        let history = [of("m1/io3/a", &[(30, Value::No, Value::Nc)])];
        let known = Known {
            history: &history,
            kept_since: Some(at(0)),
            view: None,
        };
        let window = Window {
            from: at(20),
            to: at(40),
        };
        let timeline = Timeline::of(known, window);
        let slot = &timeline.slots[&SlotId::new("io3").unwrap()];
        assert_eq!(shown(&slot.relays[&Relay::A]), "20..30 NO, 30..40 NC");
        assert_eq!(shown(&timeline.device), "20..40 unknown");
    }
}
