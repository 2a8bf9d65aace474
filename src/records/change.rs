//! The `events` and `changes` records: what a device's transition says to those who keep a history.
//!
//! Pure but for the ids. Their JSON is that of `contract::record`.

use jiff::Timestamp;
use uuid::Uuid;

use super::Record;
use crate::contract::topics::Destination;
use crate::contract::{Time, record as contract};
use crate::model::{Availability, DeviceId, ErrorKind, EventState, Text, Transition, Via};

/// The record of a transition.
pub fn record(device: &DeviceId, transition: &Transition, now: Timestamp) -> Record {
    let id = Uuid::now_v7();
    let of_device = contract::Change {
        id,
        at: Time(now),
        device,
        slot: None,
        relay: None,
        signal: None,
        old: "",
        new: "",
        cause: None,
        provenance: None,
        driven_by: None,
        takeover: false,
        not_observed_since: None,
    };
    let of_slot = |slot| contract::Change {
        slot: Some(slot),
        ..of_device
    };
    let change = match transition {
        Transition::Event {
            event,
            triggered,
            via,
        } => return of_event(device, event, *triggered, *via, (id, now)),
        Transition::Availability {
            old,
            new,
            error,
            taken_over,
            not_observed_since,
        } => contract::Change {
            takeover: *taken_over,
            old: old.map_or("unknown", Availability::as_str),
            new: new.as_str(),
            cause: error
                .filter(|_| *new == Availability::Offline)
                .map(ErrorKind::as_str),
            not_observed_since: not_observed_since.map(Time),
            ..of_device
        },
        Transition::Slot {
            slot,
            old,
            new,
            taken_over,
        } => contract::Change {
            takeover: *taken_over,
            old: old.as_str(),
            new: new.as_str(),
            ..of_slot(slot)
        },
        Transition::Relay {
            slot,
            relay,
            old,
            new,
            taken_over,
        } => contract::Change {
            takeover: *taken_over,
            relay: Some(*relay),
            old: old.as_str(),
            new: new.position.as_str(),
            cause: new.cause.as_deref(),
            provenance: Some(new.provenance),
            driven_by: new.driven_by,
            ..of_slot(slot)
        },
        Transition::Signal {
            slot,
            signal,
            old,
            new,
            taken_over,
        } => contract::Change {
            takeover: *taken_over,
            signal: Some(*signal),
            old: old.as_str(),
            new: new.status.as_str(),
            provenance: Some(new.provenance),
            ..of_slot(slot)
        },
    };
    let destination = Destination::Changes(device.clone(), change.slot.cloned());
    Record::of(id, destination, &change)
}

fn of_event(
    device: &DeviceId,
    event: &EventState,
    triggered: bool,
    via: Via,
    (id, now): (Uuid, Timestamp),
) -> Record {
    let json = contract::Event {
        id,
        at: Time(now),
        device,
        source: via,
        event: &event.name,
        triggered,
        kind: event.kind,
        last_triggered: event.last_triggered.time().map(Time),
        name_on_device: event.name_on_device.as_deref().map(Text::as_str),
    };
    Record::of(id, Destination::Events(device.clone()), &json)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{
        DeviceView, Position, Provenance, Relay, Signal, SlotId, SlotState, SlotView, Status, diff,
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
            slots: [(slot(), slot_view)].into_iter().collect(),
            ..DeviceView::default()
        }
    }

    /// The payloads of the records, without their ids.
    fn all_reported(old: &DeviceView, new: &DeviceView) -> Vec<String> {
        let transitions = Transition::between(old, new, &diff(old, new));
        let records = transitions
            .iter()
            .map(|transition| record(&device(), transition, at(60)));
        let text = |record: Record| {
            let text = std::str::from_utf8(&record.payload).unwrap();
            let id = format!("{{\"id\":\"{}\",", record.id);
            text.strip_prefix(&id).expect("the id comes first").to_owned()
        };
        records.map(text).collect()
    }

    #[test]
    fn an_offline_device_and_its_return_are_reported() {
        let good = view(Position::No, Status::Ok, Provenance::Reported);
        let mut offline = good.clone();
        offline.go_offline(at(50), at(55));
        let went = all_reported(&good, &offline);
        let has = |records: &[String], parts: [&str; 4]| {
            let found = records.iter().zip(parts);
            records.len() == 4 && found.into_iter().all(|(record, part)| record.contains(part))
        };
        let parts = [
            r#""device":"m1","old":"online","new":"offline""#,
            r#""slot":"io3","old":"online","new":"offline""#,
            r#""old":"NO","new":"unknown","provenance":"unknown""#,
            r#""old":"ok","new":"unknown","provenance":"unknown""#,
        ];
        assert!(has(&went, parts), "{went:?}");
        let came = all_reported(&offline, &good);
        let parts = [
            r#""device":"m1","old":"offline","new":"online""#,
            r#""slot":"io3","old":"offline","new":"online""#,
            r#""old":"unknown","new":"NO","provenance":"reported""#,
            r#""old":"unknown","new":"ok","provenance":"reported""#,
        ];
        assert!(has(&came, parts), "{came:?}");
    }

    #[test]
    fn what_the_device_itself_does_not_know_changes_too() {
        let unknown = view(Position::Unknown, Status::Unknown, Provenance::Unknown);
        let good = view(Position::No, Status::Ok, Provenance::Derived);
        assert_eq!(all_reported(&unknown, &good).len(), 2);
        assert_eq!(all_reported(&good, &unknown).len(), 2);
    }

    #[test]
    fn a_first_sight_is_no_change() {
        let unseen = view(Position::Unknown, Status::Unknown, Provenance::Unseen);
        let mut given_up = unseen.clone();
        given_up.go_offline(at(5), at(5));
        let good = view(Position::No, Status::Ok, Provenance::Derived);
        for old in [DeviceView::default(), unseen, given_up] {
            let of_device = |record: &String| !record.contains("slot");
            assert!(all_reported(&old, &good).iter().all(of_device));
        }
        assert!(
            all_reported(&good, &DeviceView::default()).is_empty(),
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
        let slot = other.slots.iter_mut().next().unwrap().1;
        slot.relays.get_mut(&Relay::A).unwrap().cause = Some("antenna-faulty".to_owned());
        slot.signals.get_mut(&Signal::Clk1).unwrap().since = at(7);
        assert!(all_reported(&bad, &other).is_empty());
    }
}
