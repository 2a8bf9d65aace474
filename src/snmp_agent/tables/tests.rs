//! Rows, their numbers, and what is told of their changes.

use std::sync::Arc;
use std::time::Duration;

use async_snmp::Value;

use super::*;
use crate::model::{
    DeviceView, ErrorReport, HttpStats, Identity, Operation, Position, Problem, SlotState, SlotView, Status,
    diff,
};
use crate::snmp_agent::columns::device;

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A device with one slot, its relay A and its first clock.
fn view(slot: &str, position: Position, status: Status, provenance: Provenance) -> DeviceView {
    let mut slot_view = SlotView::unseen(None, [Relay::A], [Signal::Clk1], at(0));
    slot_view.state = SlotState::Online;
    let relay = slot_view.relays.get_mut(&Relay::A).unwrap();
    (relay.position, relay.provenance) = (position, provenance);
    let signal = slot_view.signals.get_mut(&Signal::Clk1).unwrap();
    (signal.status, signal.provenance) = (status, provenance);
    DeviceView {
        availability: Some(Availability::Online),
        slots: BTreeMap::from([(SlotId::new(slot).unwrap(), slot_view)]),
        ..DeviceView::default()
    }
}

fn good(slot: &str) -> DeviceView {
    view(slot, Position::No, Status::Ok, Provenance::Derived)
}

fn bad(slot: &str) -> DeviceView {
    view(slot, Position::Nc, Status::Fail, Provenance::Derived)
}

fn update(id: &str, old: &DeviceView, new: &DeviceView) -> Update {
    Update::Device {
        device: device(id),
        view: Arc::new(new.clone()),
        changes: diff(old, new),
    }
}

/// Numbers of the notifications.
fn told(notices: &[Notice]) -> Vec<u32> {
    notices.iter().map(|notice| notice.number).collect()
}

#[test]
fn configured_devices_have_rows_before_anything_is_known() {
    let tables = Tables::new(&[device("b"), device("a")]);
    let rows: Vec<_> = tables
        .devices
        .iter()
        .map(|(index, row)| (index[0], row.id.as_str(), row.state))
        .collect();
    assert_eq!(rows, [(1, "b", None), (2, "a", None)]);
    assert_eq!(
        device::cell(&tables.devices[&vec![1]], 4),
        None,
        "no poll, no time"
    );
}

#[test]
fn a_number_belongs_to_one_device() {
    let mut tables = Tables::new(&[device("a"), device("b")]);
    let nothing = DeviceView::default();
    tables.apply(&update("a", &nothing, &good("io3")));
    tables.apply(&update("b", &nothing, &good("io3")));
    tables.apply(&Update::Removed { device: device("a") });
    assert_eq!(tables.devices.keys().collect::<Vec<_>>(), [&vec![2]]);
    assert_eq!((tables.relays.len(), tables.signals.len()), (1, 1));
    tables.apply(&update("c", &nothing, &good("io3")));
    tables.apply(&update("a", &nothing, &good("io3")));
    let rows = |tables: &Tables| -> Vec<_> {
        let rows = tables.devices.iter();
        rows.map(|(index, row)| (index[0], row.id.to_string())).collect()
    };
    let named = |names: &[(u32, &str)]| -> Vec<_> {
        let names = names.iter();
        names.map(|(number, name)| (*number, name.to_string())).collect()
    };
    assert_eq!(rows(&tables), named(&[(1, "a"), (2, "b"), (3, "c")]));
    tables.apply(&Update::Forgotten { device: device("b") });
    tables.apply(&Update::Configured(vec![device("a"), device("d")]));
    assert_eq!(rows(&tables), named(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]));
    assert_eq!(tables.relays.len(), 2, "what b's were is not known");
}

#[test]
fn an_index_is_device_slot_and_relay() {
    let mut tables = Tables::new(&[]);
    tables.apply(&update("a", &DeviceView::default(), &good("io3")));
    assert_eq!(
        tables.relays.keys().collect::<Vec<_>>(),
        [&vec![1, 3, 105, 111, 51, 1]]
    );
    let long = "x".repeat(MAX_SLOT + 1);
    tables.apply(&update("b", &DeviceView::default(), &good(&long)));
    assert_eq!(
        (tables.devices.len(), tables.relays.len(), tables.signals.len()),
        (2, 1, 1)
    );
}

#[test]
fn a_change_is_told_with_what_there_was_and_what_there_is() {
    let mut tables = Tables::new(&[device("m1")]);
    tables.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let notices = tables.apply(&update("m1", &good("io3"), &bad("io3")));
    assert_eq!(told(&notices), [1, 2]);
    let index = [1, 3, 105, 111, 51, 1];
    let place = |column| [&[1, 2, 1, column][..], &index].concat();
    let text = |text: &'static str| Value::OctetString(text.into());
    let expected = [
        (place(3), text("m1/io3/a")),
        (vec![1, 5, 1, 0], Value::Integer(1)),
        (place(4), Value::Integer(2)),
        (place(5), Value::Integer(1)),
        (place(6), Value::Integer(2)),
        (place(7), Value::Integer(7)),
        (place(8), text("")),
    ];
    assert_eq!(notices[0].objects, expected);
}

#[test]
fn a_device_that_goes_and_comes_is_told() {
    let mut tables = Tables::new(&[device("m1")]);
    tables.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let mut away = good("io3");
    away.go_offline(at(5), at(5));
    away.problem = Some(Problem {
        id: uuid::Uuid::nil(),
        operation: Operation::Poll,
        error: ErrorReport::new(ErrorKind::Timeout, "", ""),
        first_at: at(5),
    });
    let notices = tables.apply(&update("m1", &good("io3"), &away));
    assert_eq!(told(&notices), [3, 1, 2]);
    let values: Vec<_> = notices[0]
        .objects
        .iter()
        .map(|(_, value)| value.clone())
        .collect();
    let expected = [Value::OctetString("m1".into())].into_iter();
    assert_eq!(
        values,
        expected.chain([1, 2, 2].map(Value::Integer)).collect::<Vec<_>>()
    );
    assert_eq!(told(&tables.apply(&update("m1", &away, &good("io3")))), [3, 1, 2]);
    let row = &tables.devices[&vec![1]];
    assert_eq!((row.error, row.last_error), (None, Some(ErrorKind::Timeout)));
}

#[test]
fn a_first_sight_is_not_told() {
    let unseen = view("io3", Position::Unknown, Status::Unknown, Provenance::Unseen);
    let mut away = unseen.clone();
    away.go_offline(at(5), at(5));
    for old in [DeviceView::default(), unseen, away] {
        let mut tables = Tables::new(&[device("m1")]);
        tables.apply(&update("m1", &DeviceView::default(), &old));
        let notices = tables.apply(&update("m1", &old, &good("io3")));
        // That the device, which was away, is there now, is a change.
        let expected: &[u32] = match old.availability {
            Some(Availability::Offline) => &[3],
            _ => &[],
        };
        assert_eq!(told(&notices), expected, "{old:?}");
    }
    let mut tables = Tables::new(&[]);
    tables.apply(&update("m1", &DeviceView::default(), &good("io3")));
    let gone = tables.apply(&update("m1", &good("io3"), &DeviceView::default()));
    assert!(gone.is_empty());
    assert!(tables.relays.is_empty() && tables.signals.is_empty());
}

#[test]
fn polls_are_counted_on_when_another_task_takes_over() {
    let mut tables = Tables::new(&[device("m1")]);
    let summary = |good: u32, bad: u32| {
        let mut stats = HttpStats::default();
        (0..bad).for_each(|_| stats.failed(ErrorKind::Timeout));
        (0..good).for_each(|_| stats.succeeded(Duration::from_millis(7), at(60)));
        Update::HttpStats {
            device: device("m1"),
            summary: stats.summary(),
        }
    };
    for update in [summary(10, 2), summary(15, 2), summary(3, 1), summary(0, 1)] {
        tables.apply(&update);
    }
    let row = &tables.devices[&vec![1]];
    assert_eq!((row.polls.all, row.polls.failed), (17 + 4 + 1, 2 + 1 + 1));
    assert_eq!((tables.polls.all, tables.polls.failed), (22, 4));
    assert_eq!((row.last_poll, row.round_trip), (Some(at(60)), Some(7.0)));
    tables.apply(&Update::Removed { device: device("m1") });
    assert_eq!(tables.polls.all, 22, "what was counted stays counted");
}

#[test]
fn what_the_device_says_of_itself_is_shown() {
    let mut tables = Tables::new(&[device("m1")]);
    let mut known = good("io3");
    known.identity = Some(Identity {
        serial_number: Some("0123".into()),
        ..Identity::default()
    });
    tables.apply(&update("m1", &DeviceView::default(), &known));
    let row = &tables.devices[&vec![1]];
    assert_eq!(device::cell(row, 8), Some(Value::OctetString("0123".into())));
    assert_eq!(device::cell(row, 9), None, "it gives no firmware");
}
