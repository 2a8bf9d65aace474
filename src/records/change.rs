//! The `events` and `changes` records: what a device's change says to those who keep a history.
//!
//! Pure but for the ids. Their JSON is that of `contract::record`.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Record;
use crate::contract::topics::Destination;
use crate::contract::{Time, record as contract, to_json};
use crate::model::{Change, DeviceId, EventState, Provenance, SlotId, Via};

/// The records of one change, in order; none where it is no transition: a first sight is none.
pub fn records(device: &DeviceId, change: &Change, now: Timestamp) -> Vec<Record> {
    match change {
        Change::Event {
            old: Some(old),
            new: Some(new),
            via,
            recorded,
            ..
        } => {
            let due = match new.transitions(old) {
                // What was not there and is not, was told by traps in between, or is about to be.
                [true, ..] if *recorded => &[],
                due => due,
            };
            due.iter()
                .map(|triggered| event(device, new, *triggered, *via, now))
                .collect()
        }
        Change::Relay {
            slot,
            relay,
            old: Some(old),
            new: Some(new),
        } if old.position != new.position && old.provenance != Provenance::Unseen => {
            vec![state_change(device, slot, now, |change| contract::Change {
                relay: Some(*relay),
                old: old.position.as_str(),
                new: new.position.as_str(),
                cause: new.cause.as_deref(),
                provenance: new.provenance,
                driven_by: new.driven_by,
                ..change
            })]
        }
        Change::Signal {
            slot,
            signal,
            old: Some(old),
            new: Some(new),
        } if old.status != new.status && old.provenance != Provenance::Unseen => {
            vec![state_change(device, slot, now, |change| contract::Change {
                signal: Some(*signal),
                old: old.status.as_str(),
                new: new.status.as_str(),
                provenance: new.provenance,
                ..change
            })]
        }
        _ => Vec::new(),
    }
}

fn event(device: &DeviceId, event: &EventState, triggered: bool, via: Via, now: Timestamp) -> Record {
    let id = Uuid::now_v7();
    let json = contract::Event {
        id,
        at: Time(now),
        device,
        source: via,
        event: &event.name,
        triggered,
        kind: event.kind,
        last_triggered: event.last_triggered.time().map(Time),
        name_on_device: event.name_on_device.as_deref(),
    };
    record(id, Destination::Events(device.clone()), &json)
}

/// The record of what `fill` adds: what has changed, and how.
fn state_change<'a>(
    device: &'a DeviceId,
    slot: &'a SlotId,
    now: Timestamp,
    fill: impl FnOnce(contract::Change<'a>) -> contract::Change<'a>,
) -> Record {
    let id = Uuid::now_v7();
    let change = fill(contract::Change {
        id,
        at: Time(now),
        device,
        slot,
        relay: None,
        signal: None,
        old: "",
        new: "",
        cause: None,
        provenance: Provenance::Unknown,
        driven_by: None,
    });
    record(id, Destination::Changes(device.clone(), slot.clone()), &change)
}

pub(super) fn record(id: Uuid, destination: Destination, json: &impl Serialize) -> Record {
    Record {
        id,
        destination,
        payload: to_json(json),
        correlation: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        Availability, DeviceView, EventName, EventType, LastTriggered, Position, Relay, Signal, SlotState,
        SlotView, Status, diff,
    };

    fn device() -> DeviceId {
        DeviceId::new("m1").unwrap()
    }

    fn slot() -> SlotId {
        SlotId::new("io3").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The payloads of what `change` gives, without their ids.
    fn told(change: &Change) -> Vec<String> {
        let records = records(&device(), change, at(60));
        let texts = records.iter().map(|record| {
            let text = std::str::from_utf8(&record.payload).unwrap();
            let id = format!("{{\"id\":\"{}\",", record.id);
            text.strip_prefix(&id).expect("the id comes first").to_owned()
        });
        texts.collect()
    }

    fn state(triggered: Option<bool>, last: Option<i64>) -> Option<Box<EventState>> {
        Some(Box::new(EventState {
            name: EventName::canonical("ntp-not-sync").unwrap(),
            name_on_device: None,
            triggered,
            kind: EventType::Error,
            last_triggered: last.map_or(LastTriggered::Never, |second| LastTriggered::At(at(second))),
        }))
    }

    /// Whether the event stood, for each record.
    fn events(old: Option<Box<EventState>>, new: Option<Box<EventState>>) -> Vec<bool> {
        events_where(false, old, new)
    }

    /// So it is where a trap has told, or has not, that it came.
    fn events_where(by_trap: bool, old: Option<Box<EventState>>, new: Option<Box<EventState>>) -> Vec<bool> {
        let name = EventName::canonical("ntp-not-sync").unwrap();
        let told = told(&Change::Event {
            name,
            old,
            new,
            via: Via::Rest,
            recorded: by_trap,
        });
        told.iter()
            .map(|text| text.contains(r#""triggered":true"#))
            .collect()
    }

    #[test]
    fn every_transition_of_an_event_is_told_and_nothing_else() {
        let (yes, no) = (Some(true), Some(false));
        for (old, new, expected) in [
            ((no, None), (yes, Some(5)), &[true][..]),
            ((yes, Some(5)), (no, Some(5)), &[false]),
            ((no, None), (yes, None), &[true]),
            // It came again, or came and went, between two polls.
            ((yes, Some(5)), (yes, Some(6)), &[true]),
            ((no, Some(5)), (no, Some(6)), &[true, false]),
            ((no, None), (no, Some(6)), &[true, false]),
            ((yes, Some(6)), (yes, Some(5)), &[]),
            ((yes, Some(6)), (yes, None), &[]),
            ((None, Some(5)), (yes, Some(6)), &[]),
            ((no, Some(5)), (None, Some(6)), &[]),
        ] {
            let told = events(state(old.0, old.1), state(new.0, new.1));
            assert_eq!(told, expected, "{old:?} {new:?}");
        }
        let told = |old: Option<Box<EventState>>, new| events_where(true, old, new);
        assert!(told(state(no, None), state(yes, Some(5))).is_empty());
        assert!(told(state(no, None), state(no, Some(5))).is_empty());
        assert_eq!(told(state(yes, None), state(no, Some(5))), [false]);
        assert!(events(None, state(yes, Some(5))).is_empty(), "a first sight");
        assert!(events(state(yes, Some(5)), None).is_empty(), "no longer listed");
    }

    fn view(position: Position, status: Status, provenance: Provenance) -> DeviceView {
        let mut slot_view = SlotView::unseen(None, [Relay::A], [Signal::Clk1], at(0));
        slot_view.state = SlotState::Online;
        let relay = slot_view.relays.get_mut(&Relay::A).unwrap();
        (relay.position, relay.provenance) = (position, provenance);
        relay.driven_by = Some(Signal::Clk1);
        relay.cause = (position == Position::Nc).then(|| "clock-not-sync".to_owned());
        let signal = slot_view.signals.get_mut(&Signal::Clk1).unwrap();
        (signal.status, signal.provenance) = (status, provenance);
        DeviceView {
            availability: Some(Availability::Online),
            slots: BTreeMap::from([(slot(), slot_view)]),
            ..DeviceView::default()
        }
    }

    fn all_told(old: &DeviceView, new: &DeviceView) -> Vec<String> {
        diff(old, new).iter().flat_map(told).collect()
    }

    #[test]
    fn a_device_that_goes_and_comes_is_told() {
        let good = view(Position::No, Status::Ok, Provenance::Reported);
        let mut away = good.clone();
        away.go_offline(at(50), at(55));
        let went = all_told(&good, &away);
        assert_eq!(went.len(), 2);
        assert!(
            went[0].contains(r#""old":"NO","new":"unknown","provenance":"unknown""#),
            "{}",
            went[0]
        );
        let came = all_told(&away, &good);
        assert_eq!(came.len(), 2);
        assert!(
            came[1].contains(r#""old":"unknown","new":"ok","provenance":"reported""#),
            "{}",
            came[1]
        );
    }

    #[test]
    fn what_the_device_itself_does_not_know_changes_too() {
        let unknown = view(Position::Unknown, Status::Unknown, Provenance::Unknown);
        let good = view(Position::No, Status::Ok, Provenance::Derived);
        assert_eq!(all_told(&unknown, &good).len(), 2);
        assert_eq!(all_told(&good, &unknown).len(), 2);
    }

    #[test]
    fn a_first_sight_is_no_change() {
        let unseen = view(Position::Unknown, Status::Unknown, Provenance::Unseen);
        let mut given_up = unseen.clone();
        given_up.go_offline(at(5), at(5));
        let good = view(Position::No, Status::Ok, Provenance::Derived);
        for old in [DeviceView::default(), unseen, given_up] {
            assert!(all_told(&old, &good).is_empty());
        }
        assert!(
            all_told(&good, &DeviceView::default()).is_empty(),
            "a device that is removed"
        );
        assert_eq!(
            serde_json::to_string(&Provenance::Unseen).unwrap(),
            r#""unknown""#
        );
    }

    #[test]
    fn another_cause_or_detail_alone_is_no_change() {
        let bad = view(Position::Nc, Status::Fail, Provenance::Derived);
        let mut other = bad.clone();
        let slot = other.slots.values_mut().next().unwrap();
        slot.relays.get_mut(&Relay::A).unwrap().cause = Some("antenna-faulty".to_owned());
        slot.signals.get_mut(&Signal::Clk1).unwrap().since = at(7);
        assert!(all_told(&bad, &other).is_empty());
    }
}
